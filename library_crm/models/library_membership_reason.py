from odoo import fields, models


class LibraryMembershipReason(models.Model):
    """Why a membership was cancelled or suspended. A cancellation always has one."""

    _name = "library.membership.reason"
    _description = "Membership Reason"
    _order = "sequence, name, id"
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    applies_to = fields.Selection(
        [("cancel", "Cancellation"), ("suspend", "Suspension")],
        required=True,
        default="cancel",
    )
    is_leaving = fields.Boolean(
        string="Counts as Leaving",
        default=True,
        help="Off for a change of plan or a duplicate card: the patron has not left.",
    )
