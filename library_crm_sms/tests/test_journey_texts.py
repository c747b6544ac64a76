from datetime import datetime, timedelta
from unittest.mock import patch

from dateutil.relativedelta import relativedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.library_crm.tests.test_journey import NOON, JourneyCommon
from odoo.addons.sms.tests.common import SMSCase


@tagged("post_install", "-at_install")
class TestJourneyTexts(JourneyCommon, SMSCase):
    """A step of a journey that is a text message: to whom, when, once, and what became
    of it. The journey is for patrons who joined; Ines joined today and agreed to news
    by phone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Consent = cls.env["library.consent"]
        cls.env["sms.sms"].search([]).unlink()
        cls.journey.purpose_id = cls.news
        cls.ines = cls._make_patron("Ines", phone="+32456001122")
        cls.Consent._record(cls.ines, cls.news, "phone")

    @classmethod
    def _make_text(cls, body="Hello {{ object.name }}", **values):
        return cls._make_step(kind="sms", sms_body=body, **values)

    def _texts(self):
        """Numbers and words of what waits in the queue of texts."""
        return [
            (text.number, text.body)
            for text in self.env["sms.sms"].search(
                [("state", "=", "outgoing")], order="id"
            )
        ]

    def _run_texts(self, at=None):
        self._run(at)
        return self._texts()

    # ------------------------------------------------------------
    # TO WHOM
    # ------------------------------------------------------------

    def test_who_agreed_by_phone_gets_it_and_who_agreed_to_mails_does_not(self):
        self._make_text()
        omar = self._make_patron("Omar", phone="+32456001133")
        self.Consent._record(omar, self.news, "email")
        self._start()
        self.assertEqual(self._run_texts(), [("+32456001122", "Hello Ines")])
        self.assertEqual(self._events(self.ines), [("Step 1", "texted", False)])
        self.assertEqual(self._events(omar), [("Step 1", "skipped", "no_consent")])
        logged = self.ines.message_ids.mapped("message_type")
        self.assertNotIn("sms", logged, "The events say it, to who may know")

    def test_who_has_no_number_is_left_out_and_goes_on(self):
        first = self._make_text()
        self._make_step(after=first, kind="activity")
        self.ines.phone = False
        self._start()
        self.assertEqual(self._run_texts(), [])
        self.assertEqual(
            self._events(self.ines),
            [("Step 1", "skipped", "no_number"), ("Step 2", "done", False)],
        )

    def test_number_on_the_blacklist_is_left_out(self):
        self._make_text()
        self.env["phone.blacklist"].create({"number": "+32456001122"})
        self._start()
        self.assertEqual(self._run_texts(), [])
        self.assertEqual(
            self._events(self.ines), [("Step 1", "skipped", "blacklisted")]
        )

    def _make_child(self, name="Noor Idris", **values):
        child = self._make_patron(
            name,
            email=False,
            phone="+32456009999",
            birth_date=self.today - relativedelta(years=9),
            **values,
        )
        self.Consent._record(child, self.news, "phone")
        return child

    def test_text_for_a_child_goes_to_the_guardian(self):
        self._make_text()
        self.amal.phone = "+32456001144"
        noor = self._make_child(guardian_id=self.amal.id)
        self._start()
        self._run()
        self.assertIn(("+32456001144", "Hello Noor Idris"), self._texts())
        self.assertNotIn("+32456009999", dict(self._texts()))
        with self.mockSMSGateway():
            self.env["sms.sms"].search([("state", "=", "outgoing")]).send()
        self.assertIn("+32456001144", [text["number"] for text in self._sms])
        self.assertEqual(self._enrolment(noor).event_ids.text_status, "pending")

    def test_child_whose_guardian_has_no_number_is_not_written_to(self):
        self._make_text()
        self.amal.phone = False
        children = self._make_child(guardian_id=self.amal.id)
        children += self._make_child("Sami Idris")
        self._start()
        self.assertEqual(self._run_texts(), [("+32456001122", "Hello Ines")])
        for child in children:
            self.assertEqual(self._events(child), [("Step 1", "skipped", "no_consent")])

    def test_composer_writes_to_the_guardian_of_a_child_too(self):
        self.amal.phone = "+32456001144"
        noor = self._make_child(guardian_id=self.amal.id)
        with self.mockSMSGateway():
            self.env["sms.composer"].create(
                {
                    "body": "Story time today",
                    "composition_mode": "mass",
                    "res_model": "library.patron",
                    "res_ids": repr(noor.ids),
                }
            ).action_send_sms_mass_now()
        self.assertEqual([text["number"] for text in self._sms], ["+32456001144"])

    def test_household_gets_one_text_that_names_the_cards(self):
        self.journey.groups_households = True
        self._make_text("For {{ object.mailing_cards }}")
        self.ines.card_number = "0009001"
        omar = self._make_patron("Omar", phone="+32456001133", card_number="0009002")
        self.Consent._record(omar, self.news, "phone")
        (self.ines + omar).household_id = self.env["library.household"].create(
            {"name": "Haddad", "company_id": self.library.id}
        )
        self._start()
        self.assertEqual(
            self._run_texts(), [("+32456001122", "For Ines (…9001), Omar (…9002)")]
        )
        event = self._enrolment(omar).event_ids
        self.assertEqual((event.what, event.with_patron_id), ("texted", self.ines))

    def test_two_who_share_a_number_get_one_text(self):
        self._make_text()
        twin = self._make_patron("Twin", phone="+32456001122")
        self.Consent._record(twin, self.news, "phone")
        self._start()
        self.assertEqual(len(self._run_texts()), 1)
        self.assertEqual(
            {
                what: reason
                for patron in (self.ines, twin)
                for _step, what, reason in self._events(patron)
            },
            {"texted": False, "skipped": "refused"},
        )

    def test_patron_gets_the_text_in_their_language_and_a_guardian_in_theirs(self):
        self.env["res.lang"]._activate_lang("de_DE")
        step = self._make_text()
        step.with_context(lang="de_DE").sms_body = "Hallo {{ object.name }}"
        self.amal.write({"phone": "+32456001144", "lang": "de_DE"})
        self._make_child(guardian_id=self.amal.id)
        self._start()
        self.assertEqual(
            sorted(self._run_texts()),
            [("+32456001122", "Hello Ines"), ("+32456001144", "Hallo Noor Idris")],
        )

    # ------------------------------------------------------------
    # WHEN
    # ------------------------------------------------------------

    def test_nobody_is_texted_at_night(self):
        self._make_text()
        self._start()
        self.assertEqual(self._run_texts(NOON.replace(hour=22)), [])
        self.assertEqual(self._enrolment(self.ines).due_at, datetime(2026, 5, 21, 8, 0))
        self.assertEqual(len(self._run_texts(datetime(2026, 5, 21, 8, 1))), 1)

    def test_mails_and_texts_count_together_in_a_week(self):
        self.library.library_weekly_cap = 1
        self.Consent._record(self.ines, self.news, "email")
        first = self._make_text()
        self._make_step(
            after=self._make_step(after=first), kind="sms", sms_body="Third"
        )
        self._start()
        self.assertEqual(self._run(), [], "The text was what may come in a week")
        self.assertEqual(len(self._texts()), 1)
        week = NOON + timedelta(days=7)
        self.assertEqual(self._run(week), [("Mail 2", "Ines")])
        self.env.cr.execute("UPDATE mailing_trace SET create_date = %s", [week])
        self.assertEqual(len(self._texts()), 1, "The mail counts as well")
        self.assertEqual(len(self._run_texts(week + timedelta(days=7, minutes=1))), 2)

    def test_held_out_go_the_same_way_and_get_nothing(self):
        self._make_text()
        self.journey.hold_out_percent = 90
        patrons = self.ines
        for number in range(20):
            patrons += self._make_patron(f"P{number}", phone=f"+324560013{number:02}")
        self.Consent._record(patrons, self.news, "phone")
        self._start()
        texts = self._run_texts()
        held = self.env["library.journey.enrolment"].search(
            [("journey_id", "=", self.journey.id), ("arm", "=", "held_out")]
        )
        self.assertTrue(10 < len(held))
        self.assertEqual(len(texts), len(patrons) - len(held))
        self.assertEqual(set(held.event_ids.mapped("what")), {"held_out"})
        self.assertTrue(all(held.mapped("first_at")))

    # ------------------------------------------------------------
    # ONCE
    # ------------------------------------------------------------

    def test_job_that_runs_twice_texts_once(self):
        self._make_text()
        self._start()
        self._run()
        self.assertEqual(len(self._run_texts()), 1)

    @mute_logger("odoo.addons.library_crm.models.library_journey")
    def test_batch_that_breaks_leaves_neither_text_nor_row(self):
        self._make_text()
        self._start()
        Enrolment = type(self.env["library.journey.enrolment"])
        with patch.object(Enrolment, "_pass", side_effect=ValueError("power cut")):
            self.assertEqual(self._run_texts(), [])
        self.assertFalse(self._enrolment(self.ines).event_ids)
        self._start()
        self.assertEqual(len(self._run_texts()), 1)

    # ------------------------------------------------------------
    # WHAT BECAME OF IT
    # ------------------------------------------------------------

    def _send_queue(self, **gateway):
        with self.mockSMSGateway(**gateway):
            texts = self.env["sms.sms"].search([("state", "in", ["outgoing", "error"])])
            texts.state = "outgoing"
            texts.send()
        return texts

    def _report(self, texts, status):
        """What the provider says of texts later."""
        return self.make_jsonrpc_request(
            "/sms/status",
            {
                "message_statuses": [
                    {"sms_status": status, "uuids": texts.mapped("uuid")}
                ]
            },
        )

    def _numbers(self):
        [step] = self.journey.with_user(self.marketing).get_picture()["steps"]
        return {number["name"]: number["value"] for number in step["numbers"]}

    def test_card_of_the_step_tells_what_was_sent_and_delivered(self):
        self._make_text()
        self._make_patron("Silent", phone="+32456001133")
        self._start()
        self.assertEqual(self._numbers()["texted"], 0)
        self._run()
        texts = self._send_queue()
        event = self._enrolment(self.ines).event_ids
        self.assertEqual(event.text_status, "pending")
        self.assertEqual(
            self._numbers(),
            {"waiting": 0, "texted": 1, "delivered": 0, "skipped": 1, "exited": 0},
        )
        self._report(texts, "delivered")
        self.assertEqual(self._numbers()["delivered"], 1)
        self._report(texts, "sent")
        self.assertEqual(self._numbers()["delivered"], 1, "A report that came late")
        self.assertEqual(self.journey.texted_count, 1)
        self.assertEqual(self.journey.sent_count, 0, "Nobody opens a text")

    def test_text_that_is_not_taken_shows_as_failed_until_it_is_sent_again(self):
        self._make_text()
        self._start()
        self._run()
        self._send_queue(sim_error="credit")
        event = self._enrolment(self.ines).event_ids
        self.assertEqual((event.what, event.failure), ("failed", "Insufficient Credit"))
        self.assertEqual(self._numbers()["failed"], 1)
        self._send_queue()
        self.assertEqual((event.what, event.failure), ("texted", False))

    def test_text_that_does_not_arrive_shows_as_failed(self):
        self._make_text()
        self._start()
        self._run()
        self._report(self._send_queue(), "not_delivered")
        event = self._enrolment(self.ines).event_ids
        self.assertEqual((event.what, event.failure), ("failed", "Not Delivered"))

    def test_who_takes_back_the_consent_is_not_sent_what_waits(self):
        self._make_text()
        self._start()
        self._run()
        self.Consent._record(self.ines, self.news, "phone", "withdrawn")
        self.assertEqual(self._texts(), [])
        self.assertEqual(self._enrolment(self.ines).event_ids.text_status, "canceled")
        self.assertEqual(self._numbers()["texted"], 0)

    # ------------------------------------------------------------
    # WRITING, FORECAST, TEST
    # ------------------------------------------------------------

    def test_journey_with_a_step_without_text_does_not_start(self):
        self._make_text(" ")
        with self.assertRaisesRegex(UserError, "its text is missing"):
            self._start()

    def test_words_can_be_changed_while_patrons_go_through(self):
        step = self._make_text(delay=1)
        self._start()
        self._run()
        step.with_user(self.marketing).sms_body = "Welcome {{ object.name }}"
        self.assertEqual(
            self._run_texts(NOON + timedelta(days=1, minutes=1)),
            [("+32456001122", "Welcome Ines")],
        )

    def test_text_is_no_way_around_odoos_rule_on_what_is_filled_in(self):
        self.env.ref("base.group_user").implied_ids -= self.env.ref(
            "mail.group_mail_template_editor"
        )
        self.marketing.group_ids -= self.env.ref("mail.group_mail_template_editor")
        step = self._make_text().with_user(self.marketing)
        step.sms_body = "Dear {{ object.name }}"
        with self.assertRaises(AccessError):
            step.sms_body = "{{ object.liaison_id.login }}"
        with self.assertRaises(AccessError):
            step.update_field_translations(
                "sms_body", {"en_US": "{{ object.liaison_id.login }}"}
            )

    def test_copy_and_new_version_have_the_text_in_each_language(self):
        self.env["res.lang"]._activate_lang("de_DE")
        step = self._make_text()
        step.with_context(lang="de_DE").sms_body = "Hallo"
        copied = self.journey.copy().step_ids
        self.assertEqual(copied.sms_body, step.sms_body)
        self.assertEqual(copied.with_context(lang="de_DE").sms_body, "Hallo")

    def test_forecast_is_what_the_job_sends(self):
        first = self._make_text()
        mail = self._make_step(after=first, delay=3)
        self._make_text("Third", after=mail, delay=3)
        self._make_patron("Mails Only", phone="+32456001133")
        action = self.journey.action_forecast()
        self.assertIn("to 1 people (2 messages)", action["name"])
        rows = self.env["library.journey.forecast"].search(action["domain"])
        self.assertEqual(set(rows.mapped("patron_id.name")), {"Ines"})
        self._start()
        self._run()
        self._run(NOON + timedelta(days=3, minutes=1))
        self._run(NOON + timedelta(days=6, minutes=2))
        self.assertEqual(
            [body for _number, body in self._texts()], ["Hello Ines", "Third"]
        )

    def test_test_texts_whoever_tries_it_out(self):
        self._make_text()
        test = (
            self.env["library.journey.test"]
            .with_user(self.marketing)
            .create(
                {
                    "journey_id": self.journey.id,
                    "patron_id": self.ines.id,
                    "email": "mara@test.example.com",
                    "number": "+32456005555",
                }
            )
        )
        self.assertTrue(test.has_texts)
        with self.mockSMSGateway():
            action = test.action_send()
        self.assertEqual(
            [(text["number"], text["body"]) for text in self._sms],
            [("+32456005555", "Hello Ines")],
        )
        self.assertIn("1 texts sent", action["params"]["message"])
        self.assertFalse(self._enrolment(self.ines))
        test.number = "no number"
        with self.assertRaisesRegex(UserError, "no number"):
            test.action_send()

    def test_patrons_go_on_where_text_messages_are_uninstalled(self):
        first = self._make_text(delay=1)
        self._make_step(after=first, kind="activity")
        self._start()
        self._run()
        first._pass_over()
        self._run(NOON + timedelta(days=1, minutes=1))
        self.assertEqual(
            self._events(self.ines),
            [("Step 1", "yes", False), ("Step 2", "done", False)],
        )
