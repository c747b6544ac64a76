import re
from datetime import timedelta

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from lxml import html

from odoo import fields
from odoo.tests import HttpCase, tagged

from odoo.addons.mass_mailing.tests.common import MassMailCommon

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestPreferences(LibraryCommon, MassMailCommon, HttpCase):
    """The page that a link in a mail leads to. Amal agreed to news by email, and guards
    Noor, who is a child."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Consent = cls.env["library.consent"]
        cls.news, cls.surveys, cls.service = (
            cls.env.ref(f"library_crm.library_consent_purpose_{code}")
            for code in ("news", "survey", "service")
        )
        cls.noor = cls.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "patron_category_id": cls.child.id,
                "company_id": cls.library.id,
                "guardian_id": cls.amal.id,
                "birth_date": fields.Date.today() - relativedelta(years=9),
            }
        )
        cls.Consent._record(cls.amal, cls.news)
        cls.portal.write({"login": "amal_portal", "password": "amal_portal"})

    def setUp(self):
        super().setUp()
        self.before = self.Consent.search([])

    def _new_rows(self):
        rows = self.Consent.search([]) - self.before
        return sorted(
            (
                row.patron_id.name,
                row.purpose_id.code,
                row.channel,
                row.state,
                row.source,
            )
            for row in rows
        )

    def _get(self, url):
        return self.url_open(self._path(url), allow_redirects=False)

    def _path(self, url):
        return re.sub(r"^https?://[^/]+", "", url)

    def _post(self, url, data=None):
        """Send the form of a page as a browser without scripts does."""
        page = html.fromstring(self._get(url).text)
        token = page.xpath("//form//input[@name='csrf_token']")[0].get("value")
        return self.url_open(
            self._path(url),
            data={"csrf_token": token, **(data or {})},
            allow_redirects=False,
        )

    def _key(self, patron, purpose, channel="email"):
        return f"{patron.id}-{purpose.id}-{channel}"

    def _mailing(self, records, **values):
        return self.env["mailing.mailing"].create(
            {
                "subject": "What is new at the library",
                "body_html": "<p>Hello</p>",
                "mailing_model_id": self.env["ir.model"]._get_id(records._name),
                "mailing_domain": repr([("id", "in", records.ids)]),
                **values,
            }
        )

    # ------------------------------------------------------------
    # THE PAGE
    # ------------------------------------------------------------

    def test_page_shows_what_holds_and_changes_nothing(self):
        response = self._get(self.amal._get_link("preferences"))
        self.assertEqual(response.status_code, 200)
        page = html.fromstring(response.text)
        ticked = page.xpath("//input[@name='agreed'][@checked]/@value")
        self.assertEqual(ticked, [self._key(self.amal, self.news)])
        self.assertIn("Noor Idris", response.text)
        self.assertIn("What you get in any case", response.text)
        self.assertIn("can not be refused", response.text)
        self.assertEqual(self._new_rows(), [])
        self.assertEqual(response.headers["Referrer-Policy"], "no-referrer")
        self.assertIn("no-store", response.headers["Cache-Control"])

    def test_page_can_be_used_without_sight_and_without_scripts(self):
        page = html.fromstring(self._get(self.amal._get_link("preferences")).text)
        (form,) = page.xpath("//form[@method='post']")
        for box in form.xpath(".//input[@type='checkbox']"):
            with self.subTest(box.get("value")):
                (label,) = form.xpath(f".//label[@for='{box.get('id')}']")
                self.assertTrue(label.text_content().strip())
                fieldset = box.xpath("ancestor::fieldset[1]")[0]
                self.assertTrue(fieldset.xpath("./legend")[0].text_content().strip())
                described = fieldset.get("aria-describedby")
                self.assertTrue(form.xpath(f".//*[@id='{described}']"))
        self.assertEqual(len(page.xpath("//h1")), 1)
        self.assertTrue(form.xpath(".//button[@type='submit']"))

    def test_page_tells_its_language_and_direction(self):
        self.env["res.lang"]._activate_lang("ar_001")
        for lang, told in [("en_US", ("en-US", "ltr")), ("ar_001", ("ar-001", "rtl"))]:
            self.amal.lang = lang
            for name in ("preferences", "confirm"):
                page = html.fromstring(self._get(self.amal._get_link(name)).text)
                with self.subTest(lang, page=name):
                    self.assertEqual((page.get("lang"), page.get("dir")), told)
                    self.assertIn("Riverside Library", page.find(".//title").text)
                    self.assertTrue(page.xpath("//*[@id='wrap']"), "To skip to")

    def test_page_is_used_with_the_keyboard_alone(self):
        self.start_tour(
            self._path(self.amal._get_link("preferences")),
            "library_preferences_keyboard_tour",
        )
        self.assertEqual(
            self._new_rows(),
            [
                ("Amal Idris", "news", "email", "withdrawn", "mail"),
                ("Amal Idris", "survey", "post", "given", "mail"),
            ],
        )

    def test_saving_writes_only_what_changes(self):
        link = self.amal._get_link("preferences")
        response = self._post(
            link,
            {
                "agreed": [
                    self._key(self.amal, self.news),
                    self._key(self.amal, self.surveys, "post"),
                    self._key(self.noor, self.news),
                ]
            },
        )
        self.assertEqual(response.status_code, 303)
        self.assertEqual(
            self._new_rows(),
            [
                ("Amal Idris", "survey", "post", "given", "mail"),
                ("Noor Idris", "news", "email", "given", "mail"),
            ],
        )
        page = self._get(response.headers["Location"])
        self.assertIn("Saved", page.text)

    def test_what_is_not_ticked_is_taken_back(self):
        self._post(self.amal._get_link("preferences"))
        self.assertEqual(
            self._new_rows(), [("Amal Idris", "news", "email", "withdrawn", "mail")]
        )

    def test_one_button_stops_all_of_it(self):
        self._post(
            self.amal._get_link("preferences"),
            {"agreed": self._key(self.amal, self.news), "nothing": "1"},
        )
        self.assertEqual(
            self._new_rows(), [("Amal Idris", "news", "email", "withdrawn", "mail")]
        )

    def test_form_speaks_for_nobody_else(self):
        self._post(
            self.amal._get_link("preferences"),
            {
                "agreed": [
                    self._key(self.amal, self.news),
                    self._key(self.bruno, self.news),
                    self._key(self.amal, self.service),
                    "-".join(("x", "y")),
                ]
            },
        )
        self.assertEqual(self._new_rows(), [])

    def test_child_does_not_agree_alone(self):
        self.noor.email = "noor.idris@test.example.com"
        page = self._get(self.noor._get_link("preferences"))
        self.assertIn("Your guardian decides", page.text)
        self.assertNotIn('name="agreed"', page.text)

    def test_grown_up_is_no_longer_spoken_for(self):
        self.noor.birth_date = fields.Date.today() - relativedelta(years=16)
        page = self._get(self.amal._get_link("preferences"))
        self.assertNotIn("Noor Idris", page.text)

    def test_post_without_the_token_of_the_session_is_refused(self):
        link = self._path(self.amal._get_link("preferences"))
        self.url_open(link)
        response = self.url_open(link, data={"nothing": "1"}, allow_redirects=False)
        self.assertEqual(response.status_code, 400)
        self.assertEqual(self._new_rows(), [])

    # ------------------------------------------------------------
    # THE LINK
    # ------------------------------------------------------------

    def test_forged_links_lead_nowhere(self):
        link = self.amal._get_link("preferences")
        token = link.rsplit("/", 1)[1]
        confirm = self.amal._get_link("confirm").rsplit("/", 1)[1]
        middle = len(token) // 2
        for name, forged in [
            ("changed", f"{token[:middle]}{'A' if token[middle] != 'A' else 'B'}"),
            ("flipped", token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB")),
            ("short", token[:20]),
            ("nonsense", "x"),
            ("of another page", confirm),
            ("of a shape that nobody made", "AQ"),
            ("of signs that are no token", "%FF%00é"),
        ]:
            with self.subTest(name):
                response = self._get(f"/library_crm/preferences/{forged}")
                self.assertEqual(response.status_code, 404)
                self.assertIn("does not work any more", response.text)
                self.assertNotIn("Amal", response.text)

    def test_forged_form_changes_nothing(self):
        page = html.fromstring(self._get("/library_crm/preferences").text)
        csrf = page.xpath("//form//input[@name='csrf_token']")[0].get("value")
        response = self.url_open(
            "/library_crm/preferences/AAAA", data={"csrf_token": csrf, "nothing": "1"}
        )
        self.assertEqual(response.status_code, 404)
        self.assertEqual(self._new_rows(), [])

    def test_link_expires(self):
        with freeze_time(fields.Datetime.now() - timedelta(days=181)):
            old = self.amal._get_link("preferences")
        with freeze_time(fields.Datetime.now() - timedelta(days=179)):
            young = self.amal._get_link("preferences")
        self.assertEqual(self._get(old).status_code, 404)
        self.assertEqual(self._get(young).status_code, 200)

    def test_old_form_that_is_sent_again_says_what_it_says_and_no_more(self):
        """A replay: whoever has the link alone has no form of the session to send."""
        link = self._path(self.amal._get_link("preferences"))
        page = html.fromstring(self._get(link).text)
        csrf = page.xpath("//form//input[@name='csrf_token']")[0].get("value")
        form = {"csrf_token": csrf, "agreed": self._key(self.amal, self.surveys)}
        self.url_open(link, data=form)
        rows = self._new_rows()
        self.authenticate(None, None)  # another browser
        response = self.url_open(link, data=form, allow_redirects=False)
        self.assertEqual(response.status_code, 400)
        self.assertEqual(self._new_rows(), rows)

    def test_one_click_says_no_and_can_not_say_yes(self):
        path = self._one_click(self._send(self._mailing(self.amal)))
        key = self._key(self.amal, self.surveys)
        for _time in range(2):
            self.url_open(path, data={"List-Unsubscribe": "One-Click", "agreed": key})
        self.assertEqual(
            self._new_rows(), [("Amal Idris", "news", "email", "withdrawn", "mail")]
        )

    def test_link_ends_with_the_address_it_was_sent_to(self):
        link = self.amal._get_link("preferences")
        self.amal.email = "somebody.else@test.example.com"
        self.assertEqual(self._get(link).status_code, 404)

    def test_sending_the_same_form_again_adds_nothing(self):
        link = self.amal._get_link("preferences")
        for _time in range(2):
            self._post(link, {"agreed": self._key(self.amal, self.surveys)})
        self.assertEqual(len(self._new_rows()), 2)

    def test_new_link_is_sent_and_the_answer_is_always_the_same(self):
        answers = set()
        with self.mock_mail_gateway():
            for email in (
                "AMAL.idris@test.example.com",
                "nobody@test.example.com",
                "no address",
            ):
                response = self._post("/library_crm/preferences", {"email": email})
                text = html.fromstring(response.text).find(".//main").text_content()
                answers.add(" ".join(text.split()))
            self.assertFalse(self._new_mails, "Writing one would take time")
            self._send_links()
        self.assertEqual(len(answers), 1)
        self.assertIn("If the library has this address", answers.pop())
        (mail,) = self._new_mails
        self.assertEqual(mail.recipient_ids, self.amal.partner_id)
        link = html.fromstring(mail.body_html).find(".//a").get("href")
        self.assertEqual(self._get(link).status_code, 200)

    def _send_links(self):
        cron = self.env.ref("library_crm.ir_cron_send_preferences_links")
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()

    def test_links_are_not_sent_again_and_again(self):
        Patron = self.env["library.patron"]
        with self.mock_mail_gateway():
            for _time in range(3):
                Patron._ask_for_preferences_links(self.amal.email)
                self._send_links()
            self.assertEqual(len(self._new_mails), 1)
            self.amal.preferences_sent_at -= timedelta(hours=1)
            Patron._ask_for_preferences_links(self.amal.email)
            self._send_links()
            self.assertEqual(len(self._new_mails), 2)

    def test_what_is_no_address_asks_for_nobody(self):
        self.bruno.email = False
        for nothing in (None, "", "no address", "@", "a" * 10_000):
            self.env["library.patron"]._ask_for_preferences_links(nothing)
        self.assertFalse(self.bruno.sudo().preferences_asked_at)

    def test_child_is_sent_no_link_of_its_own(self):
        self.noor.email = "noor.idris@test.example.com"
        self.env["library.patron"]._ask_for_preferences_links(self.noor.email)
        with self.mock_mail_gateway():
            self._send_links()
        self.assertFalse(self._new_mails)

    # ------------------------------------------------------------
    # THE WAY OUT OF A MAILING
    # ------------------------------------------------------------

    def _send(self, mailing):
        """:return: the one mail that went out, as handed to the mail server"""
        mailing.action_send_mail()
        (mail,) = mailing.mailing_trace_ids.mail_mail_id
        (outgoing,) = mail._prepare_outgoing_list()
        return outgoing

    def _one_click(self, outgoing):
        return self._path(outgoing["headers"]["List-Unsubscribe"].strip("<>"))

    def test_mailing_leads_to_the_preferences(self):
        for records in (self.amal, self.amal.partner_id):
            for body in ("<p>Hello</p>", '<a href="/unsubscribe_from_list">Out</a>'):
                with self.subTest(model=records._name, body=body):
                    mailing = self._mailing(records, body_html=body)
                    outgoing = self._send(mailing)
                    links = html.fromstring(outgoing["body"]).xpath("//a/@href")
                    self.assertEqual(len(links), 1)
                    self.assertIn("/library_crm/preferences/", links[0])
                    self.assertEqual(self._get(links[0]).status_code, 200)

    def test_mailing_for_a_child_leads_the_guardian_to_the_preferences(self):
        self.Consent._record(self.noor, self.news)
        outgoing = self._send(self._mailing(self.noor))
        (link,) = html.fromstring(outgoing["body"]).xpath("//a/@href")
        self.assertIn(self._key(self.noor, self.news), self._get(link).text)

    def test_mailing_to_strangers_is_left_as_it_is(self):
        stranger = self.env["res.partner"].create({"name": "S", "email": "s@t.example"})
        outgoing = self._send(self._mailing(stranger))
        self.assertNotIn("library_crm", outgoing["body"])

    def test_one_click_stops_what_the_mailing_is_about(self):
        self.Consent._record(self.amal, self.surveys)
        self.before = self.Consent.search([])
        for records in (self.amal, self.amal.partner_id):
            with self.subTest(model=records._name):
                path = self._one_click(self._send(self._mailing(records)))
                response = self.url_open(
                    path, data={"List-Unsubscribe": "One-Click"}, allow_redirects=False
                )
                self.assertEqual(response.status_code, 200)
                self.assertEqual(
                    self._new_rows(),
                    [("Amal Idris", "news", "email", "withdrawn", "mail")],
                )
                self.assertFalse(self.amal.is_blacklisted)
                # The same again adds nothing.
                self.url_open(path, data={"List-Unsubscribe": "One-Click"})
                self.assertEqual(len(self._new_rows()), 1)
            self.Consent._record(self.amal, self.news)
            self.before = self.Consent.search([])

    def test_one_click_for_a_child_stops_the_child_only(self):
        self.Consent._record(self.noor, self.news)
        self.before = self.Consent.search([])
        path = self._one_click(self._send(self._mailing(self.noor)))
        self.url_open(path, data={"List-Unsubscribe": "One-Click"})
        self.assertEqual(
            self._new_rows(), [("Noor Idris", "news", "email", "withdrawn", "mail")]
        )

    def test_forged_one_click_changes_nothing(self):
        mailing = self._mailing(self.amal + self.bruno)
        path = mailing._get_unsubscribe_oneclick_url(self.amal.email, self.amal.id)
        path = self._path(path)
        for forged in (
            path.replace("hash_token=", "hash_token=0"),
            path.replace(f"document_id={self.amal.id}", f"document_id={self.bruno.id}"),
        ):
            with self.subTest(forged):
                response = self.url_open(forged, data={"a": "b"}, allow_redirects=False)
                self.assertIn(response.status_code, (401, 403, 400))
                self.assertEqual(self._new_rows(), [])
                self.assertFalse(self.amal.is_blacklisted)

    def test_crawler_that_follows_links_changes_nothing(self):
        self.Consent._record(self.amal, self.surveys, source="form")
        self.before = self.Consent.search([])
        mailing = self._mailing(self.amal)
        one_click = mailing._get_unsubscribe_oneclick_url(self.amal.email, self.amal.id)
        for address in (
            one_click,
            one_click.replace("_oneclick", ""),
            one_click.replace("unsubscribe_oneclick", "confirm_unsubscribe"),
            mailing._get_unsubscribe_url(self.amal.email, self.amal.id),
            self.amal._get_link("confirm"),
        ):
            with self.subTest(address):
                self.url_open(self._path(address))
                self.opener.head(self.base_url() + self._path(address))
                self.assertEqual(self._new_rows(), [])
                self.assertFalse(self.amal.is_blacklisted)

    def test_service_message_offers_no_button_to_refuse_it(self):
        outgoing = self._send(
            self._mailing(self.amal, library_purpose_id=self.service.id)
        )
        self.assertNotIn("List-Unsubscribe", outgoing["headers"])

    def test_stranger_leaves_as_ever(self):
        stranger = self.env["res.partner"].create({"name": "S", "email": "s@t.example"})
        path = self._one_click(self._send(self._mailing(stranger)))
        self.url_open(path, data={"List-Unsubscribe": "One-Click"})
        stranger.invalidate_recordset(["is_blacklisted"])
        self.assertTrue(stranger.is_blacklisted)

    # ------------------------------------------------------------
    # CONFIRMATION OF AN ADDRESS
    # ------------------------------------------------------------

    def test_address_given_on_the_website_waits_for_its_confirmation(self):
        with self.mock_mail_gateway():
            rows = self.Consent._record(self.bruno, self.news, source="form")
        self.assertEqual(rows.state, "asked")
        self.assertFalse(self.bruno.agreed_purpose_ids)
        self.assertFalse(self._mailing(self.bruno)._get_recipients())
        (mail,) = self._new_mails
        self.assertEqual(mail.recipient_ids, self.bruno.partner_id)
        link = html.fromstring(mail.body_html).find(".//a").get("href")
        page = self._get(link)
        self.assertIn("bruno.silva@test.example.com", page.text)
        self.assertIn("News and events", page.text)
        self.bruno.invalidate_recordset()
        self.assertFalse(self.bruno.agreed_purpose_ids, "Opening it is not enough")
        response = self._post(link)
        self.assertEqual(response.status_code, 303)
        self.assertEqual(self._get(response.headers["Location"]).status_code, 200)
        self.bruno.invalidate_recordset()
        self.assertEqual(self.bruno.agreed_purpose_ids, self.news)
        self.assertEqual(self.bruno.email_confirmed, "bruno.silva@test.example.com")
        again = self.Consent._record(self.bruno, self.surveys, source="form")
        self.assertEqual(again.state, "given", "Once is enough")

    def test_what_was_taken_back_meanwhile_is_not_confirmed(self):
        self.Consent._record(self.bruno, self.news, source="form")
        self.Consent._record(self.bruno, self.news, state="withdrawn")
        self._post(self.bruno._get_link("confirm"))
        self.assertFalse(self.bruno.agreed_purpose_ids)

    def test_desk_paper_and_file_need_no_confirmation(self):
        for source in ("desk", "paper", "import"):
            with self.subTest(source):
                self.Consent._record(self.bruno, self.news, state="withdrawn")
                rows = self.Consent._record(self.bruno, self.news, source=source)
                self.assertEqual(rows.state, "given")

    def test_post_and_phone_need_no_confirmation(self):
        rows = self.Consent._record(self.bruno, self.news, "post", source="form")
        self.assertEqual(rows.state, "given")

    def test_confirmation_is_not_sent_again_and_again(self):
        with self.mock_mail_gateway():
            first = self.Consent._record(self.bruno, self.news, source="form")
            self.assertFalse(self.Consent._record(self.bruno, self.news, source="form"))
            self.assertEqual(len(self._new_mails), 1)
            with freeze_time(first.date + timedelta(hours=2)):
                self.Consent._record(self.bruno, self.news, source="form")
            self.assertEqual(len(self._new_mails), 2)

    def test_guardian_confirms_for_the_child(self):
        with self.mock_mail_gateway():
            rows = self.Consent._record(self.noor, self.news, source="portal")
        self.assertEqual(rows.state, "asked")
        self.assertEqual(self._new_mails.recipient_ids, self.amal.partner_id)
        self._post(self.amal._get_link("confirm"))
        self.noor.invalidate_recordset()
        self.assertEqual(self.noor.agreed_purpose_ids, self.news)

    def test_new_address_is_confirmed_anew_for_what_was_agreed_online(self):
        self.bruno.email_confirmed = self.bruno.email_normalized
        self.Consent._record(self.bruno, self.surveys, source="form")
        self.Consent._record(self.bruno, self.news, source="paper")
        with self.mock_mail_gateway():
            self.bruno.email = "bruno@new.example.com"
        self.bruno.invalidate_recordset()
        self.assertEqual(self.bruno.agreed_purpose_ids, self.news)
        (mail,) = self._new_mails
        link = html.fromstring(mail.body_html).find(".//a").get("href")
        self._post(link)
        self.bruno.invalidate_recordset()
        self.assertEqual(self.bruno.agreed_purpose_ids, self.news + self.surveys)

    def test_same_address_written_otherwise_is_the_same(self):
        self.bruno.email_confirmed = self.bruno.email_normalized
        self.Consent._record(self.bruno, self.surveys, source="form")
        self.bruno.email = "Bruno Silva <BRUNO.SILVA@test.example.com>"
        self.bruno.invalidate_recordset()
        self.assertEqual(self.bruno.agreed_purpose_ids, self.surveys)

    # ------------------------------------------------------------
    # IN THE PORTAL
    # ------------------------------------------------------------

    def _post_portal(self, patron, *agreed):
        page = self.url_open("/my/account")
        token = re.search(r'csrf_token: "([^"]+)"', page.text).group(1)
        return self.url_open(
            f"/my/library/{patron.id}/consent",
            data={"csrf_token": token, "agreed": list(agreed)},
            allow_redirects=False,
        )

    def test_patron_and_guardian_decide_in_the_portal(self):
        self.amal.email_confirmed = self.amal.email_normalized
        self.authenticate("amal_portal", "amal_portal")
        self._post_portal(self.amal, self._key(self.amal, self.surveys))
        self._post_portal(
            self.noor,
            self._key(self.noor, self.news),
            self._key(self.amal, self.service),
            self._key(self.bruno, self.news),
        )
        self.assertEqual(
            self._new_rows(),
            [
                ("Amal Idris", "news", "email", "withdrawn", "portal"),
                ("Amal Idris", "survey", "email", "given", "portal"),
                ("Noor Idris", "news", "email", "given", "portal"),
            ],
        )

    def test_portal_says_that_a_confirmation_is_on_its_way(self):
        self.authenticate("amal_portal", "amal_portal")
        response = self._post_portal(
            self.amal,
            self._key(self.amal, self.news),
            self._key(self.amal, self.surveys),
        )
        page = self._get(response.headers["Location"])
        self.assertIn("a mail is on its way", page.text)
        self.assertIn("to be confirmed", page.text)

    def test_portal_lets_nobody_decide_for_others(self):
        self.authenticate("amal_portal", "amal_portal")
        self._post_portal(self.bruno, self._key(self.bruno, self.news))
        self.noor.birth_date = fields.Date.today() - relativedelta(years=16)
        self._post_portal(self.noor, self._key(self.noor, self.news))
        self.portal.partner_id = self.noor.partner_id
        self.noor.birth_date = fields.Date.today() - relativedelta(years=9)
        self._post_portal(self.noor, self._key(self.noor, self.news))
        self.assertEqual(self._new_rows(), [])
