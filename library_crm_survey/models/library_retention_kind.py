from odoo import api, models
from odoo.tools import SQL

from odoo.addons.library_crm.models.library_retention_kind import Kept


class LibraryRetentionKind(models.AbstractModel):
    """For how long it is known who answered what, and who was asked."""

    _inherit = "library.retention.kind"

    @api.model
    def _get_kinds(self):
        env = self.env
        return {
            **super()._get_kinds(),
            "answer": Kept(
                env._("Answers to surveys"),
                env._(
                    "24 months: who answered can be called back, and a year compared "
                    "with the one before. Answers then stay as counts, without what "
                    "was written in words."
                ),
                24,
                "month",
                {
                    "pseudonymise": env._(
                        "Your name and what you wrote in words are deleted %(period)s "
                        "after the answer."
                    )
                },
                batch=100,
                least=30,
                least_why=env._(
                    "Who is unhappy is called back within weeks; 30 days is the least."
                ),
            ),
            "invitation": Kept(
                env._("Who was asked in surveys"),
                env._("12 months: so that nobody is asked too often in a year."),
                12,
                "month",
                {
                    "pseudonymise": env._(
                        "Your name is taken off %(period)s after you were asked."
                    )
                },
                batch=5000,
                least=90,
                least_why=env._("Whom to leave in peace is read back so far."),
            ),
        }

    def _query_due_answer(self, rule, before):
        """Also those that were begun and never finished."""
        return self._select(
            "survey.user_input",
            [
                ("library_patron_id.company_id", "=", rule.company_id.id),
                ("create_date", "<", before),
            ],
            "create_date",
        )

    def _pseudonymise_answer(self, rule, ids, before):
        self.env["survey.user_input"].sudo().browse(ids)._forget_patron()

    def _query_due_invitation(self, rule, before):
        """Rounds that still go on need to know whom they asked."""
        return self._select(
            "library.survey.invitation",
            [
                ("patron_id.company_id", "=", rule.company_id.id),
                ("asked_on", "<", before),
                ("round_id.state", "=", "closed"),
            ],
            "asked_on",
        )

    def _pseudonymise_invitation(self, rule, ids, before):
        self.env.cr.execute(
            SQL(
                "UPDATE library_survey_invitation SET patron_id = NULL "
                "WHERE id = ANY(%s)",
                ids,
            )
        )
