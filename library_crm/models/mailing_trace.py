from odoo import api, fields, models


class MailingTrace(models.Model):
    """What was sent to a patron is found from the patron, and seen by whoever sees the
    patron."""

    _inherit = "mailing.trace"

    library_patron_id = fields.Many2one(
        "library.patron",
        string="Patron",
        compute="_compute_library_patron_id",
        store=True,
        precompute=True,
        index="btree_not_null",
        ondelete="set null",
    )

    @api.depends("model", "res_id")
    def _compute_library_patron_id(self):
        for trace in self:
            trace.library_patron_id = (
                trace.res_id if trace.model == "library.patron" else False
            )
