import re

from odoo.tests import Form, tagged

from .test_journey import JourneyCommon


@tagged("post_install", "-at_install")
class TestJourneyMails(JourneyCommon):
    """The journeys that come with the addon, as a patron of any library gets them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = ("welcome", "renewal", "win_back", "birthday", "anniversary", "outgrow")
        shipped = cls.env["library.journey"].concat(
            *(cls.env.ref(f"library_crm.library_journey_{name}") for name in names)
        )
        cls.library.email = "desk@riverside.example.com"
        cls.journeys = cls.env["library.journey"].concat(
            *(journey.copy({"company_id": cls.library.id}) for journey in shipped)
        )
        cls.child.next_category_id = cls.adult
        cls.noor = cls._make_patron(
            "Noor Idris",
            email=False,
            card_number="0009004",
            guardian_id=cls.amal.id,
            patron_category_id=cls.child.id,
        )
        cls._create_membership(cls.noor, date_end="2026-06-30")
        cls.env["library.consent"]._record(
            cls.noor, cls.journeys.purpose_id.filtered("is_refusable")
        )

    def _send(self, mailing):
        """The mail as the mail server is given it: to the guardian of a child."""
        mailing.with_context(library_journey_companions=())._queue_for_journey(
            self.noor
        )
        mail = self.env["mail.mail"].search([], order="id desc", limit=1)
        with self.mock_mail_gateway():
            mail.send()
        return self._mails[0]

    def test_journeys_that_ship_can_be_started(self):
        for journey in self.journeys:
            with self.subTest(journey=journey.name):
                journey.action_start()
                self.assertEqual(journey.state, "running")

    def test_each_mail_reads_well_with_and_without_pictures_and_colours(self):
        mailings = self.journeys.step_ids.mailing_id
        self.assertEqual(len(mailings), 14)
        for mailing in mailings:
            with self.subTest(mailing=mailing.subject):
                mail = self._send(mailing)
                html, text = mail["body"], mail["body_alternative"]
                self.assertIn("desk@riverside.example.com", mail["email_from"])
                self.assertIn(self.amal.email, mail["email_to"][0])
                for part in (html, text):
                    self.assertIn("Dear Noor", part)
                    self.assertIn("Riverside Library", part)
                    self.assertIn("Noor (…9004)", part)
                    self.assertNotRegex(part, r"\{\{|\}\}|t-out|<t[ >]|False|None")
                self.assertNotRegex(mail["subject"], r"\{\{|False|None")
                self.assertNotIn("<", text)
                self.assertNotIn("max-width", text)
                self.assertRegex(html, r"max-width: ?600px")
                self.assertNotRegex(html, r'href="/')
                if "/my/library" in (mailing.body_html or ""):
                    self.assertRegex(html, r'href="https?://[^"]+/r/')
                if mailing.library_purpose_id.is_refusable:
                    self.assertRegex(html, r"/library_crm/preferences/|unsubscribe")
                else:
                    self.assertNotIn("nsubscribe", html)

    def test_mails_can_be_changed_in_the_editor(self):
        for mailing in self.journeys.step_ids.mailing_id:
            self.assertTrue(mailing.body_arch, mailing.subject)
            self.assertTrue(re.search("t-out", mailing.body_arch))

    def test_pages_open_for_each_role(self):
        journey = self.journeys[0]
        step = journey._get_first_step()
        self._make_step()
        ines = self._make_patron("Ines")
        self._start()
        self._run()
        for role in ("desk", "marketing", "manager"):
            for record in (journey, step, self._enrolment(ines)):
                with self.subTest(role=role, model=record._name):
                    Form(record.with_user(getattr(self, role)))
            journey.with_user(getattr(self, role)).get_picture()
            if role != "desk":
                Form(step.mailing_id.with_user(getattr(self, role)))
