import secrets

from odoo import fields, models
from odoo.fields import NO_ACCESS


class ResCompany(models.Model):
    _inherit = "res.company"

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

    _library_minor_age_plausible = models.Constraint(
        "CHECK (library_minor_age BETWEEN 0 AND 25)",
        "Age of own consent: an age between 0 and 25 is expected.",
    )
