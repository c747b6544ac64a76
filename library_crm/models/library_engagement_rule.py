from odoo import api, fields, models


class LibraryEngagementRule(models.Model):
    """Where a library draws the lines between often and rarely, drifting and gone.

    The lines are fixed numbers and not shares of the patrons, so that what is said of
    somebody does not move because others moved.
    """

    _name = "library.engagement.rule"
    _inherit = ["library.cache.mixin"]
    _description = "Engagement Rules"
    _rec_name = "company_id"
    _order = "company_id"
    _library_personal_data = {"*": "setting"}

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        ondelete="cascade",
        default=lambda self: self.env.company,
    )

    # Lifecycle
    new_days = fields.Integer(
        string="New For",
        required=True,
        default=90,
        help="Days since the patron joined.",
    )
    occasional_days = fields.Integer(
        string="Occasional After",
        required=True,
        default=90,
        help="Days without use.",
    )
    lapsed_days = fields.Integer(
        string="Lapsed After",
        required=True,
        default=365,
        help="Days without use. Who comes back after that has returned.",
    )
    returned_days = fields.Integer(
        string="Returned For",
        required=True,
        default=90,
        help="Days since the first use after such a silence.",
    )
    lapsing_factor = fields.Float(
        string="Lapsing After",
        required=True,
        default=3,
        digits=(4, 1),
        help="Times the usual gap between two days of use of the patron.",
    )
    lapsing_days = fields.Integer(
        string="Lapsing at the Earliest After",
        required=True,
        default=30,
        help="Days without use: so that a holiday worries nobody.",
    )

    # Recency, frequency, variety
    recent_days = fields.Integer(
        string="Recent: Up To",
        required=True,
        default=90,
        help="Days since the last use.",
    )
    often_days = fields.Integer(
        string="Often: From",
        required=True,
        default=52,
        help="Days of use in 12 months.",
    )
    regular_days = fields.Integer(
        string="Now and Then: From",
        required=True,
        default=18,
        help="Days of use in 12 months.",
    )
    many_services = fields.Integer(
        string="Many: From",
        required=True,
        default=4,
        help="Different services used in 12 months.",
    )
    some_services = fields.Integer(
        string="Some: From",
        required=True,
        default=2,
        help="Different services used in 12 months.",
    )

    # Who is left out
    profile_from_age = fields.Integer(
        string="No Figures Below the Age Of",
        required=True,
        default=16,
        help="Of children no figures are made.",
    )

    _company_uniq = models.UniqueIndex(
        "(company_id)", "Engagement rules: the library already has them."
    )
    _days_positive = models.Constraint(
        "CHECK (new_days > 0 AND occasional_days > 0 AND returned_days > 0 "
        "AND lapsing_days > 0 AND recent_days > 0 AND profile_from_age >= 0 "
        "AND lapsing_factor >= 1)",
        "Engagement rules: days are 1 or more, and the factor of lapsing is 1 or more.",
    )
    _days_in_order = models.Constraint(
        "CHECK (lapsed_days > occasional_days AND lapsed_days > returned_days "
        "AND lapsed_days > recent_days AND lapsed_days <= 1830)",
        "Lapsed after: more days are expected than for occasional, returned and "
        "recent, and five years at most.",
    )
    _cuts_in_order = models.Constraint(
        "CHECK (regular_days > 0 AND often_days > regular_days "
        "AND some_services > 0 AND many_services > some_services)",
        "Engagement rules: often begins above now and then, many above some.",
    )

    @api.model
    def _get_for(self, companies):
        """The rules of libraries; who has none gets those that are usual.

        :param companies: ``res.company``
        """
        rules = self.sudo().search([("company_id", "in", companies.ids)])
        missing = companies - rules.company_id
        return rules | self.sudo().create(
            [{"company_id": company.id} for company in missing]
        )

    @api.model
    def action_open(self):
        """Show the rules of the library that the user works in."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Engagement Rules"),
            "res_model": self._name,
            "view_mode": "form",
            "res_id": self._get_for(self.env.company).id,
        }

    def action_apply(self):
        """Reckon everybody anew, as soon as the job comes to it."""
        self.env.ref("library_crm.ir_cron_refresh_engagement").sudo()._trigger()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "info",
                "message": self.env._(
                    "All patrons are being reckoned anew; for a large library that "
                    "takes some minutes."
                ),
            },
        }
