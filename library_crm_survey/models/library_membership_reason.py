from odoo import fields, models


class LibraryMembershipReason(models.Model):
    """Whether somebody who leaves for this reason is asked about it."""

    _inherit = "library.membership.reason"

    asks_why = fields.Boolean(
        string="Send the Exit Survey",
        help="Who cancels for this reason, and agreed to surveys, gets the survey that "
        "is sent when somebody leaves. Leave it off for those who have died.",
    )
