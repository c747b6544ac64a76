from odoo import fields, models


class CrmTeam(models.Model):
    _inherit = "crm.team"
    _library_personal_data = {"*": "setting"}

    library_purpose = fields.Selection(
        [
            ("acquisition", "New patrons"),
            ("service", "Service requests"),
            ("win_back", "Win back"),
        ],
        help="What this team does for the library. Its requests move on the team's "
        "own stages only, and new requests of that kind come to it.",
    )
