from odoo import fields, models


class LibraryMembershipRenewal(models.Model):
    """One renewal of a membership: from which end to which end, by whom, for how
    much. Rows are added and never changed, so the history is whole."""

    _name = "library.membership.renewal"
    _description = "Membership Renewal"
    _order = "date desc, id desc"
    _rec_name = "membership_id"
    _library_personal_data = {"*": "membership", "user_id": "staff"}

    membership_id = fields.Many2one(
        "library.membership", required=True, index=True, ondelete="cascade"
    )
    patron_id = fields.Many2one(
        related="membership_id.patron_id", store=True, index=True
    )
    company_id = fields.Many2one(related="membership_id.company_id", store=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    date = fields.Date(string="Renewed on", required=True)
    old_end = fields.Date(required=True)
    new_end = fields.Date(required=True)
    fee = fields.Monetary()
    user_id = fields.Many2one(
        "res.users", string="Renewed by", default=lambda self: self.env.user
    )

    _end_moves_on = models.Constraint(
        "CHECK (new_end > old_end)", "New end: a renewal must extend the membership."
    )
