from odoo import api, models
from odoo.tools import SQL

from ..report.library_survey_figures import FEWEST_ANSWERS


class LibraryIndicatorMeasure(models.AbstractModel):
    """What people answered, of which a figure is told from ten answers on."""

    _inherit = "library.indicator.measure"

    @api.model
    def _get_labels(self):
        return {
            **super()._get_labels(),
            "nps_answers": self.env._("Answers on recommendation"),
            "nps_balance": self.env._("Promoters less detractors"),
            "csat_answers": self.env._("Answers on satisfaction"),
            "csat_satisfied": self.env._("Answers of 4 or 5 on satisfaction"),
            "csat_points": self.env._("Sum of the answers on satisfaction, 1 to 5"),
        }

    @api.model
    def _get_queries(self, company, names, months):
        asked = {
            "nps_answers",
            "nps_balance",
            "csat_answers",
            "csat_satisfied",
            "csat_points",
        }
        queries = super()._get_queries(company, names, months)
        if asked & names:
            queries = [*queries, self._query_answers(company, months)]
        return queries

    @api.model
    def _query_answers(self, company, months):
        """A score is of ten answers or more, as everywhere where surveys are told.

        Cost: one pass over the answers on a scale.
        """
        first, end = self._get_period(months)
        scores = SQL(
            """
            SELECT counted.measure, '' AS category,
                   coalesce(answer.branch_id, -1) AS branch_id,
                   date_trunc('month', answer.date)::date AS month,
                   sum(counted.amount) AS amount
              FROM (%s) answer,
                   LATERAL (VALUES
                       ('nps_answers', (answer.nps IS NOT NULL)::int),
                       ('nps_balance', answer.nps / 100),
                       ('csat_answers', (answer.csat IS NOT NULL)::int),
                       ('csat_satisfied', answer.csat / 100),
                       ('csat_points', answer.csat_mean)
                   ) counted (measure, amount)
             WHERE answer.company_id = %s
               AND answer.date >= %s
               AND answer.date < %s
          GROUP BY 1, 3, 4
            """,
            self.env["library.survey.result"]._table_query,
            company.id,
            first,
            end,
        )
        return SQL(
            """
            SELECT measure, category, branch_id, month,
                   CASE WHEN measure NOT IN ('nps_answers', 'csat_answers')
                          OR amount >= %(fewest)s THEN amount END,
                   CASE WHEN measure NOT IN ('nps_answers', 'csat_answers')
                          OR amount_year >= %(fewest)s THEN amount_year END
              FROM (%(sums)s) AS answers (
                   measure, category, branch_id, month, amount, amount_year
                   )
            """,
            sums=self._sum_up(scores),
            fewest=FEWEST_ANSWERS,
        )
