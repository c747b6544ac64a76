from odoo import api, fields, models


class LibraryIndicatorTarget(models.Model):
    """What an indicator is to reach in a fiscal year, in a branch or in the library.

    It is compared with the figures of that year only: a target of a past year says
    nothing of this one.
    """

    _name = "library.indicator.target"
    _description = "Target of an Indicator"
    _order = "year desc, indicator_id, branch_id, id"
    _rec_name = "indicator_id"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    indicator_id = fields.Many2one(
        "library.indicator", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
        ondelete="cascade",
    )
    branch_id = fields.Many2one(
        "library.branch",
        check_company=True,
        index="btree_not_null",
        ondelete="cascade",
        help="Empty: the whole library.",
    )
    year = fields.Integer(
        string="Fiscal Year",
        required=True,
        default=lambda self: self.env.company._get_library_today().year,
        aggregator=None,
    )
    target = fields.Float(
        required=True, digits=(16, 2), aggregator="avg", help="For twelve months."
    )

    _year_uniq = models.UniqueIndex(
        "(indicator_id, company_id, COALESCE(branch_id, 0), year)",
        "Target: this indicator has one for this year and branch already.",
    )
    _year_plausible = models.Constraint(
        "CHECK (year BETWEEN 1900 AND 2200)",
        "Fiscal year: a year is expected, e.g. 2026.",
    )

    @api.model
    def _find(self, values):
        """The targets that figures are compared with, by figure."""
        found = {
            (row.indicator_id, row.company_id, row.branch_id, row.year): row
            for row in self.search_fetch(
                [
                    ("indicator_id", "in", values.indicator_id.ids),
                    ("company_id", "in", values.company_id.ids),
                    ("branch_id", "in", [False, *values.branch_id.ids]),
                    ("year", "in", values.mapped("year")),
                ],
                ["indicator_id", "company_id", "branch_id", "year", "target"],
            )
        }
        return {
            value: found.get(
                (value.indicator_id, value.company_id, value.branch_id, value.year),
                self.browse(),
            )
            for value in values
        }
