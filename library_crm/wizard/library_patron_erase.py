from odoo import api, fields, models
from odoo.fields import Command


class LibraryPatronErase(models.TransientModel):
    """Erase patrons: first what would be removed and kept, then it is done. It can not
    be undone."""

    _name = "library.patron.erase"
    _description = "Erase Patrons"

    patron_ids = fields.Many2many("library.patron", string="Patrons", required=True)
    line_ids = fields.One2many(
        "library.patron.erase.line",
        "wizard_id",
        compute="_compute_line_ids",
        store=True,
        string="What Is Held",
    )
    obstacle = fields.Text(compute="_compute_obstacle")
    kept_contact = fields.Text(
        string="The Contact Stays", compute="_compute_kept_contact"
    )
    has_children = fields.Boolean(compute="_compute_obstacle")
    new_guardian_id = fields.Many2one(
        "library.patron",
        help="Who looks after the children from now on.",
    )
    is_told = fields.Boolean(
        string="Tell the Person by Mail",
        help="A mail with what was removed and kept goes to the address, before the "
        "address is removed.",
    )
    origin = fields.Selection(
        [("staff", "The staff"), ("person", "The patron or the guardian")],
        string="Asked for by",
        required=True,
        default="staff",
    )

    @api.depends("patron_ids")
    def _compute_line_ids(self):
        label = self.env["ir.model"].sudo()._get
        for wizard in self:
            counts = {}
            reasons = wizard.patron_ids._get_kept_reasons()
            for patron in wizard.patron_ids._origin:
                for name, records in patron._find_personal_records().items():
                    if name not in patron._UNTOLD:
                        counts[name] = counts.get(name, 0) + len(records)
            wizard.line_ids = [
                Command.clear(),
                *(
                    Command.create(
                        {
                            "what": label(name).name,
                            "count": count,
                            "reason": reasons.get(name),
                        }
                    )
                    for name, count in counts.items()
                ),
            ]

    @api.depends("patron_ids", "new_guardian_id")
    def _compute_obstacle(self):
        for wizard in self:
            patrons = wizard.patron_ids._origin
            wizard.has_children = bool(patrons.dependant_ids - patrons)
            wizard.obstacle = (
                False
                if wizard.new_guardian_id
                else "\n".join(patrons._get_erasure_obstacles())
            )

    @api.depends("patron_ids")
    def _compute_kept_contact(self):
        for wizard in self:
            patrons = wizard.patron_ids._origin
            told = []
            for patron in patrons:
                holders = patron._get_contact_holders(patron.partner_id, going=patrons)
                if holders:
                    told.append(f"{patron.complete_name}: {', '.join(holders)}")
            wizard.kept_contact = "\n".join(told)

    def action_erase(self):
        """Erase, and show what was done.

        :raise UserError: if somebody can not be erased; it says why
        """
        self.ensure_one()
        self.patron_ids.check_access("unlink")
        if self.new_guardian_id:
            self.new_guardian_id.check_access("read")
        erasures = self.patron_ids._erase(
            self.origin, self.new_guardian_id, self.is_told
        )
        action = self.env["ir.actions.actions"]._for_xml_id(
            "library_crm.library_erasure_action"
        )
        # No way back to the page of who is gone.
        action["target"] = "main"
        if len(erasures) == 1:
            return {**action, "views": [(False, "form")], "res_id": erasures.id}
        return action


class LibraryPatronEraseLine(models.TransientModel):
    """How much of a kind is held, and what would be kept of it."""

    _name = "library.patron.erase.line"
    _description = "What Is Held about Patrons to Be Erased"

    wizard_id = fields.Many2one("library.patron.erase", ondelete="cascade")
    what = fields.Char(readonly=True)
    count = fields.Integer(string="Records", readonly=True)
    reason = fields.Char(string="If Some Is Kept, Because", readonly=True)
