from odoo import api, fields, models
from odoo.fields import Domain


class SurveyUserInputLine(models.Model):
    """A rating of a gap question is a line of its own: item, level and a number from 1
    to 9. *No opinion* is a skipped line of the item. What people wrote is searched, and
    read beside when and where they wrote it."""

    _inherit = "survey.user_input.line"
    _library_personal_data = {
        "*": "answer",
        "value_char_box": "answer",
        "value_text_box": "answer",
        "value_numerical_box": "answer",
        "value_date": "answer",
        "value_datetime": "answer",
        "value_scale": "answer",
        "suggested_answer_id": "answer",
    }

    library_gap_level = fields.Selection(
        [
            ("minimum", "Minimum"),
            ("desired", "Desired"),
            ("perceived", "Perceived"),
            ("no_opinion", "No opinion"),
        ],
        string="Level",
        readonly=True,
    )

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

    _library_gap_rating = models.Constraint(
        """CHECK (
            library_gap_level IS NULL
            OR matrix_row_id IS NOT NULL
            AND (library_gap_level = 'no_opinion' OR value_scale BETWEEN 1 AND 9)
        )""",
        "Level: a rating of an item is a number from 1 to 9.",
    )
    _library_gap_uniq = models.UniqueIndex(
        "(user_input_id, matrix_row_id, library_gap_level) "
        "WHERE library_gap_level IS NOT NULL",
        "Level: this item is rated already.",
    )

    @api.depends("library_gap_level", "matrix_row_id.value", "value_scale")
    def _compute_display_name(self):
        result = super()._compute_display_name()
        levels = dict(
            self._fields["library_gap_level"]._description_selection(self.env)
        )
        for line in self.filtered("library_gap_level"):
            level = levels[line.library_gap_level]
            if line.library_gap_level != "no_opinion":
                level = f"{level} {line.value_scale}"
            line.display_name = f"{line.matrix_row_id.value}: {level}"
        return result

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

    def _get_gap_ratings(self):
        """:return: of these lines the ratings by item id and level; True for no
        opinion"""
        ratings = {}
        for line in self.filtered("library_gap_level"):
            ratings.setdefault(line.matrix_row_id.id, {})[line.library_gap_level] = (
                line.value_scale or True
            )
        return ratings
