import secrets

from odoo import api, fields, models
from odoo.fields import NO_ACCESS


class ResCompany(models.Model):
    _inherit = "res.company"
    _library_personal_data = {"*": "setting"}

    library_minor_age = fields.Integer(
        string="Age of Own Consent",
        default=16,
        help="Who is younger agrees through the guardian, who also gets what is meant "
        "for them. 0: everybody agrees for themselves.",
    )
    library_tombstone_key = fields.Char(
        required=True,
        copy=False,
        groups=NO_ACCESS,
        default=lambda self: secrets.token_hex(32),
        help="Without it nobody can tell by trying card numbers who was erased.",
    )
    library_weekly_cap = fields.Integer(
        string="Mails a Week at Most",
        default=3,
        help="How many mails of journeys and mailings a patron gets within a week; 0: "
        "no limit. Messages that can not be refused are not held back.",
    )

    library_fiscal_month = fields.Selection(
        [
            ("1", "January"),
            ("2", "February"),
            ("3", "March"),
            ("4", "April"),
            ("5", "May"),
            ("6", "June"),
            ("7", "July"),
            ("8", "August"),
            ("9", "September"),
            ("10", "October"),
            ("11", "November"),
            ("12", "December"),
        ],
        string="Fiscal Year Starts in",
        required=True,
        default="1",
        help="Targets and annual figures are of fiscal years. A year has the number of "
        "the calendar year in which it ends: from July 2026 on it is 2027.",
    )
    library_value_table_id = fields.Many2one(
        "library.value.table",
        string="Value Table for Patrons",
        domain="[('company_id', 'in', (id, False))]",
        ondelete="set null",
        help="The prices by which patrons are told what their use was worth. Empty: "
        "they are told how much they used.",
    )

    library_use_since = fields.Date(
        string="Uses Kept Since",
        readonly=True,
        copy=False,
        help="Rows of use before this day were counted and deleted; none are added.",
    )

    _library_minor_age_plausible = models.Constraint(
        "CHECK (library_minor_age BETWEEN 0 AND 25)",
        "Age of own consent: an age between 0 and 25 is expected.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        companies = super().create(vals_list)
        self.env["library.retention.rule"]._add_missing()
        return companies

    def write(self, vals):
        result = super().write(vals)
        if "library_fiscal_month" in vals:
            for company in self:
                self.env["library.indicator.value"]._set_fiscal_years(company)
        return result

    def _get_library_tz(self):
        """The clock of the library: its month ends when it does there."""
        self.ensure_one()
        return self.partner_id.tz or "UTC"

    def _get_library_today(self):
        """The day on the clock of the library."""
        return fields.Date.context_today(self.with_context(tz=self._get_library_tz()))

    def _get_library_fiscal_shift(self):
        """After how many more months the calendar year is the fiscal year."""
        self.ensure_one()
        return (13 - int(self.library_fiscal_month)) % 12
