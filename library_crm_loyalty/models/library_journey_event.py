from odoo import fields, models


class LibraryJourneyEvent(models.Model):
    """Why no points were given."""

    _inherit = "library.journey.event"

    reason = fields.Selection(
        selection_add=[
            ("no_card", "Takes no part in the programme"),
            ("programme_over", "The programme is over"),
        ]
    )
