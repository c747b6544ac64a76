from odoo import fields, models


class LibraryJourney(models.Model):
    """How many text messages a journey has sent."""

    _inherit = "library.journey"

    texted_count = fields.Integer(string="Texts Sent", compute="_compute_texted_count")

    def _compute_texted_count(self):
        counts = dict(
            self.env["library.journey.result"]
            .sudo()
            ._read_group(
                [("journey_id", "in", self.ids)], ["journey_id"], ["texted:sum"]
            )
        )
        for journey in self:
            journey.texted_count = counts.get(journey, 0)
