from odoo import fields, models


class CrmLostReason(models.Model):
    _inherit = "crm.lost.reason"
    _library_personal_data = {"*": "setting"}

    library_answer = fields.Text(
        string="Answer",
        translate=True,
        help="What is written to somebody who asked to join on the join form. Empty: "
        "that they can ask why. The reason itself is for the staff.",
    )
