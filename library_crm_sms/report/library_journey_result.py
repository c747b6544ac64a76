from odoo import fields, models
from odoo.tools import SQL


class LibraryJourneyResult(models.Model):
    """Text messages are counted apart from mails: nobody sees them opened."""

    _inherit = "library.journey.result"
    _depends = {"library.journey.event": ["text_status"]}

    texted = fields.Integer(string="Texts Sent", readonly=True)
    delivered = fields.Integer(string="Texts Delivered", readonly=True)

    def _get_counts(self):
        texts = SQL(
            "event.what = 'texted' AND event.is_together IS NOT TRUE "
            "AND event.text_status IS DISTINCT FROM 'canceled'"
        )
        return {
            **super()._get_counts(),
            "texted": texts,
            "delivered": SQL("event.text_status = 'sent' AND %s", texts),
        }
