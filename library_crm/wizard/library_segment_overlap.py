from odoo import api, fields, models
from odoo.fields import Domain


class LibrarySegmentOverlap(models.TransientModel):
    """How many patrons two segments share, and how many are in one alone."""

    _name = "library.segment.overlap"
    _description = "Overlap of Two Segments"

    segment_id = fields.Many2one(
        "library.segment", required=True, ondelete="cascade", string="First"
    )
    other_id = fields.Many2one(
        "library.segment",
        required=True,
        ondelete="cascade",
        string="Second",
        domain="[('id', '!=', segment_id)]",
    )
    count_both = fields.Integer(string="In Both", compute="_compute_counts")
    count_first = fields.Integer(string="In the First Alone", compute="_compute_counts")
    count_second = fields.Integer(
        string="In the Second Alone", compute="_compute_counts"
    )
    share_first = fields.Float(string="Of the First", compute="_compute_counts")
    share_second = fields.Float(string="Of the Second", compute="_compute_counts")

    @api.depends("segment_id", "other_id")
    def _compute_counts(self):
        for overlap in self:
            if not (overlap.segment_id and overlap.other_id):
                overlap.count_both = overlap.count_first = overlap.count_second = 0
                overlap.share_first = overlap.share_second = 0
                continue
            counts = [
                self.env["library.patron"].search_count(overlap._get_part(part))
                for part in ("both", "first", "second")
            ]
            overlap.count_both, overlap.count_first, overlap.count_second = counts
            first, second = counts[0] + counts[1], counts[0] + counts[2]
            overlap.share_first = counts[0] / first if first else 0
            overlap.share_second = counts[0] / second if second else 0

    def _get_part(self, part):
        """The patrons of a part, as a domain.

        :param str part: ``both``, ``first`` (alone) or ``second`` (alone)
        """
        first = Domain("segment_ids", "in", self.segment_id.ids)
        second = Domain("segment_ids", "in", self.other_id.ids)
        return {
            "both": first & second,
            "first": first & ~second,
            "second": second & ~first,
        }[part]

    def action_view(self):
        """List the patrons of the part that the button names."""
        self.ensure_one()
        part = self.env.context["library_part"]
        names = {"first": self.segment_id.name, "second": self.other_id.name}
        title = {
            "both": self.env._("%(first)s and %(second)s", **names),
            "first": self.env._("%(first)s, not %(second)s", **names),
            "second": self.env._("%(second)s, not %(first)s", **names),
        }[part]
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_patron_action"
            ),
            "name": title,
            "display_name": title,
            "domain": list(self._get_part(part)),
        }
