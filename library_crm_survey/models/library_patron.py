from odoo import fields, models


class LibraryPatron(models.Model):
    """What a patron answered."""

    _inherit = "library.patron"

    survey_input_ids = fields.One2many(
        "survey.user_input",
        "library_patron_id",
        string="Survey Answers",
        groups="survey.group_survey_user",
    )
    survey_input_count = fields.Integer(
        string="Answers",
        compute="_compute_survey_input_count",
        groups="library_crm.group_library_user,library_crm.group_library_marketing",
        help="Surveys that the patron has completed.",
    )

    def unlink(self):
        """What patrons answered goes on counting; that it was they does not."""
        if not self.env.context.get("library_merge"):
            self.sudo().survey_input_ids._anonymise()
        return super().unlink()

    def _merge(self, others):
        """What others answered goes with them; their contacts are merged only later,
        so until then nothing would lead from an answer to its patron."""
        answers = others.survey_input_ids
        result = super()._merge(others)
        answers.library_patron_id = self
        return result

    def _compute_survey_input_count(self):
        """The desk may know that somebody answered, not what: hence sudo for the
        count of patrons who are already readable."""
        counts = dict(
            self.env["survey.user_input"]
            .sudo()
            ._read_group(
                [("library_patron_id", "in", self.ids), ("state", "=", "done")],
                ["library_patron_id"],
                ["__count"],
            )
        )
        for patron in self:
            patron.survey_input_count = counts.get(patron.sudo(), 0)

    def action_view_survey_inputs(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_survey.survey_user_input_action"
            ),
            "domain": [("library_patron_id", "=", self.id)],
            "context": {"search_default_completed": 1},
        }
