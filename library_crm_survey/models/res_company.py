from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    library_survey_fatigue_days = fields.Integer(
        string="Days Between Surveys",
        default=90,
        help="So many days a patron is left in peace after being asked, whatever the "
        "survey; a round of asking starts with it. 0: no limit.",
    )
