from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import format_date


class LibraryServiceUsage(models.Model):
    """That a service was used: by whom (or by nobody we know), where, on which day
    and how often. What was read, borrowed, searched or asked has no column.

    The table is narrow on purpose: a large library adds tens of millions of rows a
    year. Rows are facts, so who wrote them and when is not kept.
    """

    _name = "library.service.usage"
    _description = "Use of a Service"
    _order = "date desc, id desc"
    _rec_name = "service_id"
    _log_access = False

    patron_id = fields.Many2one(
        "library.patron",
        ondelete="set null",
        index="btree_not_null",
        help="Empty: an anonymous count.",
    )
    service_id = fields.Many2one(
        "library.service", required=True, index=True, ondelete="restrict"
    )
    branch_id = fields.Many2one(
        "library.branch",
        required=True,
        ondelete="restrict",
        default=lambda self: self.env.user.library_branch_id,
    )
    date = fields.Date(required=True, default=fields.Date.context_today)
    quantity = fields.Integer(required=True, default=1, aggregator="sum")
    channel = fields.Selection(
        lambda self: (
            self.env["library.service"]
            ._fields["channel"]
            ._description_selection(self.env)
        ),
        compute="_compute_channel",
        store=True,
        readonly=False,
        precompute=True,
    )
    source_id = fields.Many2one(
        "library.data.source",
        readonly=True,
        ondelete="restrict",
        help="Where the row was loaded from; empty: logged here.",
    )
    external_ref = fields.Char(
        readonly=True,
        help="The sender's own key of the row, so that it is never counted twice.",
    )

    _quantity_positive = models.Constraint(
        "CHECK (quantity > 0)", "Quantity: a use is counted as 1 or more."
    )
    _external_ref_uniq = models.UniqueIndex(
        "(source_id, external_ref) WHERE external_ref IS NOT NULL",
        "External reference: this row of the source was loaded already.",
    )
    _patron_date_idx = models.Index("(patron_id, date) WHERE patron_id IS NOT NULL")
    _branch_date_idx = models.Index("(branch_id, date)")
    _date_idx = models.Index("(date DESC, id DESC)")

    @api.depends("service_id")
    def _compute_channel(self):
        for usage in self:
            usage.channel = usage.service_id.channel

    @api.constrains("date")
    def _check_date(self):
        today = fields.Date.context_today(self)
        for usage in self:
            if usage.date > today:
                raise ValidationError(
                    self.env._(
                        "Date: a use on %(date)s is in the future.",
                        date=format_date(self.env, usage.date),
                    )
                )

    @api.constrains("patron_id", "branch_id", "service_id")
    def _check_one_library(self):
        for usage in self:
            company = usage.branch_id.company_id
            for record in (usage.patron_id, usage.service_id):
                if record.company_id and record.company_id != company:
                    raise ValidationError(
                        self.env._(
                            "%(record)s belongs to the library %(other)s, the branch "
                            "%(branch)s to %(company)s.",
                            record=record.display_name,
                            other=record.company_id.name,
                            branch=usage.branch_id.name,
                            company=company.name,
                        )
                    )

    @api.model_create_multi
    def create(self, vals_list):
        usages = super().create(vals_list)
        # Numbers can be guessed: naming a patron must not tell who it is.
        usages.patron_id.check_access("read")
        usages._refresh_patrons(usages.patron_id)
        return usages

    def write(self, vals):
        patrons = self.patron_id
        result = super().write(vals)
        self.patron_id.check_access("read")
        if {"patron_id", "date"} & vals.keys():
            self._refresh_patrons(patrons | self.patron_id)
        return result

    def unlink(self):
        patrons = self.patron_id
        result = super().unlink()
        self._refresh_patrons(patrons)
        return result

    @api.model
    def _refresh_patrons(self, patrons):
        """Bring up to date what a patron's record says of their use; a hook."""
        patrons.sudo()._refresh_last_use_date()
