from odoo import api, fields, models
from odoo.fields import Domain


class SurveyUserInputLine(models.Model):
    """What was answered to one question, or about one item of it, and what somebody
    said in their own words."""

    _inherit = "survey.user_input.line"

    library_gap_level = fields.Selection(
        [
            ("minimum", "Minimum"),
            ("desired", "Desired"),
            ("perceived", "Perceived"),
            ("no_opinion", "No opinion"),
        ],
        string="Level",
    )

    # Words are read beside when and where they were said.
    library_verbatim = fields.Text(
        string="In Their Words",
        compute="_compute_library_verbatim",
        search="_search_library_verbatim",
    )
    library_answered_on = fields.Date(related="user_input_id.library_answered_on")
    library_round_id = fields.Many2one(related="user_input_id.library_round_id")
    library_branch_id = fields.Many2one(related="user_input_id.library_branch_id")
    library_service_id = fields.Many2one(related="user_input_id.library_service_id")
    library_category_id = fields.Many2one(related="user_input_id.library_category_id")

    @api.depends("value_text_box", "value_char_box")
    def _compute_library_verbatim(self):
        for line in self:
            line.library_verbatim = line.value_text_box or line.value_char_box

    def _search_library_verbatim(self, operator, value):
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented
        return Domain("value_text_box", operator, value) | Domain(
            "value_char_box", operator, value
        )
