import re
import threading
from unittest.mock import patch

from lxml import html

from odoo.fields import Command
from odoo.tests import HttpCase, new_test_user, tagged

from .common import LibraryCommon

# Addresses of the library, as far as nobody has to know more than their shape.
OURS = re.compile(r"/(library|library_crm|my/library)(/|$)")
# What sends to them has a key of its own, and no page.
WITHOUT_FORM = {"/library_crm/v1/sources/<int:source_id>/uses"}
EVIL = '<img src=x onerror="alert(1)">\'"&{{7*7}}<t t-out="1+1"/>'


@tagged("post_install", "-at_install")
class TestPublicPages(LibraryCommon, HttpCase):
    """What the pages of the library say to browsers, robots and strangers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal.write({"login": "amal_portal", "password": "amal_portal"})
        cls._create_membership()
        cls.form = cls.env["library.join.form"].create(
            {"company_id": cls.library.id, "is_open": True}
        )

    def _get_rules(self):
        """The addresses of the library, each with its routing."""
        # Odoo takes the database from the thread.
        with patch.object(
            threading.current_thread(), "dbname", self.env.cr.dbname, create=True
        ):
            rules = list(self.env["ir.http"].routing_map().iter_rules())
        return [
            (rule.rule, rule.endpoint.routing, rule.methods or {"GET", "POST"})
            for rule in rules
            if OURS.match(rule.rule)
        ]

    def _get_token(self, patron, page):
        return patron._get_link(page).rpartition("/")[2]

    def _fill_in(self, rule):
        """An address of a rule, for Amal."""
        rule = rule.replace("<int:patron_id>", str(self.amal.id))
        rule = re.sub(r"<int:\w+>", "1", rule)
        page = rule.split("/")[2] if rule.startswith("/library_crm/") else ""
        token = (
            self._get_token(self.amal, page)
            if page in ("preferences", "confirm", "privacy", "year")
            else "nothing"
        )
        return re.sub(r"<string:\w+>", token, rule)

    # ------------------------------------------------------------
    # HEADERS AND FORMS
    # ------------------------------------------------------------

    def test_each_page_says_that_it_is_private(self):
        """No cache, no search engine, no frame of another site, no address told."""
        self.authenticate("amal_portal", "amal_portal")
        seen = 0
        for rule, routing, methods in self._get_rules():
            if "GET" not in methods or routing["auth"] == "bearer":
                continue
            response = self.url_open(self._fill_in(rule), allow_redirects=False)
            seen += 1
            with self.subTest(rule=rule, status=response.status_code):
                self.assertLess(response.status_code, 500)
                self.assertEqual(response.headers["Cache-Control"], "no-store")
                self.assertEqual(response.headers["Referrer-Policy"], "no-referrer")
                self.assertEqual(response.headers["X-Robots-Tag"], "noindex")
                self.assertEqual(response.headers["X-Content-Type-Options"], "nosniff")
                self.assertEqual(response.headers["X-Frame-Options"], "SAMEORIGIN")
                self.assertIn(
                    "frame-ancestors 'self'",
                    response.headers["Content-Security-Policy"],
                )
        self.assertGreater(seen, 10)

    def test_pages_of_others_are_as_odoo_has_them(self):
        response = self.url_open("/web/health")
        for name in ("X-Robots-Tag", "X-Frame-Options", "Content-Security-Policy"):
            self.assertNotIn(name, response.headers)

    def test_each_form_is_refused_without_its_token(self):
        seen = 0
        for rule, routing, methods in self._get_rules():
            if "POST" not in methods or routing["type"] != "http":
                continue
            with self.subTest(rule=rule):
                if rule in WITHOUT_FORM:
                    self.assertEqual(routing["auth"], "bearer")
                    continue
                if "GET" not in methods:
                    seen += 1
                self.assertTrue(routing.get("csrf", True))
        self.assertGreater(seen, 3)
        self.authenticate("amal_portal", "amal_portal")
        response = self.url_open(
            f"/my/library/{self.amal.id}/renew", data={"a": "b"}, allow_redirects=False
        )
        self.assertEqual(response.status_code, 400)
        self.assertFalse(
            self.env["crm.lead"].search([("library_patron_id", "=", self.amal.id)])
        )

    def test_no_page_leads_away_from_the_library(self):
        self.authenticate("amal_portal", "amal_portal")
        away = "//evil.example.com"
        for rule, _routing, methods in self._get_rules():
            if "GET" not in methods:
                continue
            query = f"?redirect={away}&url={away}&next={away}&saved={away}"
            response = self.url_open(self._fill_in(rule) + query, allow_redirects=False)
            with self.subTest(rule=rule):
                location = response.headers.get("Location", "")
                self.assertNotRegex(
                    location, r"^(https?:)?//(?!127\.0\.0\.1|localhost)"
                )
                self.assertNotIn('href="//evil', response.text)

    # ------------------------------------------------------------
    # TOKENS
    # ------------------------------------------------------------

    def test_link_opens_its_own_page_for_its_own_patron_alone(self):
        Patron = self.env["library.patron"]
        pages = list(Patron._LINK_DAYS)
        for page in pages:
            token = self._get_token(self.amal, page)
            self.assertEqual(Patron._find_by_link(page, token), self.amal)
            for other in set(pages) - {page}:
                with self.subTest(made_for=page, used_for=other):
                    self.assertFalse(Patron._find_by_link(other, token))
            for wrong in (
                *("", "1", token[:-1], token + "A", token[::-1], "é" * 20),
                token[:10] + ("A" if token[10] != "A" else "B") + token[11:],
                self._get_token(self.bruno, page)[:20] + token[20:],
            ):
                with self.subTest(page=page, wrong=wrong):
                    self.assertFalse(Patron._find_by_link(page, wrong))
        join = self.env["library.join"].create(
            {"company_id": self.library.id, "name": "R", "email": "r@example.com"}
        )
        self.assertFalse(Patron._find_by_link("year", join._get_token()))
        self.assertFalse(
            self.env["library.join"]._find_by_token(self._get_token(self.amal, "year"))
        )

    def test_links_of_two_patrons_at_one_address_are_two(self):
        """A couple that shares a mailbox; a number next to one's own opens nothing."""
        self.bruno.email = self.amal.email
        tokens = {self._get_token(patron, "year") for patron in self.amal + self.bruno}
        self.assertEqual(len(tokens), 2)
        for number in (self.amal.id, self.bruno.id):
            page = self.url_open(f"/library_crm/year/{number}")
            self.assertEqual(page.status_code, 404)

    # ------------------------------------------------------------
    # LIMITS
    # ------------------------------------------------------------

    def _post(self, path, **values):
        token = html.fromstring(self.url_open(path).text).xpath(
            "//input[@name='csrf_token']/@value"
        )[0]
        return self.url_open(path, data={"csrf_token": token, **values})

    def test_links_can_not_be_guessed_for_long_and_right_ones_still_open(self):
        Limit = self.env["library.public.limit"]
        with patch.dict(Limit.LIMITS, wrong=2):
            for path in ("preferences/x1", "year/x2"):
                page = self.url_open(f"/library_crm/{path}")
                self.assertEqual(page.status_code, 404)
            for path in (
                *("/library_crm/preferences/x3", "/library_crm/confirm/x3"),
                *("/library_crm/year/x3", "/library/join/confirm/x3"),
            ):
                page = self.url_open(path)
                with self.subTest(path):
                    self.assertEqual(page.status_code, 429)
                    self.assertIn("try again in an hour", page.text)
            for page in ("preferences", "confirm", "privacy", "year"):
                right = self.url_open(self.amal._get_link(page))
                self.assertEqual(right.status_code, 200)

    def test_links_can_not_be_asked_for_in_masses(self):
        Limit = self.env["library.public.limit"]
        with patch.dict(Limit.LIMITS, link=2):
            for email in (self.amal.email, "nobody@test.example.com"):
                page = self._post("/library_crm/preferences", email=email)
                self.assertEqual(page.status_code, 200)
            page = self._post("/library_crm/preferences", email="a@test.example.com")
            self.assertEqual(page.status_code, 429)
            self.assertIn("ask at the library", page.text)

    def test_preferences_of_one_patron_can_not_be_saved_in_masses(self):
        Limit = self.env["library.public.limit"]
        path = f"/library_crm/preferences/{self._get_token(self.amal, 'preferences')}"
        with patch.dict(Limit.LIMITS, save=2):
            for status in (200, 200, 429):
                self.assertEqual(self._post(path, nothing="1").status_code, status)
            other = self._get_token(self.bruno, "preferences")
            self.assertEqual(
                self._post(f"/library_crm/preferences/{other}").status_code, 200
            )

    def test_limit_is_of_one_network_and_of_one_hour(self):
        Limit = self.env["library.public.limit"]
        with patch.dict(Limit.LIMITS, wrong=1):
            self.assertTrue(Limit._let_in("wrong", "2001:db8::1"))
            self.assertFalse(Limit._let_in("wrong", "2001:db8::ffff"), "One household")
            self.assertTrue(Limit._let_in("wrong", "2001:db8:0:1::1"))
            self.assertTrue(Limit._let_in("link", "2001:db8::1"), "Another thing")
            self.env.cr.execute(
                "UPDATE library_public_limit SET done_at = done_at - interval '1 hour'"
            )
            self.assertTrue(Limit._let_in("wrong", "2001:db8::1"))

    def test_a_class_behind_one_address_is_not_shut_out(self):
        """The numbers that the documentation tells."""
        limits = self.env["library.public.limit"].LIMITS
        self.assertGreaterEqual(limits["join"], 30)
        self.assertGreaterEqual(limits["link"], 30)

    # ------------------------------------------------------------
    # NAMES THAT ARE PROGRAMS
    # ------------------------------------------------------------

    def assertShownAsText(self, text):
        self.assertNotIn("<img src=x", text)
        self.assertNotIn('onerror="alert', text)
        self.assertFalse(html.fromstring(text).xpath("//img[@onerror]"))

    def test_name_that_is_a_program_is_shown_as_text(self):
        self.amal.partner_id.name = EVIL
        self.main.name = EVIL
        self.library.name = EVIL
        self.env["library.interest"].create({"name": EVIL})
        noor = self.env["library.patron"].create(
            {
                "name": EVIL,
                "card_number": "<b>1",
                "company_id": self.library.id,
                "branch_id": self.main.id,
                "guardian_id": self.amal.id,
                "birth_date": "2018-01-01",
            }
        )
        self.authenticate("amal_portal", "amal_portal")
        shown = 0
        for path in (
            *("/my", "/my/library", "/my/library/year", "/my/account"),
            *(f"/my/library/{patron.id}" for patron in self.amal + noor),
            *(
                self.amal._get_link(page).partition("/library_crm")[2]
                for page in ("preferences", "confirm", "privacy", "year")
            ),
            f"/library/join?library={self.library.id}",
        ):
            path = (
                path if path.startswith(("/my", "/library")) else f"/library_crm{path}"
            )
            page = self.url_open(path)
            with self.subTest(path):
                self.assertEqual(page.status_code, 200)
                self.assertShownAsText(page.text)
                shown += "&lt;img src=x" in page.text
        self.assertGreaterEqual(shown, 5)

    def test_name_that_is_a_program_is_shown_as_text_in_mails(self):
        self.amal.partner_id.name = EVIL
        self.main.name = EVIL
        self.library.name = EVIL
        self.amal._send_link("library_crm.mail_template_preferences")
        mails = self.env["mail.mail"].search(
            [("model", "=", "library.patron"), ("res_id", "=", self.amal.id)]
        )
        self.assertTrue(mails)
        for mail in mails:
            self.assertShownAsText(str(mail.body_html))
            self.assertNotIn("49", mail.subject or "")
        for mailing in self.env["mailing.mailing"].search(
            [("library_view_id", "!=", False)]
        ):
            body = mailing._render_field("body_html", self.amal.ids)[self.amal.id]
            with self.subTest(mailing.subject):
                self.assertShownAsText(str(body))
                self.assertNotIn("49", str(body).partition("{{7*7}}")[0][-4:])

    # ------------------------------------------------------------
    # NUMBERS IN ADDRESSES
    # ------------------------------------------------------------

    def test_number_of_another_patron_opens_nothing(self):
        stranger = new_test_user(
            self.env,
            "library_stranger",
            "base.group_portal",
            company_id=self.library.id,
            company_ids=[Command.set(self.library.ids)],
        )
        stranger.partner_id = self.bruno.partner_id
        self.authenticate("library_stranger", "library_stranger")
        name, card = "Amal Idris", "0042"
        for path in (
            f"/my/library/{self.amal.id}",
            f"/web/image/library.patron/{self.amal.id}/avatar_128",
            f"/web/image/library.patron/{self.amal.id}/image_1920",
            f"/web/content/library.patron/{self.amal.id}/image_1920",
            f"/report/html/library_crm.nothing/{self.amal.id}",
            f"/odoo/library.patron/{self.amal.id}",
            f"/mail/view?model=library.patron&res_id={self.amal.id}",
        ):
            page = self.url_open(path)
            with self.subTest(path):
                self.assertNotIn(name, page.text)
                self.assertNotIn(
                    card, html.fromstring(page.text or "<p/>").text_content()
                )
        for _rule, routing, methods in self._get_rules():
            if methods == {"POST"} and any(
                "patron_id" in it for it in routing["routes"]
            ):
                for route in routing["routes"]:
                    path = self._fill_in(route)
                    page = self.url_open("/my/account").text
                    token = re.search(r'csrf_token: "([^"]+)"', page).group(1)
                    response = self.url_open(
                        path, data={"csrf_token": token}, allow_redirects=False
                    )
                    with self.subTest(path):
                        self.assertEqual(response.status_code, 303)
                        self.assertTrue(response.headers["Location"].endswith("/my"))
