from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.tests import tagged

from odoo.addons.mass_mailing.tests.common import MassMailCommon

from .common import LibraryCommon

BOUNCE = """Return-Path: <>
From: MAILER-DAEMON@mx.example.com
To: {to}
Subject: Undelivered Mail
Message-Id: <{number}@mx.example.com>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It did not work.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; {email}
Action: failed
Status: {status}

--b
Content-Type: text/rfc822-headers

Message-Id: {message_id}
Subject: What is new at the library
--b--
"""

COMPLAINT = """Return-Path: <feedback@mailbox.example.com>
From: Complaints <feedback@mailbox.example.com>
To: {to}
Subject: FW: What is new at the library
Message-Id: <{number}@mailbox.example.com>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is a report about a mail that our customer calls spam.
--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Example/1.0
Version: 1

--b
Content-Type: message/rfc822

From: info@library.example.com
To: redacted@mailbox.example.com
Message-Id: {message_id}
Subject: What is new at the library

Hello
--b--
"""


@tagged("post_install", "-at_install")
class TestConsentBounce(LibraryCommon, MassMailCommon):
    """What comes back by mail. Amal and Bruno agreed to news and surveys by email, and
    Amal to news by post; a mailing was sent to both."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Consent = cls.env["library.consent"]
        cls.news, cls.surveys = (
            cls.env.ref(f"library_crm.library_consent_purpose_{code}")
            for code in ("news", "survey")
        )
        both = cls.amal + cls.bruno
        cls.Consent._record(both, cls.news + cls.surveys)
        cls.Consent._record(cls.amal, cls.news, "post")
        cls.mailing = cls.env["mailing.mailing"].create(
            {
                "subject": "What is new at the library",
                "body_html": "<p>Hello</p>",
                "mailing_model_id": cls.env["ir.model"]._get_id("library.patron"),
                "mailing_domain": repr([("id", "in", both.ids)]),
            }
        )

    def setUp(self):
        super().setUp()
        with self.mock_mail_gateway():
            self.mailing.action_send_mail()
        self.trace = self.mailing.mailing_trace_ids.filtered(
            lambda trace: trace.res_id == self.amal.id
        )

    def _receive(self, template, **values):
        values = {
            "to": "bounce@library.example.com",
            "number": len(self.env["mail.message"].search([])) + id(values),
            "email": "amal.idris@test.example.com",
            "status": "5.1.1",
            "message_id": self.trace.message_id,
            **values,
        }
        self.env["mail.thread"].message_process(None, template.format(**values))
        (self.amal + self.bruno).invalidate_recordset()

    def test_address_that_does_not_exist_stops_email_at_once(self):
        self._receive(BOUNCE)
        self.assertFalse(self.amal.agreed_purpose_ids)
        rows = self.Consent.search(
            [("patron_id", "=", self.amal.id), ("source", "=", "bounce")]
        )
        self.assertEqual(rows.purpose_id, self.news + self.surveys)
        self.assertEqual(set(rows.mapped("state")), {"withdrawn"})
        self.assertEqual(set(rows.mapped("proof")), {"5.1.1"})
        post = self.Consent._get_agreed_purposes(self.amal, "post")
        self.assertEqual(post[self.amal.id], self.news, "Letters still arrive")
        self.assertTrue(self.amal.is_email_bounced)
        self.assertEqual(self.bruno.agreed_purpose_ids, self.news + self.surveys)

    def test_the_same_bounce_again_adds_nothing(self):
        self._receive(BOUNCE)
        before = self.Consent.search_count([])
        self._receive(BOUNCE)
        self.assertEqual(self.Consent.search_count([]), before)

    def test_passing_trouble_stops_nothing(self):
        for status in ("4.4.1", "5.2.2", "5.1.8"):
            with self.subTest(status):
                self._receive(BOUNCE, status=status)
                self.assertTrue(self.amal.agreed_purpose_ids)
                self.assertFalse(self.amal.is_email_bounced)

    def test_too_much_trouble_stops_when_odoo_blacklists(self):
        """Odoo blacklists after five mails in three months that came back, more than a
        week apart."""
        old = self.env["mailing.trace"].create(
            [
                {
                    "model": "library.patron",
                    "res_id": self.amal.id,
                    "email": self.amal.email_normalized,
                    "trace_status": "bounce",
                }
                for _trace in range(5)
            ]
        )
        old.flush_recordset()
        self.env.cr.execute(
            "UPDATE mailing_trace SET write_date = %s WHERE id = ANY(%s)",
            [fields.Datetime.now() - timedelta(days=20), old.ids],
        )
        old.invalidate_recordset()
        self.amal.partner_id.message_bounce = 5
        self._receive(BOUNCE, status="5.2.2")
        self.assertTrue(self.amal.is_blacklisted)
        self.assertFalse(self.amal.agreed_purpose_ids)

    def test_complaint_stops_email_at_once(self):
        self._receive(COMPLAINT)
        self.assertFalse(self.amal.agreed_purpose_ids)
        rows = self.Consent.search([("source", "=", "complaint")], limit=1)
        self.assertEqual(rows.patron_id, self.amal)
        self.assertFalse(self.amal.is_email_bounced, "The address works")
        self.assertNotEqual(self.trace.trace_status, "bounce")
        self.assertEqual(self.bruno.agreed_purpose_ids, self.news + self.surveys)

    def test_invented_reports_stop_nothing(self):
        for template in (BOUNCE, COMPLAINT):
            self._receive(template, message_id="<invented@test.example.com>")
            self.assertEqual(self.amal.agreed_purpose_ids, self.news + self.surveys)

    def test_new_address_lifts_nothing_but_can_be_agreed_to(self):
        self._receive(BOUNCE)
        self.amal.email = "amal@new.example.com"
        self.amal.invalidate_recordset()
        self.assertFalse(self.amal.is_email_bounced)
        self.assertFalse(self.amal.agreed_purpose_ids)
        self.Consent._record(self.amal, self.news, source="desk")
        self.amal.invalidate_recordset()
        self.assertEqual(self.amal.agreed_purpose_ids, self.news)

    def test_address_of_the_guardian_stops_the_mail_for_the_child(self):
        noor = self.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "company_id": self.library.id,
                "guardian_id": self.amal.id,
                "birth_date": fields.Date.today() - relativedelta(years=9),
            }
        )
        self.Consent._record(noor, self.news)
        self._receive(BOUNCE)
        noor.invalidate_recordset()
        self.assertFalse(noor.agreed_purpose_ids)

    def test_patrons_whose_mail_comes_back_are_found(self):
        self._receive(BOUNCE)
        found = self.env["library.patron"].search(
            [
                ("is_email_bounced", "=", True),
                ("id", "in", (self.amal + self.bruno).ids),
            ]
        )
        self.assertEqual(found, self.amal)
