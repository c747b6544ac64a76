from odoo import api, fields, models


class LibraryPrivacyEntry(models.TransientModel):
    """A line of the record of what is held about people: what an authority asks for.

    The lines are made of the register, the real fields and the rules of the day when
    somebody opens the record, and Odoo forgets them soon after.
    """

    _name = "library.privacy.entry"
    _description = "What Is Held and Why"
    _order = "id"
    _rec_name = "field_label"

    category = fields.Selection(
        lambda self: list(
            self.env["library.privacy.register"]._get_categories().items()
        ),
        readonly=True,
    )
    kind = fields.Char(string="Data", readonly=True)
    model_label = fields.Char(string="Record", readonly=True)
    field_label = fields.Char(string="Field", readonly=True)
    name = fields.Char(string="Technical Name", readonly=True)
    purpose = fields.Text(string="What For", readonly=True)
    basis = fields.Selection(
        lambda self: list(self.env["library.privacy.register"]._get_bases().items()),
        string="Legal Ground",
        readonly=True,
    )
    kept = fields.Text(string="For How Long", readonly=True)
    readers = fields.Char(string="Who Sees It", readonly=True)

    @api.model
    def action_open(self):
        """Write the record anew, of the library of the user, and show it."""
        self.check_access("read")
        entries = self.sudo().create(self._prepare_entries(self.env.company))
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_privacy_entry_action"
            ),
            "domain": repr([("id", "in", entries.ids)]),
        }

    @api.model
    def _prepare_entries(self, company):
        """:rtype: list[dict]"""
        Register = self.env["library.privacy.register"]
        kinds = Register._get_kinds()
        get_readers = Register._get_readers()
        kept = {name: Register._say_kept(kind, company) for name, kind in kinds.items()}
        return [
            {
                "category": kinds[name].category,
                "kind": kinds[name].label,
                "model_label": self.env["ir.model"]._get(model._name).name,
                "field_label": field._description_string(self.env),
                "name": f"{model._name}.{field.name}",
                "purpose": kinds[name].purpose,
                "basis": kinds[name].basis,
                "kept": kept[name],
                "readers": ", ".join(get_readers(model, field)) or self.env._("nobody"),
            }
            for model, field, name in Register._get_sorted_entries()
        ]
