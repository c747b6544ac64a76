from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from .common import RoundCommon


@tagged("post_install", "-at_install")
class TestSurveyLoop(RoundCommon):
    """Who is unhappy is called, if they agreed; who is happy is thanked."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.main.manager_id = cls.manager

    def _request(self, answer):
        return self.env["crm.lead"].search([("library_answer_id", "=", answer.id)])

    def _thanked(self):
        return self.env["mail.mail"].search(
            [("subject", "=", "Thank you for your answer")]
        )

    # ------------------------------------------------------------
    # UNHAPPY
    # ------------------------------------------------------------

    def test_unhappy_answer_opens_a_request_with_a_day_to_call(self):
        self.survey.library_call_days = 2
        answer = self._answer(self.amal, score=3, text="Too loud", call=True)
        request = self._request(answer)
        self.assertEqual(request.library_request_kind, "complaint")
        self.assertEqual(request.library_patron_id, self.amal)
        self.assertEqual(request.library_branch_id, self.main)
        self.assertEqual(request.team_id.library_purpose, "service")
        self.assertEqual(request.company_id, self.library)
        self.assertEqual(request.user_id, self.manager)
        self.assertIn("Too loud", request.description)
        activity = request.activity_ids
        self.assertEqual(activity.user_id, self.manager)
        self.assertEqual(
            activity.date_deadline, fields.Date.today() + timedelta(days=2)
        )
        self.assertTrue(request.with_user(self.desk).has_access("read"))

    def test_nobody_is_called_who_did_not_agree_to_that(self):
        for call in (False, None):
            answer = self._answer(self.amal, score=0, call=call)
            self.assertFalse(answer.library_may_call)
            self.assertFalse(self._request(answer))

    def test_where_unhappiness_begins(self):
        for score, unhappy in [(0, True), (6, True), (7, False), (10, False)]:
            answer = self._answer(self.amal, score=score, call=True)
            self.assertEqual(bool(self._request(answer)), unhappy, score)

    def test_low_satisfaction_and_high_effort_are_unhappy(self):
        for metric, scores in [
            ("csat", {1: True, 2: True, 3: False, 5: False}),
            ("effort", {1: False, 3: False, 4: True, 5: True}),
        ]:
            self.survey.user_input_ids.unlink()
            self.recommend.library_metric = metric
            for score, unhappy in scores.items():
                answer = self._answer(self.amal, score=score, call=True)
                with self.subTest(metric=metric, score=score):
                    self.assertEqual(bool(self._request(answer)), unhappy)

    def test_request_is_opened_once(self):
        answer = self._answer(self.amal, score=3, call=True)
        answer._mark_done()
        self.assertEqual(len(self._request(answer)), 1)

    def test_test_entries_open_nothing(self):
        answer = self.survey._create_answer(
            partner=self.amal.partner_id, check_attempts=False
        )
        answer.test_entry = True
        self._fill_in(answer, score=0, call=True)
        self.assertFalse(self._request(answer))
        self.assertFalse(self.amal.satisfaction)

    def test_script_in_an_answer_is_text_in_the_request(self):
        answer = self._answer(
            self.amal, score=3, text="<script>alert(1)</script>", call=True
        )
        self.assertNotIn("<script", self._request(answer).description)
        self.assertIn("alert(1)", self._request(answer).description)

    def test_days_until_it_is_closed_are_reported(self):
        answer = self._answer(self.amal, score=3, call=True)
        request = self._request(answer)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_lead SET create_date = create_date - interval '3 days' "
            "WHERE id = %s",
            request.ids,
        )
        request.invalidate_recordset()
        request.action_set_won()
        [(branch, days)] = self.env["crm.lead"]._read_group(
            [("library_answer_id", "=", answer.id)],
            ["library_branch_id"],
            ["day_close:avg"],
        )
        self.assertEqual(branch, self.main)
        self.assertAlmostEqual(days, 3, 1)

    # ------------------------------------------------------------
    # HAPPY
    # ------------------------------------------------------------

    def test_happy_patron_is_thanked(self):
        self._answer(self.amal, score=10)
        self.assertEqual(self._thanked().recipient_ids, self.amal.partner_id)

    def test_who_took_consent_back_is_not_thanked(self):
        self.env["library.consent"]._record(self.amal, self.purpose, state="withdrawn")
        self._answer(self.amal, score=10)
        self.assertFalse(self._thanked())

    def test_nobody_is_thanked_where_the_survey_does_not_do_so(self):
        self.survey.library_thanks_template_id = False
        self._answer(self.amal, score=10)
        self.assertFalse(self._thanked())

    def test_what_a_child_says_is_not_told_to_the_guardian(self):
        child = self._make_patrons(
            1,
            name="Noor",
            email="noor@test.example.com",
            guardian_id=self.bruno.id,
            patron_category_id=self.child.id,
        )
        self._answer(child, score=10)
        self.assertFalse(self._thanked())

    # ------------------------------------------------------------
    # THE FIGURE OF THE PATRON
    # ------------------------------------------------------------

    def test_patron_has_the_figure_of_the_last_answer(self):
        for score, satisfaction in [(3, "unhappy"), (8, "neutral"), (9, "happy")]:
            self._answer(self.amal, score=score)
            self.assertEqual(self.amal.satisfaction, satisfaction)
            self.assertEqual(self.amal.satisfaction_nps, str(score))
        self.assertFalse(self.amal.satisfaction_csat)
        self.assertEqual(self.amal.satisfaction_on, fields.Date.today())

    def test_segment_can_ask_for_it(self):
        self._answer(self.amal, score=3)
        self._answer(self.bruno, score=10)
        segment = self.env["library.segment"].create(
            {
                "name": "Unhappy",
                "domain": "[('satisfaction', '=', 'unhappy')]",
                "company_id": self.library.id,
            }
        )
        found = self.env["library.patron"].search(
            [("segment_ids", "in", segment.ids), ("company_id", "=", self.library.id)]
        )
        self.assertEqual(found, self.amal)

    def test_merged_patrons_keep_the_last_answer(self):
        answer = self._answer(self.bruno, score=2)
        self.env["base.partner.merge.automatic.wizard"]._merge(
            (self.amal + self.bruno).partner_id.ids, self.amal.partner_id
        )
        self.env.invalidate_all()
        self.assertEqual(answer.library_patron_id, self.amal)
        self.assertEqual(self.amal.satisfaction, "unhappy")

    # ------------------------------------------------------------
    # ERASED
    # ------------------------------------------------------------

    def test_answers_of_an_erased_patron_stay_as_counts_of_nobody(self):
        asking_round = self._make_round(self.amal + self.bruno)
        asking_round.action_start()
        self._run_job()
        answer, _problem = asking_round._begin(
            self._get_voucher(asking_round, self.amal)
        )
        self._fill_in(answer, score=3, text="My name is Amal Idris", call=True)
        self.amal.unlink()
        self.env.invalidate_all()
        self.assertTrue(answer.exists())
        self.assertEqual(answer._get_scores(), {"nps": 3})
        self.assertFalse(
            answer.library_patron_id
            or answer.partner_id
            or answer.email
            or answer.nickname
            or answer.library_may_call
        )
        self.assertNotIn("Amal", str(answer.user_input_line_ids.read()))
        self.assertEqual(answer.create_date.day, 1)
        self.assertEqual(answer.library_answered_on.day, 1)
        self.assertEqual(
            (asking_round.invited_count, asking_round.answered_count), (2, 1)
        )
        self.assertEqual(asking_round.invitation_ids.patron_id, self.bruno)

    def test_request_to_call_tells_nothing_when_its_patron_is_erased(self):
        answer = self._answer(
            self.amal, score=3, text="The stairs are too steep", call=True
        )
        request = self.env["crm.lead"].search([("library_answer_id", "=", answer.id)])
        kept = self._answer(self.bruno, score=3, text="Too loud", call=True)
        self.assertIn("too steep", request.description)
        # With the log of changes, as staff work.
        staff = request.with_user(self.manager).with_context(tracking_disable=False)
        staff.name = "Call Amal Idris"
        staff.user_id = self.desk
        staff.message_post(body="Nobody answers the phone.", message_type="comment")
        self.env.flush_all()
        self.env.cr.precommit.run()
        self.amal.with_user(self.manager).unlink()
        self.env.invalidate_all()
        self.assertEqual(request.name, "Call back about an answer that was erased")
        self.assertEqual(request.user_id, self.desk)
        messages = self.env["mail.message"].search(
            [("model", "=", "crm.lead"), ("res_id", "=", request.id)]
        )
        self.assertFalse(messages, "Whatever staff wrote may say who it was")
        held = str(request.read()) + str(messages.read())
        held += str(messages.tracking_value_ids.read())
        for trace in ("Amal", "amal.idris", "too steep"):
            self.assertNotIn(trace, held)
        of_bruno = self.env["crm.lead"].search([("library_answer_id", "=", kept.id)])
        self.assertIn("Too loud", of_bruno.description)
