from odoo import fields, models


class LibraryBranch(models.Model):
    """A place where the library serves people: a building, a bus, a reading room.

    The code is the one that the integrated library system uses, so that loads find
    their branch.
    """

    _name = "library.branch"
    _description = "Library Branch"
    _order = "sequence, name, id"
    _rec_names_search = ["name", "code"]
    _check_company_auto = True
    _library_personal_data = {
        "*": "setting",
        "partner_id": "place",
        "manager_id": "staff",
    }

    name = fields.Char(required=True, translate=True)
    code = fields.Char(
        required=True,
        help="The branch code of the integrated library system, e.g. MAIN.",
    )
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    color = fields.Integer()
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Address",
        check_company=True,
        index="btree_not_null",
    )
    manager_id = fields.Many2one(
        "res.users",
        string="Branch Manager",
        domain=[("share", "=", False)],
        check_company=True,
        index="btree_not_null",
        groups="base.group_user",
    )
    population = fields.Integer(
        string="Population Served",
        groups="base.group_user",
        help="People who live or study in the area that this branch serves.",
    )
    resource_calendar_id = fields.Many2one(
        "resource.calendar", string="Opening Hours", check_company=True
    )
    patron_count = fields.Integer(string="Patrons", compute="_compute_patron_count")

    _code_company_uniq = models.UniqueIndex(
        "(code, company_id)", "Branch code: another branch already has this code."
    )
    _population_positive = models.Constraint(
        "CHECK (population >= 0)", "Population served: it can not be below zero."
    )

    def _compute_patron_count(self):
        counts = dict(
            self.env["library.patron"]._read_group(
                [("branch_id", "in", self.ids)], ["branch_id"], ["__count"]
            )
        )
        for branch in self:
            branch.patron_count = counts.get(branch, 0)

    def action_view_patrons(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_patron_action"
            ),
            "domain": [("branch_id", "=", self.id)],
            "context": {"default_branch_id": self.id},
        }

    def action_view_retention(self):
        """How many of those who joined here still come."""
        return self._open_report("library_crm.library_retention_action")

    def action_view_mailing_results(self):
        """What came of mailings to the patrons of the branch."""
        return self._open_report("library_crm.library_mailing_result_action")

    def action_view_acquisition(self):
        """How many asked for a card here, and how many got one."""
        return self._open_report("library_crm.library_acquisition_funnel_action")

    def _open_report(self, action):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(action),
            "domain": [("branch_id", "=", self.id)],
        }
