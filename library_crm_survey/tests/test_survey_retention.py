from datetime import timedelta

from odoo import fields
from odoo.tests import tagged
from odoo.tools import SQL

from .common import RoundCommon


@tagged("post_install", "-at_install")
class TestSurveyRetention(RoundCommon):
    """After a time it is not known any more who answered, and results stay."""

    def _set_old(self, records, field="create_date"):
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE %s SET %s = %s WHERE id = ANY(%s)",
                SQL.identifier(records._table),
                SQL.identifier(field),
                fields.Datetime.now() - timedelta(days=900),
                records.ids,
            )
        )
        self.env.invalidate_all()

    def test_old_answers_stay_as_counts_of_nobody(self):
        yes = self.survey.question_ids[2].suggested_answer_ids[0]
        old, new = (
            self._finish(
                self._begin(self.survey, patron), score, "Private words", yes.id
            )
            for patron, score in ((self.amal, 9), (self.bruno, 3))
        )
        self._set_old(old)
        begun = self._begin(self.survey)
        self._set_old(begun)

        def read():
            return self.env["library.survey.result"]._read_group(
                [("survey_id", "=", self.survey.id)],
                ["date:month", "metric"],
                ["nps_answers:sum", "nps:avg"],
            )

        results = read()
        self.assertEqual(self._run_retention("answer"), {"answer": 2})
        self.assertFalse(begun.exists(), "It was never finished")
        self.assertFalse(old.library_patron_id or old.partner_id or old.email)
        self.assertNotIn("Private", str(old.user_input_line_ids.read(load=None)))
        self.assertEqual(new.library_patron_id, self.bruno)
        self.assertEqual(read(), results)
        self.assertEqual(self._run_retention("answer"), {"answer": 0})

    def test_who_was_asked_is_forgotten_when_the_round_is_over_and_counted(self):
        asking = self.env["library.survey.round"].create(
            {
                "name": "Old round",
                "company_id": self.library.id,
                "survey_id": self.survey.id,
            }
        )
        invitation = self.env["library.survey.invitation"].create(
            {
                "round_id": asking.id,
                "patron_id": self.amal.id,
                "place": 1,
                "state": "asked",
                "asked_on": fields.Date.today() - timedelta(days=500),
            }
        )
        asking.state = "running"
        self.assertEqual(self._run_retention("invitation"), {"invitation": 0})
        asking.state = "closed"
        self.assertEqual(self._run_retention("invitation"), {"invitation": 1})
        self.assertFalse(invitation.patron_id)
        self.assertEqual(asking.invited_count, 1)
