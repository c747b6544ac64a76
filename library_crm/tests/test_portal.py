import re
from datetime import date, timedelta

from lxml import html

from odoo import fields
from odoo.tests import HttpCase, tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestPortal(LibraryCommon, HttpCase):
    """The patron's own page. ``portal`` is the user of Amal, who guards Noor."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal.write({"login": "amal_portal", "password": "amal_portal"})
        cls.noor = cls.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "card_number": "0099",
                "patron_category_id": cls.child.id,
                "branch_id": cls.main.id,
                "company_id": cls.library.id,
                "guardian_id": cls.amal.id,
                "birth_date": date(2017, 5, 23),
            }
        )
        cls.main.partner_id = cls.env["res.partner"].create(
            {"name": "Main", "street": "12 Test Lane", "city": "Riverside"}
        )
        today = fields.Date.today()
        cls.membership = cls._create_membership(
            date_start=today - timedelta(days=330),
            date_end=today + timedelta(days=30),
        )
        cls.stories, cls.maps, cls.hidden = cls.env["library.interest"].create(
            [
                {"name": "Tour stories"},
                {"name": "Tour maps"},
                {"name": "Tour hidden", "portal_published": False},
            ]
        )
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")
        cls.env["library.consent"].create(
            {"patron_id": cls.amal.id, "purpose_id": cls.news.id, "state": "given"}
        )

    def _get_page(self, patron):
        return self.url_open(f"/my/library/{patron.id}", allow_redirects=False)

    def _post(self, patron, action, **values):
        """Send a form as a browser does, with the token of the session."""
        page = self.url_open("/my/account")
        token = re.search(r'csrf_token: "([^"]+)"', page.text).group(1)
        return self.url_open(
            f"/my/library/{patron.id}/{action}",
            data={"csrf_token": token, **values},
            allow_redirects=False,
        )

    def _get_requests(self, patron):
        return self.env["crm.lead"].search([("library_patron_id", "=", patron.id)])

    def assertSentAway(self, response):
        self.assertEqual(response.status_code, 303)
        self.assertTrue(response.headers["Location"].endswith("/my"))

    def test_visitor_is_sent_to_the_login(self):
        for path in ("/my/library", f"/my/library/{self.amal.id}"):
            with self.subTest(path):
                response = self.url_open(path, allow_redirects=False)
                self.assertEqual(response.status_code, 303)
                self.assertIn("/web/login", response.headers["Location"])

    def test_patron_sees_own_page(self):
        self.authenticate("amal_portal", "amal_portal")
        page = self._get_page(self.amal)
        self.assertEqual(page.status_code, 200)
        for shown in (
            "Amal Idris",
            "0042",
            "data:image/png;base64,",
            "Main",
            "12 Test Lane",
            "Adult",
            "A year, free",
            "Ask for a renewal",
            "Noor Idris",
            "Tour stories",
            "News and events",
        ):
            with self.subTest(shown):
                self.assertIn(shown, page.text)
        self.assertNotIn("Tour hidden", page.text)

    def test_page_keeps_what_is_not_for_the_patron(self):
        today = fields.Date.today()
        self.env["library.service.usage"].create(
            {
                "patron_id": self.noor.id,
                "service_id": self.visit.id,
                "branch_id": self.main.id,
                "date": today - timedelta(days=43),
            }
        )
        self.noor.message_post(body="Parents argue at the desk")
        self.env["crm.lead"].create(
            {
                "name": "Win Noor back",
                "library_request_kind": "win_back",
                "library_patron_id": self.noor.id,
                "company_id": self.library.id,
            }
        )
        self.noor.invalidate_recordset()
        self.authenticate("amal_portal", "amal_portal")
        page = self._get_page(self.noor).text
        self.assertIn("Noor Idris", page)
        last_use = self.noor.last_use_date
        self.assertTrue(last_use)
        for hidden in (
            "05/23/2017",
            "2017-05-23",
            "argue at the desk",
            "Win Noor back",
            "Win back",
            last_use.strftime("%m/%d/%Y"),
            str(last_use),
        ):
            with self.subTest(hidden):
                self.assertNotIn(hidden, page)

    def _get_agreed(self, patron):
        """What is ticked on the page of a patron, as (purpose, channel)."""
        page = html.fromstring(self._get_page(patron).text)
        card = page.find(".//*[@aria-labelledby='library_agreements_title']")
        return {
            tuple(box.get("value").split("-")[1:])
            for box in card.xpath(".//input[@name='agreed'][@checked]")
        }

    def test_page_says_what_holds_of_what_was_agreed(self):
        self.authenticate("amal_portal", "amal_portal")
        news = str(self.news.id)
        for channel, state, shown in (
            ("post", "given", {(news, "post"), (news, "email")}),
            ("email", "withdrawn", {(news, "post")}),
            ("post", "withdrawn", set()),
        ):
            with self.subTest(channel=channel, state=state):
                self.env["library.consent"].create(
                    {
                        "patron_id": self.amal.id,
                        "purpose_id": self.news.id,
                        "channel": channel,
                        "state": state,
                    }
                )
                self.assertEqual(self._get_agreed(self.amal), shown)

    def test_list_shows_own_and_guarded(self):
        self.authenticate("amal_portal", "amal_portal")
        page = self.url_open("/my/library").text
        self.assertIn("Amal Idris", page)
        self.assertIn("Noor Idris", page)
        self.assertNotIn("Bruno Silva", page)
        self.assertEqual(
            self.make_jsonrpc_request(
                "/my/counters", {"counters": ["library_patron_count"]}
            ),
            {"library_patron_count": 2},
        )
        self.noor.guardian_id = False
        page = self.url_open("/my/library", allow_redirects=False)
        self.assertEqual(page.status_code, 303)
        self.assertTrue(page.headers["Location"].endswith(f"/{self.amal.id}"))

    def test_pages_of_others_are_refused(self):
        self._create_membership(
            self.bruno, date_end=fields.Date.today() + timedelta(days=3)
        )
        self.authenticate("amal_portal", "amal_portal")
        missing = self.env["library.patron"].browse(self.noor.id + 10**6)
        for patron in (self.bruno, self.other_patron, missing):
            with self.subTest(patron.id):
                self.assertSentAway(self._get_page(patron))
                self.assertSentAway(self._post(patron, "renew"))
                self.assertSentAway(
                    self._post(patron, "interests", interest=self.stories.id)
                )
        others = self.bruno + self.other_patron
        self.assertFalse(self._get_requests(self.bruno))
        self.assertFalse(others.interest_ids)

    def test_librarian_has_no_way_to_other_patrons_here(self):
        self.manager.password = "library_manager"
        self.authenticate("library_manager", "library_manager")
        self.assertSentAway(self._get_page(self.amal))
        self.assertSentAway(self._post(self.amal, "renew"))
        self.assertFalse(self._get_requests(self.amal))

    def test_employee_who_is_no_patron_gets_an_empty_page(self):
        self.employee.password = "library_employee"
        self.authenticate("library_employee", "library_employee")
        self.assertIn("not registered as a patron", self.url_open("/my/library").text)
        self.assertSentAway(self._get_page(self.amal))

    def test_archived_patron_is_not_shown(self):
        self.noor.active = False
        self.authenticate("amal_portal", "amal_portal")
        self.assertSentAway(self._get_page(self.noor))
        self.assertNotIn("Noor Idris", self._get_page(self.amal).text)

    def test_renewal_makes_one_request_only(self):
        self.amal.liaison_id = self.desk
        self.authenticate("amal_portal", "amal_portal")
        first = self._post(self.amal, "renew")
        self.assertIn("notice=renewal_sent", first.headers["Location"])
        second = self._post(self.amal, "renew")
        self.assertIn("notice=renewal_open", second.headers["Location"])
        lead = self._get_requests(self.amal)
        self.assertRecordValues(
            lead,
            [
                {
                    "library_request_kind": "renewal",
                    "name": "Renewal: Amal Idris",
                    "partner_id": self.amal.partner_id.id,
                    "library_branch_id": self.main.id,
                    "company_id": self.library.id,
                    "user_id": self.desk.id,
                    "type": "opportunity",
                    "library_team_purpose": "service",
                }
            ],
        )
        self.assertNotIn("Ask for a renewal", self._get_page(self.amal).text)
        lead.action_set_won()
        third = self._post(self.amal, "renew")
        self.assertIn("notice=renewal_sent", third.headers["Location"])

    def test_guardian_asks_for_the_renewal_of_a_child(self):
        self._create_membership(
            self.noor, date_end=fields.Date.today() + timedelta(days=3)
        )
        self.authenticate("amal_portal", "amal_portal")
        self._post(self.noor, "renew")
        self.assertEqual(self._get_requests(self.noor).user_id, self.env["res.users"])
        self.assertFalse(self._get_requests(self.amal))

    def test_page_of_a_child_speaks_to_the_guardian(self):
        self._create_membership(self.noor, state="draft")
        self.authenticate("amal_portal", "amal_portal")
        own = self._get_page(self.amal).text
        self.assertIn("may write to you about", own)
        self.assertIn("Tell us what you like", own)
        page = self._get_page(self.noor).text
        self.assertIn("may write about for this patron", page)
        self.assertIn("Tell us what this patron likes", page)
        self.assertIn("The membership has not begun yet", page)
        for wrong in ("Your membership", "you agreed", "you like", "my interests"):
            with self.subTest(wrong):
                self.assertNotIn(wrong, page)

    def test_renewal_that_is_not_possible_says_why(self):
        self.authenticate("amal_portal", "amal_portal")
        today = fields.Date.today()
        for values, reason in (
            ({"date_end": False}, "never ends"),
            ({"date_end": today + timedelta(days=200)}, "from"),
            ({"state": "draft"}, "not begun"),
            (
                {
                    "state": "suspended",
                    "suspended_on": today,
                    "date_end": today + timedelta(days=30),
                },
                "suspended",
            ),
            (
                {
                    "state": "cancelled",
                    "reason_id": self.env.ref(
                        "library_crm.library_membership_reason_moved"
                    ).id,
                },
                "cancelled",
            ),
        ):
            with self.subTest(reason):
                self.membership.write(values)
                obstacle = self.amal._get_renewal_obstacle()
                self.assertIn(reason, obstacle)
                response = self._post(self.amal, "renew")
                self.assertIn("notice=renewal_refused", response.headers["Location"])
                self.assertFalse(self._get_requests(self.amal))
                self.assertNotIn("Ask for a renewal", self._get_page(self.amal).text)
        self.assertIn("no membership", self.bruno._get_renewal_obstacle())

    def test_interests_are_saved(self):
        self.amal.interest_ids = self.maps + self.hidden
        self.authenticate("amal_portal", "amal_portal")
        response = self._post(self.amal, "interests", interest=self.stories.id)
        self.assertIn("notice=interests_saved", response.headers["Location"])
        self.assertEqual(self.amal.interest_ids, self.stories + self.hidden)
        self._post(self.amal, "interests", interest=[self.stories.id, self.maps.id])
        self.assertEqual(self.amal.interest_ids, self.stories + self.maps + self.hidden)
        self._post(self.amal, "interests")
        self.assertEqual(self.amal.interest_ids, self.hidden)

    def test_interests_that_are_not_on_offer_are_refused(self):
        self.amal.interest_ids = self.maps
        self.authenticate("amal_portal", "amal_portal")
        for interest in (self.hidden.id, "abc", -1, [self.stories.id, self.hidden.id]):
            with self.subTest(interest):
                response = self._post(self.amal, "interests", interest=interest)
                self.assertIn("notice=interests_refused", response.headers["Location"])
                self.assertEqual(self.amal.interest_ids, self.maps)

    def test_form_without_a_token_is_refused(self):
        self.authenticate("amal_portal", "amal_portal")
        for action in ("renew", "interests"):
            with self.subTest(action), self.assertLogs("odoo.http", "WARNING"):
                response = self.url_open(
                    f"/my/library/{self.amal.id}/{action}", data={"interest": ""}
                )
                self.assertEqual(response.status_code, 400)
        self.assertFalse(self._get_requests(self.amal))

    def test_a_link_that_is_followed_changes_nothing(self):
        self.amal.interest_ids = self.maps
        self.authenticate("amal_portal", "amal_portal")
        for action in ("renew", "interests"):
            with self.subTest(action):
                response = self.url_open(f"/my/library/{self.amal.id}/{action}")
                self.assertEqual(response.status_code, 405)
        self.assertFalse(self._get_requests(self.amal))
        self.assertEqual(self.amal.interest_ids, self.maps)

    def test_tour(self):
        self.noor.guardian_id = False
        self.start_tour("/my", "library_portal_tour", login="amal_portal")
        self.assertEqual(len(self._get_requests(self.amal)), 1)
        self.assertEqual(self.amal.interest_ids, self.stories)
