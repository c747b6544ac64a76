from datetime import timedelta

from markupsafe import Markup

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from odoo.addons.library_crm.tests.test_journey import NOON, JourneyCommon

from .common import RoundCommon


@tagged("post_install", "-at_install")
class TestSurveyJourney(RoundCommon, JourneyCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.asking_round = cls._make_round(name="After joining", kind="journey")
        cls.asking_round.action_start()
        cls.step = cls._make_step(kind="survey", survey_round_id=cls.asking_round.id)
        cls.step.with_user(cls.manager).action_edit_mail()

    def test_step_sends_the_link_of_the_patron(self):
        noor = self._make_patron("Noor Haddad")
        self._agree(noor)
        self._start()
        [(subject, name)] = self._run()
        self.assertIn("How was your visit?", subject)
        self.assertEqual(name, "Noor Haddad")
        voucher = self._get_voucher(self.asking_round, noor)
        self.assertIn(f"#{voucher}", self._mails()["Noor Haddad"].body_html)
        answer, _problem = self.asking_round._begin(voucher)
        self._fill_in(answer)
        self.assertEqual(answer.library_patron_id, noor)
        self.assertEqual(self.step.answered_count, 1)

    def test_consent_to_surveys_is_needed_whatever_the_journey_is_for(self):
        noor = self._make_patron("Noor Haddad")
        self._start()
        self.assertFalse(self._run())
        event = self._enrolment(noor).event_ids
        self.assertEqual((event.what, event.reason), ("skipped", "no_consent"))

    def test_who_was_asked_lately_is_left_out_and_goes_on(self):
        noor = self._make_patron("Noor Haddad")
        self._agree(noor)
        self._make_round(noor, name="Other").action_start()
        self._start()
        self.assertFalse(self._run())
        enrolment = self._enrolment(noor)
        event = enrolment.event_ids
        self.assertEqual((event.what, event.reason), ("skipped", "asked_lately"))
        self.assertEqual(enrolment.state, "done")

    def test_patron_who_comes_again_is_asked_again_and_answers_again(self):
        asking_round = self.asking_round
        asking_round.fatigue_days = 0
        first = asking_round._draw(self.amal)
        self.assertEqual(first, self.amal)
        answer, _problem = asking_round._begin(
            self._get_voucher(asking_round, self.amal)
        )
        self._fill_in(answer)
        old_voucher = self._get_voucher(asking_round, self.amal)
        self.assertEqual(asking_round._draw(self.amal), self.amal)
        self.env.invalidate_all()
        self.assertEqual(asking_round._begin(old_voucher)[1], "wrong")
        again, problem = asking_round._begin(self._get_voucher(asking_round, self.amal))
        self.assertFalse(problem)
        self.assertNotEqual(again, answer)

    def test_journey_does_not_start_before_its_round(self):
        self.asking_round.action_pause()
        with self.assertRaisesRegex(UserError, "not running"):
            self._start()

    def test_whoever_may_not_fill_in_changes_the_words_and_keeps_the_link(self):
        editors = self.env.ref("mail.group_mail_template_editor")
        self.env.ref("base.group_user").implied_ids -= editors
        self.manager.group_ids -= editors
        mailing = self.step.mailing_id.with_user(self.manager)
        body = str(mailing.body_html).replace("Hello", "Dear")
        mailing.write({"body_html": body, "body_arch": body})
        self.assertIn("object.survey_link", mailing.body_html)
        with self.assertRaises(AccessError):
            mailing.body_html = body + '<t t-out="object.birth_date"/>'

    def test_picture_shows_how_many_answered(self):
        picture = self.step._get_picture()
        self.assertEqual(picture["detail"], "How was your visit?")
        self.assertIn("answered", [number["name"] for number in picture["numbers"]])

    def test_forecast_counts_who_agreed_to_surveys(self):
        noor, _mara = self._make_patron("Noor Haddad"), self._make_patron("Mara Lind")
        self._agree(noor)
        self._start()
        journey = self.step.journey_id
        action = journey.with_user(self.manager).action_forecast()
        rows = self.env["library.journey.forecast"].search(action["domain"])
        self.assertEqual(rows.patron_id, noor)

    def _forecast(self, journey):
        action = journey.with_user(self.manager).action_forecast()
        rows = self.env["library.journey.forecast"].search(action["domain"])
        return sorted(
            (row.patron_id.name, row.step_id.name, str(row.date)) for row in rows
        )

    def _sent(self, journey):
        events = self.env["library.journey.event"].search(
            [("enrolment_id.journey_id", "=", journey.id), ("what", "=", "sent")]
        )
        return sorted(
            (event.patron_id.name, event.step_id.name, str(event.date.date()))
            for event in events
        )

    def test_forecast_asks_nobody_too_often_and_each_of_a_household(self):
        journey = self.step.journey_id
        journey.groups_households = True
        self.asking_round.fatigue_days = 14
        other = self._make_round(name="Later", kind="journey", fatigue_days=14)
        other.action_start()
        steps = self.step
        for _number in range(2):
            steps += self._make_step(
                after=steps[-1], kind="survey", survey_round_id=other.id, delay=10
            )
            steps[-1].with_user(self.manager).action_edit_mail()
        noor, sami = self._make_patron("Noor Haddad"), self._make_patron("Sami Haddad")
        (noor + sami).household_id = self.env["library.household"].create(
            {"name": "Haddad", "company_id": self.library.id}
        )
        lately = self._make_patron("Asked lately")
        twins = self._make_patron("Twin one") + self._make_patron("Twin two")
        self.assertEqual(*twins.mapped("email"))
        self._agree(noor + sami + lately + twins)
        before = self._make_round(lately, name="Before")
        before.action_start()
        before.invitation_ids.write(
            {"state": "asked", "asked_on": self.today - timedelta(days=10)}
        )
        forecast = self._forecast(journey)
        self._start()
        for day in range(30):
            self._run(NOON + timedelta(days=day))
        self.assertEqual(forecast, self._sent(journey))
        # It is not for want of mails: each way of asking or not has been there.
        by_name = {
            name: [row[1] for row in forecast if row[0] == name]
            for name in (noor + sami + lately + twins).mapped("name")
        }
        first, second, third = steps.mapped("name")
        self.assertEqual(
            by_name,
            {
                "Noor Haddad": [first, third],
                "Sami Haddad": [first, third],
                "Asked lately": [second],
                "Twin one": [first, third],
                "Twin two": [second],
            },
        )

    def test_forecast_of_a_round_that_was_paused_since_is_empty(self):
        noor = self._make_patron("Noor Haddad")
        self._agree(noor)
        self._start()
        self.asking_round.action_pause()
        self.assertFalse(self._forecast(self.step.journey_id))
        self.assertFalse(self._run())
        self.assertEqual(self._enrolment(noor).event_ids.reason, "round_closed")

    def test_manager_who_may_not_write_placeholders_edits_the_mail_of_a_step(self):
        self.env["ir.config_parameter"].set_param(
            "mail.restrict.template.rendering", True
        )
        step = self._make_step(
            after=self.step, kind="survey", survey_round_id=self.asking_round.id
        ).with_user(self.manager)
        step.action_edit_mail()
        mailing = step.mailing_id
        self.assertFalse(
            self.manager.has_group("mail.group_mail_template_editor"), "or it is idle"
        )
        mailing.body_html = mailing.body_html.replace("Hello", "Dear")
        self.assertIn("Dear", mailing.body_html)
        with self.assertRaises(AccessError):
            mailing.body_html += Markup('<p t-out="object.birth_date"/>')
