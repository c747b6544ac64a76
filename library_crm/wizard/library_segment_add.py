from odoo import Command, api, fields, models


class LibrarySegmentAdd(models.TransientModel):
    """Puts chosen patrons on a list that is kept by hand."""

    _name = "library.segment.add"
    _description = "Add Patrons to a List"

    patron_ids = fields.Many2many(
        "library.patron",
        required=True,
        default=lambda self: self._default_patrons(),
    )
    segment_id = fields.Many2one(
        "library.segment",
        string="List",
        ondelete="cascade",
        domain="[('kind', '=', 'list')]",
    )
    name = fields.Char(string="Or a New One")

    @api.model
    def _default_patrons(self):
        if self.env.context.get("active_model") == "library.patron":
            return self.env.context.get("active_ids")
        return False

    def action_add(self):
        self.ensure_one()
        segment = self.segment_id or self.env["library.segment"].create(
            {"name": self.name, "kind": "list"}
        )
        segment.listed_patron_ids = [Command.link(id_) for id_ in self.patron_ids.ids]
        return {
            "type": "ir.actions.act_window",
            "res_model": "library.segment",
            "res_id": segment.id,
            "view_mode": "form",
        }
