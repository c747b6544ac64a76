from ast import literal_eval

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .library_patron import SATISFACTION


class LibraryJourney(models.Model):
    """A journey can follow an answer to a survey: any, or only an unhappy or a happy
    one.

    It is about answers by name, to an invitation or behind a login: anonymous ones
    lead to nobody, and anybody can type anybody's address into a public survey. Who
    follows because of what they said is seen by those who read answers, and nobody
    else.
    """

    _inherit = "library.journey"

    trigger = fields.Selection(
        selection_add=[("survey", "Answered a survey"), ("domain",)],
        ondelete={"survey": lambda journeys: journeys._lose_trigger()},
    )
    survey_id = fields.Many2one(
        "survey.survey",
        index="btree_not_null",
        ondelete="restrict",
        domain="[('library_company_id', '=', company_id), "
        "('library_template', '=', False)]",
        help="Empty: any survey of the library.",
    )
    survey_satisfaction = fields.Selection(
        SATISFACTION,
        string="Who Is",
        help="By what they answered; empty: whoever has answered.",
    )
    survey_metric = fields.Selection(
        [
            ("nps", "Recommendation (NPS)"),
            ("csat", "Satisfaction (CSAT)"),
            ("effort", "Effort"),
        ],
        string="Going By",
        help="Empty: by whichever of them was asked; one unhappy score is enough to be "
        "unhappy.",
    )
    tells_answers = fields.Boolean(
        compute="_compute_tells_answers",
        store=True,
        help="Being on this journey tells what somebody answered.",
    )

    @api.depends(
        *("trigger", "survey_satisfaction", "patron_domain", "exit_domain"),
        "step_ids.domain",
    )
    def _compute_tells_answers(self):
        readers = "survey.group_survey_user"
        for journey in self:
            domains = [journey.patron_domain, journey.exit_domain]
            domains += journey.step_ids.mapped("domain")
            journey.tells_answers = journey._goes_by_satisfaction() or any(
                readers in (groups or "")
                for domain in domains
                for groups in self.env["library.patron"]._iter_asked_groups(
                    literal_eval(domain or "[]")
                )
            )

    def _goes_by_satisfaction(self):
        return self.trigger == "survey" and bool(self.survey_satisfaction)

    @api.depends("survey_satisfaction")
    def _compute_is_private(self):
        return super()._compute_is_private()

    def _is_trigger_private(self):
        return super()._is_trigger_private() or self._goes_by_satisfaction()

    def _may_see_names(self):
        return super()._may_see_names() and (
            not self.tells_answers
            or self.env.user.has_group("survey.group_survey_user")
        )

    @api.constrains("survey_id", "company_id")
    def _check_survey(self):
        for journey in self:
            survey = journey.survey_id
            if survey and survey.library_company_id != journey.company_id:
                raise ValidationError(
                    self.env._(
                        "%(survey)s is no survey of %(library)s: its answers lead to "
                        "none of the library's patrons.",
                        survey=survey.title,
                        library=journey.company_id.name,
                    )
                )

    # ------------------------------------------------------------
    # WHO ENTERS
    # ------------------------------------------------------------

    @api.model
    def _get_trigger_fields(self):
        fields_ = {"survey_id", "survey_satisfaction", "survey_metric"}
        return super()._get_trigger_fields() | fields_

    @api.model
    def _get_revocable_triggers(self):
        """An answer that was deleted is none."""
        return (*super()._get_revocable_triggers(), "survey")

    def _query_occasions_survey(self, first, last):
        """Each day on which a patron answered."""
        Answer = self.env["survey.user_input"]
        conditions = [
            Answer._sql_by_name(),
            SQL("answer.library_answered_on BETWEEN %s AND %s", first, last),
        ]
        if self.survey_id:
            conditions.append(SQL("answer.survey_id = %s", self.survey_id.id))
        if self.survey_satisfaction:
            conditions.append(
                SQL(
                    "%s = %s",
                    Answer._sql_satisfaction(self.survey_metric),
                    self.survey_satisfaction,
                )
            )
        return SQL(
            """
            SELECT answer.library_patron_id, answer.library_answered_on
              FROM survey_user_input answer
             WHERE %s
          GROUP BY 1, 2
            """,
            SQL(" AND ").join(conditions),
        )
