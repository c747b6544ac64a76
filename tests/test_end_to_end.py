"""The real job, from the files of the library system to a mail that is opened: real
PostgreSQL, a real SMTP server, a real HTTP server."""

import csv
import re
import socket
import tempfile
from ast import literal_eval
from email import message_from_bytes, policy
from unittest.mock import patch

from aiosmtpd.controller import Controller
from dateutil.relativedelta import relativedelta
from lxml import etree

from odoo import fields
from odoo.tests import HttpCase, tagged

from odoo.addons.base.models.ir_mail_server import IrMail_Server
from odoo.addons.library_crm.tests.common import LibraryCommon


class Mailbox:
    """An aiosmtpd handler that keeps what it is given."""

    def __init__(self):
        self.messages = []

    async def handle_DATA(self, server, session, envelope):
        self.messages.append(
            (
                envelope.rcpt_tos,
                message_from_bytes(envelope.content, policy=policy.default),
            )
        )
        return "250 OK"


@tagged("post_install", "-at_install")
class TestEndToEnd(LibraryCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mailbox = Mailbox()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        controller = Controller(cls.mailbox, hostname="127.0.0.1", port=port)
        controller.start()
        cls.addClassCleanup(controller.stop)
        cls.env["ir.mail_server"].search([]).active = False
        cls.env["ir.mail_server"].create(
            {
                "name": "aiosmtpd",
                "smtp_host": "127.0.0.1",
                "smtp_port": port,
                "smtp_encryption": "none",
            }
        )
        # Odoo sends nothing while it is tested, unless told so.
        cls.startClassPatcher(
            patch.object(IrMail_Server, "_disable_send", lambda _: False)
        )

    def _load(self, source_format, rows):
        """Load a file as the library system writes it.

        :return: the ``library.data.load``
        """
        source = self.env["library.data.source"].create(
            {
                "name": source_format,
                "format": source_format,
                "company_id": self.library.id,
            }
        )
        with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
            file.flush()
            return source.load_file(file.name)

    def test_from_the_files_of_the_library_system_to_a_mail_that_is_opened(self):
        names = ["Drifting", "Blacklisted", "Silent", "Busy"]
        load = self._load(
            "koha_patrons",
            [
                {
                    "cardnumber": f"00{number}",
                    "borrowernumber": number,
                    "surname": name,
                    "email": f"{name.lower()}@end2end.example.com",
                    "branchcode": "TMAIN",
                    "categorycode": "TADULT",
                    "dateenrolled": "2020-01-01",
                    "dateexpiry": "2099-12-31",
                    "password": "a secret",
                }
                for number, name in enumerate(names, 700)
            ],
        )
        self.assertEqual(load.rows_new, 4)
        self.assertIn("password", load.forbidden_columns)
        today = fields.Date.today()
        load = self._load(
            "koha_statistics",
            [
                {
                    "datetime": f"{day} 10:00:00",
                    "branch": "TMAIN",
                    "type": "issue",
                    "itemnumber": "990001",
                    "borrowernumber": number,
                }
                for number, day in [
                    (700, today - relativedelta(years=1)),
                    (701, today - relativedelta(years=1)),
                    (702, today - relativedelta(years=1)),
                    (703, today - relativedelta(days=1)),
                ]
            ],
        )
        self.assertEqual(load.rows_new, 4)
        drifting, blacklisted, silent, busy = (
            self.env["library.patron"].search(
                [("card_number", "=", f"00{number}"), ("branch_id", "=", self.main.id)]
            )
            for number in range(700, 704)
        )

        news = self.env.ref("library_crm.library_consent_purpose_news")
        self.env["library.consent"].create(
            [
                {"patron_id": patron.id, "purpose_id": news.id}
                for patron in drifting + blacklisted + busy
            ]
        )
        self.env["mail.blacklist"]._add(blacklisted.email)

        # The filter of the screen, narrowed to the patrons of this test.
        arch = self.env.ref("library_crm.library_patron_view_search").arch
        node = etree.fromstring(arch).find(".//filter[@name='unused_6m']")
        domain = [
            ("email", "ilike", "@end2end.example.com"),
            *literal_eval(node.get("domain")),
        ]
        as_marketing = self.env["library.patron"].with_user(self.marketing)
        patrons = as_marketing.search(domain)
        self.assertEqual(
            patrons.sudo(),
            blacklisted + drifting + silent,
            "The busy one is no drifter",
        )

        action = patrons.with_context(active_domain=domain).action_new_mailing()
        mailing = (
            self.env["mailing.mailing"]
            .with_user(self.marketing)
            .with_context(**action["context"])
            .create(
                {
                    "subject": "We miss you",
                    "body_html": '<p>See <a href="https://www.example.com/new">what '
                    "is new</a>.</p>",
                }
            )
        )
        mailing.action_put_in_queue()
        with self.enter_registry_test_mode():
            for cron in (
                "mass_mailing.ir_cron_mass_mailing_queue",
                "mail.ir_cron_mail_scheduler_action",
            ):
                self.env.ref(cron).method_direct_trigger()

        # Whatever else was waiting in the queue of the database went out too.
        ours = [
            (recipients, message)
            for recipients, message in self.mailbox.messages
            if message["Subject"] == "We miss you"
        ]
        self.assertEqual(
            [recipients for recipients, _message in ours],
            [["drifting@end2end.example.com"]],
        )
        message = ours[0][1]
        self.assertIn("One-Click", message["List-Unsubscribe-Post"])

        # The patron opens the mail and follows the link.
        body = message.get_body(("html",)).get_content()
        pixel = re.search(r'src="[^"]*(/mail/track/[^"]+)"', body).group(1)
        link = re.search(r'href="[^"]*(/r/[^"]+)"', body).group(1)
        self.url_open(pixel)
        self.url_open(link, allow_redirects=False)

        trace = self.env["mailing.trace"].search(
            drifting.action_view_mailing_traces()["domain"]
        )
        self.assertEqual(drifting.mailing_trace_count, 1)
        self.assertEqual(trace.mass_mailing_id, mailing.sudo())
        self.assertEqual(trace.trace_status, "open")
        self.assertTrue(trace.links_click_datetime)
        self.assertFalse(silent.mailing_trace_count)
        self.assertEqual(busy.mailing_trace_count, 0)

        # The button of the mail program: this purpose, and no blacklist.
        one_click = message["List-Unsubscribe"].strip("<>")
        self.url_open(
            one_click[one_click.index("/mailing/") :],
            data={"List-Unsubscribe": "One-Click"},
        )
        drifting.invalidate_recordset()
        self.assertFalse(drifting.agreed_purpose_ids)
        self.assertFalse(drifting.is_blacklisted)
        self.assertEqual(drifting.consent_ids[:1].source, "mail")

        # The link in the body: the page of preferences, where news are chosen again.
        link = re.search(r'href="[^"]*(/library_crm/preferences/[^"]+)"', body).group(1)
        page = etree.HTML(self.url_open(link).text)
        token = page.find(".//form//input[@name='csrf_token']").get("value")
        self.url_open(
            link,
            data={"csrf_token": token, "agreed": f"{drifting.id}-{news.id}-email"},
        )
        drifting.invalidate_recordset()
        self.assertEqual(drifting.agreed_purpose_ids, news)

    def _send_form(self, path, **values):
        """Send a form as a browser does, with the token of the page."""
        page = self.url_open(path)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
        return self.url_open(
            path.partition("?")[0], data={"csrf_token": token, **values}
        )

    def _receive(self, address):
        """What came to an address by SMTP, the newest last."""
        with self.enter_registry_test_mode():
            self.env.ref("mail.ir_cron_mail_scheduler_action").method_direct_trigger()
        return [
            message
            for recipients, message in self.mailbox.messages
            if recipients == [address]
        ]

    def test_from_the_join_form_to_the_card(self):
        self.library.partner_id.email = "desk@riverside.example.org"
        self.env["library.join.form"].create(
            {"company_id": self.library.id, "is_open": True}
        )
        news = self.env.ref("library_crm.library_consent_purpose_news")
        address = "rana@end2end.example.com"
        page = self._send_form(
            f"/library/join?library={self.library.id}&utm_source=Fair+end2end",
            library=self.library.id,
            step="send",
            who="self",
            birth_date="1984-02-29",
            zip="97499",
            name="Rana & Ælfric Haddad",
            email=address,
            branch=self.main.id,
            purpose=news.id,
        )
        self.assertIn("Now look into your mail", page.text)

        confirm = self._receive(address)[-1]
        self.assertIn("desk@riverside.example.org", confirm["From"])
        self.assertIn("Riverside Library", confirm["Subject"])
        for kind in ("html", "plain"):
            text = confirm.get_body((kind,)).get_content()
            link = re.search(r"/library/join/confirm/[\w-]+", text)[0]
        self._send_form(link)
        received = self._receive(address)[-1]
        self.assertIn("We have it", received["Subject"])

        lead = self.env["crm.lead"].search([("email_from", "=", address)])
        self.assertEqual(lead.source_id.name, "Fair end2end")
        self.env["library.lead.to.patron"].with_user(self.desk).create(
            {
                "lead_id": lead.id,
                "action": "create",
                "patron_category_id": self.adult.id,
            }
        ).action_apply()
        patron = lead.library_patron_id
        self.assertEqual(patron.complete_name, "Rana & Ælfric Haddad")
        self.assertEqual(patron.agreed_purpose_ids, news)
        self.assertEqual(patron.membership_state, "active")
        welcome = self._receive(address)[-1]
        self.assertIn("Welcome to Riverside Library", welcome["Subject"])
        self.assertIn("Ælfric", welcome.get_body(("plain",)).get_content())
        self.assertEqual(len(self._receive(address)), 3)
