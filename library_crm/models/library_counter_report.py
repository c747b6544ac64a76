from dateutil.relativedelta import relativedelta

from odoo import fields, models

from ..formats.counter import make_header


class LibraryCounterReport(models.Model):
    """That the use of a platform in a month was counted from a COUNTER report.

    Platforms tell the same uses in several reports, and each may come from several
    places. One of them is counted; what it is remembered by stands here. To count
    another report instead, delete this one: its uses go with it.
    """

    _name = "library.counter.report"
    _description = "Counted COUNTER Report"
    _order = "month desc, platform, report, id"
    _rec_name = "platform"
    _check_company_auto = True
    _library_personal_data = {"*": "figures"}

    source_id = fields.Many2one(
        "library.data.source", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="source_id.company_id", string="Library", store=True
    )
    load_id = fields.Many2one(
        "library.data.load",
        readonly=True,
        ondelete="set null",
        index="btree_not_null",
        help="The last one that brought this report.",
    )
    report = fields.Char(required=True, readonly=True)
    platform = fields.Char(required=True, readonly=True)
    month = fields.Date(required=True, readonly=True, help="Its first day.")
    quantity = fields.Integer(string="Uses", readonly=True, aggregator="sum")
    details = fields.Json(readonly=True, help="What the report says of itself.")

    _month_idx = models.Index("(company_id, month)")
    _source_idx = models.Index("(source_id, month)")

    def _make_header(self):
        """What the report says of itself, for this platform and month."""
        self.ensure_one()
        return make_header(
            self.details,
            platforms=(self.platform,),
            begin=self.month,
            end=self.month + relativedelta(months=1, days=-1),
        )

    def _get_usages(self):
        """The rows of use that were counted, by their reference."""
        usages = (
            self.env["library.service.usage"]
            .sudo()
            .search(
                [
                    ("source_id", "in", self.source_id.ids),
                    ("date", "in", self.mapped("month")),
                    ("external_ref", "!=", False),
                ]
            )
        )
        prefixes = tuple(report._get_prefix() for report in self)
        return {
            usage.external_ref: usage
            for usage in usages
            if usage.external_ref.startswith(prefixes)
        }

    def _get_prefix(self):
        """What the references of its rows of use begin with."""
        return f"{self.id}:"

    def unlink(self):
        for usage in self._get_usages().values():
            usage.unlink()
        return super().unlink()
