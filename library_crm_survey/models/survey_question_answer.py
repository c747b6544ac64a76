from odoo import api, fields, models


class SurveyQuestionAnswer(models.Model):
    """A choice, or an item of a gap question. Of an answered question none is taken
    away, moved or, where all of them are rated together, added."""

    _inherit = "survey.question.answer"
    _library_personal_data = {"*": "setting"}

    library_dimension = fields.Selection(
        [
            ("affect", "How we are served"),
            ("control", "Finding what is needed"),
            ("place", "The library as a place"),
        ],
        string="Dimension",
        help="Of an item of a gap question: affect of service, information control or "
        "library as place.",
    )
    library_interest_id = fields.Many2one(
        "library.interest",
        string="Interest",
        index="btree_not_null",
        ondelete="set null",
        help="Patrons who choose this, and agree, have the interest on their page.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        choices = super().create(vals_list)
        choices.matrix_question_id.filtered(
            lambda question: question.question_type == "library_gap"
        )._check_unanswered()
        return choices

    def write(self, vals):
        moved = self.filtered(
            lambda choice: any(
                name in vals and choice[name].id != vals[name]
                for name in ("question_id", "matrix_question_id")
            )
        )
        (moved.question_id | moved.matrix_question_id)._check_unanswered()
        if vals.keys() & {"library_dimension"}:
            self.matrix_question_id._check_unanswered()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_answered(self):
        (self.question_id | self.matrix_question_id)._check_unanswered()
