from datetime import date, timedelta

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from odoo.addons.library_crm.tests.test_journey import NOON, JourneyCommon

from .common import RoundCommon


@tagged("post_install", "-at_install")
class TestSurveyTrigger(RoundCommon, JourneyCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.journey.write({"trigger": "survey", "survey_id": cls.survey.id})
        cls._make_step()

    def _entrants(self, journey=None):
        """Who is on the journey, and the day of their occasion."""
        enrolments = self.env["library.journey.enrolment"].search(
            [("journey_id", "=", (journey or self.journey).id)]
        )
        return {
            (enrolment.patron_id.name, enrolment.occasion) for enrolment in enrolments
        }

    def _who_enters(self, satisfaction, metric=False):
        journey = self._make_journey(
            name="By answer",
            trigger="survey",
            survey_id=self.survey.id,
            survey_satisfaction=satisfaction,
            survey_metric=metric,
        )
        self._make_step(journey, delay=10)
        self._start(journey)
        self._run()
        return {name for name, _day in self._entrants(journey)}

    # Who enters

    def test_answer_is_an_occasion_from_the_start_on(self):
        self._answer(self.bruno).library_answered_on = self.today - timedelta(days=1)
        self._start()
        self._answer(self.amal)
        self.assertEqual(self._run(), [("Mail 1", "Amal Idris")])
        self.assertEqual(self._entrants(), {("Amal Idris", self.today)})
        self.assertEqual(self._run(), [], "Once an answer")

    def test_unfinished_and_test_answers_are_none(self):
        self._start()
        self.survey._create_answer(
            partner=self.amal.partner_id, check_attempts=False
        )._mark_in_progress()
        answer = self.survey._create_answer(
            partner=self.bruno.partner_id, check_attempts=False, test_entry=True
        )
        self._fill_in(answer)
        self._run()
        self.assertFalse(self._entrants())

    def test_typed_address_and_anonymous_answer_lead_to_nobody(self):
        self._start()
        typed = self.survey._create_answer(email=self.amal.email, check_attempts=False)
        self._fill_in(typed)
        self.assertEqual(typed.library_patron_id, self.amal)
        patrons = self._make_patrons(10)
        asking_round = self._make_round(patrons, is_anonymous=True)
        asking_round.action_start()
        self._run_job()
        answer, _problem = asking_round._begin(
            self._get_voucher(asking_round, patrons[0])
        )
        self._fill_in(answer)
        self._run()
        self.assertFalse(self._entrants())

    def test_only_the_survey_that_was_named(self):
        other = self.survey.copy()
        journey = self._make_journey(trigger="survey", survey_id=other.id)
        self._make_step(journey)
        any_survey = self._make_journey(trigger="survey")
        self._make_step(any_survey)
        for each in (self.journey, journey, any_survey):
            self._start(each)
        self._answer(self.amal)
        self._run()
        self.assertTrue(self._entrants())
        self.assertFalse(self._entrants(journey))
        self.assertTrue(self._entrants(any_survey))

    def test_only_unhappy_or_only_happy_answers(self):
        noor, mara = self._make_patron("Noor Haddad"), self._make_patron("Mara Lind")
        for patron, score in ((self.amal, 3), (self.bruno, 10), (noor, 8)):
            answer = self._answer(patron, score=score)
            self.assertEqual(
                answer._get_satisfaction(),
                {3: "unhappy", 10: "happy", 8: "neutral"}[score],
            )
        blank = self.survey._create_answer(
            partner=mara.partner_id, check_attempts=False
        )
        blank._save_lines(self.better, "Longer hours")
        blank._mark_done()
        self.assertEqual(self._who_enters("unhappy"), {"Amal Idris"})
        self.assertEqual(self._who_enters("happy"), {"Bruno Silva"})
        self.assertEqual(self._who_enters("neutral"), {"Noor Haddad"})
        self.assertIn("Mara Lind", self._who_enters(False))

    def test_going_by_one_metric(self):
        satisfied = self.env["survey.question"].create(
            {
                "survey_id": self.survey.id,
                "title": "How satisfied are you?",
                "question_type": "scale",
                "library_metric": "csat",
                "sequence": 9,
            }
        )
        answer = self.survey._create_answer(
            partner=self.amal.partner_id, check_attempts=False
        )
        answer._save_lines(satisfied, "5")
        self._fill_in(answer, score=2)
        self.assertEqual(self._who_enters("unhappy"), {"Amal Idris"})
        self.assertEqual(self._who_enters("happy"), set(), "One unhappy score decides")
        self.assertEqual(self._who_enters("happy", "csat"), {"Amal Idris"})
        self.assertEqual(self._who_enters("unhappy", "nps"), {"Amal Idris"})
        self.assertEqual(self._who_enters("unhappy", "effort"), set(), "Not asked")

    # On the way

    def test_whose_answer_was_deleted_leaves(self):
        self.journey.step_ids.delay = 5
        self._start()
        answer = self._answer(self.amal)
        self._run()
        self.assertEqual(len(self._entrants()), 1)
        answer.unlink()
        self.assertEqual(self._run(NOON + timedelta(days=5)), [])
        self.assertEqual(self._events(self.amal), [("Step 1", "exited", "occasion")])

    def test_forecast_counts_who_answered(self):
        self.journey.step_ids.delay = 5
        self._start()
        self._answer(self.amal)
        action = self.journey.with_user(self.manager).action_forecast()
        rows = self.env["library.journey.forecast"].search(action["domain"])
        self.assertEqual(rows.patron_id, self.amal)
        self.assertEqual(rows.date, self.today + timedelta(days=5))

    # Who may know

    def test_journey_of_the_unhappy_names_them_to_who_reads_answers_only(self):
        self.journey.survey_satisfaction = "unhappy"
        self.assertTrue(self.journey.is_private)
        self._start()
        self._answer(self.amal, score=1)
        self.assertEqual(self._run(), [("Mail 1", "Amal Idris")])
        enrolment = self._enrolment(self.amal)
        trace = enrolment.event_ids.trace_id
        for records in (enrolment, enrolment.event_ids, trace):
            for user, sees in (
                (self.desk, False),
                (self.marketing, False),
                (self.manager, True),
            ):
                with self.subTest(records._name, user=user.login):
                    found = records.with_user(user)._filtered_access("read")
                    self.assertEqual(bool(found), sees)
        both = self.desk
        both.group_ids += self.env.ref("library_crm.group_library_marketing")
        action = self.journey.with_user(both).action_forecast()
        self.assertEqual(action["tag"], "display_notification")

    def test_journey_of_all_who_answered_is_seen_by_the_desk(self):
        self._start()
        self._answer(self.amal)
        self._run()
        enrolment = self._enrolment(self.amal)
        trace = enrolment.event_ids.trace_id
        for records in (enrolment, enrolment.event_ids, trace):
            with self.subTest(records._name):
                self.assertTrue(records.with_user(self.desk)._filtered_access("read"))

    def test_choice_that_asks_for_satisfaction_tells_answers_too(self):
        journey = self._make_journey(
            patron_domain=repr([("satisfaction", "=", "unhappy")])
        )
        self.assertTrue(journey.tells_answers)
        journey.patron_domain = repr([("branch_id", "=", self.main.id)])
        self.assertFalse(journey.tells_answers)

    def test_marketing_follows_answers_but_not_what_was_said(self):
        journey = self._make_journey().with_user(self.marketing)
        with Form(journey) as form:
            form.trigger = "survey"
            form.survey_id = self.survey
        with self.assertRaises(AccessError):
            journey.survey_satisfaction = "unhappy"

    # What is refused

    def test_occasion_is_fixed_once_the_journey_has_started(self):
        self._start()
        with self.assertRaisesRegex(UserError, "Duplicate the journey"):
            self.journey.survey_satisfaction = "happy"

    def test_survey_of_another_library_is_refused(self):
        other = self.survey.copy(
            {"library_company_id": self.other_library.id, "user_id": False}
        )
        with self.assertRaisesRegex(ValidationError, "is no survey of"):
            self.journey.survey_id = other

    def test_when_surveys_are_uninstalled_who_is_on_the_way_finishes(self):
        self.journey.step_ids.delay = 5
        self.journey.survey_satisfaction = "happy"
        self._start()
        self._answer(self.amal)
        self._run()
        self.journey._lose_trigger()
        self.assertEqual(self.journey.state, "done")
        self.assertTrue(self.journey.is_private)
        self.assertEqual(
            self._run(NOON + timedelta(days=5)), [("Mail 1", "Amal Idris")]
        )

    # What is told to others

    def test_answer_is_told_once_a_survey_and_once_each_time_somebody_is_asked(self):
        told = []
        self.patch(
            self.env.registry["library.patron"],
            "_note_occasion",
            lambda patrons, event, key="once", date=None: told.append(
                (patrons.name, event, key, date)
            ),
        )
        self._answer(self.amal)
        asking_round = self._make_round(self.bruno)
        asking_round.action_start()
        self._run_job()
        answer, _problem = asking_round._begin(
            self._get_voucher(asking_round, self.bruno)
        )
        self._fill_in(answer)
        self._fill_in(self.survey._create_answer(check_attempts=False))
        self._fill_in(
            self.survey._create_answer(email=self.amal.email, check_attempts=False)
        )
        today = date(2026, 5, 20)
        self.assertEqual(
            told,
            [
                ("Amal Idris", "survey", f"survey {self.survey.id}", today),
                ("Bruno Silva", "survey", f"round {asking_round.id} {today}", today),
            ],
        )
