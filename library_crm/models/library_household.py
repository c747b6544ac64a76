from odoo import fields, models


class LibraryHousehold(models.Model):
    """Patrons who live together and may be written to once."""

    _name = "library.household"
    _description = "Household"
    _order = "name, id"
    _check_company_auto = True
    _library_personal_data = {"*": "family"}

    name = fields.Char(required=True)
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    patron_ids = fields.One2many("library.patron", "household_id", string="Members")
    patron_count = fields.Integer(
        string="Member Count", compute="_compute_patron_count"
    )

    def _compute_patron_count(self):
        counts = dict(
            self.env["library.patron"]._read_group(
                [("household_id", "in", self.ids)], ["household_id"], ["__count"]
            )
        )
        for household in self:
            household.patron_count = counts.get(household, 0)
