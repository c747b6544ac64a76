from datetime import date

from odoo import fields, models


class LibraryPopulation(models.Model):
    """How many people a branch or the library is there for, as known of a year; it
    holds until the figure of a later year. Figures per person are divided by it."""

    _name = "library.population"
    _inherit = ["library.indicator.source.mixin"]
    _description = "People to Be Served"
    _order = "year desc, branch_id, id"
    _rec_name = "year"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

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
        help="Empty: the whole library. Where it has no figure, those of its branches "
        "are added up.",
    )
    year = fields.Integer(
        required=True,
        default=lambda self: self.env.company._get_library_today().year,
        aggregator=None,
        help="The calendar year of which the number is known.",
    )
    number = fields.Integer(
        string="People",
        required=True,
        help="Who lives or studies there. 0: nothing is told per person.",
    )
    source = fields.Char(help="E.g. the census, or the registrar's office.")

    _year_uniq = models.UniqueIndex(
        "(company_id, COALESCE(branch_id, 0), year)",
        "People to be served: there is a number for this year and branch already.",
    )
    _number_not_negative = models.Constraint(
        "CHECK (number >= 0)", "People: the number can not be below zero."
    )
    _year_plausible = models.Constraint(
        "CHECK (year BETWEEN 1900 AND 2200)", "Year: a year is expected, e.g. 2026."
    )

    def _get_touched_period(self):
        """The number holds until there is another one."""
        return date(self.year, 1, 1), self.company_id._get_library_today()
