from odoo import models
from odoo.fields import Domain

from .library_survey_overview import SCORES


class LibraryAnnualReport(models.TransientModel):
    """How satisfied people were, among the figures of the year."""

    _inherit = "library.annual.report"

    def _read_satisfaction(self, start, end):
        """The scores of the year, each with its margin and its number of answers; of
        too few answers there is none."""
        domain = Domain("company_id", "=", self.company_id.id)
        domain &= Domain("date", ">=", start) & Domain("date", "<=", end)
        if self.branch_id:
            domain &= Domain("branch_id", "=", self.branch_id.id)
        Result = self.env["library.survey.result"]
        specs = Result._get_figure_specs()
        [figures] = Result._read_group(domain, [], list(specs.values()))
        figures = dict(zip(specs, figures, strict=True))
        Overview = self.env["library.survey.overview"]
        scores = [
            Overview._prepare_score(figures, *score)
            for score in SCORES
            if figures[score[0]] is not False
        ]
        return [
            *super()._read_satisfaction(start, end),
            *(
                (
                    score["name"],
                    f"{score['value']} ± {score['margin']} ({score['answers_text']})",
                )
                for score in scores
            ),
        ]
