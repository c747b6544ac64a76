from odoo import api, fields, models
from odoo.exceptions import ValidationError


class LibraryInterest(models.Model):
    """A topic a patron told us about. It is said by the patron, never inferred from
    what somebody borrowed or read."""

    _name = "library.interest"
    _description = "Interest"
    _order = "complete_name, id"
    _parent_store = True
    _rec_name = "complete_name"
    _rec_names_search = ["complete_name"]
    _library_personal_data = {"*": "setting", "patron_ids": "preference"}

    name = fields.Char(required=True, translate=True)
    complete_name = fields.Char(
        compute="_compute_complete_name", recursive=True, store=True
    )
    parent_id = fields.Many2one(
        "library.interest", string="Part of", index=True, ondelete="restrict"
    )
    parent_path = fields.Char(index=True)
    child_ids = fields.One2many("library.interest", "parent_id", string="Parts")
    active = fields.Boolean(default=True)
    color = fields.Integer()
    portal_published = fields.Boolean(
        string="Offered in the Portal",
        default=True,
        help="Patrons may choose it themselves on their page.",
    )
    patron_ids = fields.Many2many("library.patron", string="Patrons")
    patron_count = fields.Integer(compute="_compute_patron_count")

    _name_parent_uniq = models.UniqueIndex(
        "(COALESCE(parent_id, 0), (name->>'en_US'))",
        "Interest: this one is already in the list.",
    )

    @api.depends("name", "parent_id.complete_name")
    def _compute_complete_name(self):
        for interest in self:
            parent = interest.parent_id.complete_name
            interest.complete_name = (
                f"{parent} / {interest.name}" if parent else interest.name
            )

    @api.constrains("parent_id")
    def _check_parent_is_no_part(self):
        if self._has_cycle():
            raise ValidationError(
                self.env._("Part of: an interest can not be part of itself.")
            )

    def _compute_patron_count(self):
        counts = dict(
            self.env["library.patron"]._read_group(
                [("interest_ids", "in", self.ids)], ["interest_ids"], ["__count"]
            )
        )
        for interest in self:
            interest.patron_count = counts.get(interest, 0)
