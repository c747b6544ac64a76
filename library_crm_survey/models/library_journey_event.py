from odoo import fields, models


class LibraryJourneyEvent(models.Model):
    """Why a survey was not sent."""

    _inherit = "library.journey.event"

    reason = fields.Selection(
        selection_add=[
            ("asked_lately", "Was asked lately"),
            ("round_closed", "Nobody is asked any more"),
        ]
    )
