from datetime import datetime

from freezegun import freeze_time

from odoo import http
from odoo.exceptions import ValidationError
from odoo.tests import HttpCase, tagged

from .common import RoundCommon


@tagged("post_install", "-at_install")
class TestSurveyKiosk(RoundCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kiosk = cls._make_round(
            name="Main", kind="kiosk", branch_id=cls.main.id, hourly_limit=60
        )
        cls.kiosk.action_start()
        cls.door = f"/library/survey/{cls.kiosk.sudo().access_token}"

    def _begin(self):
        self.authenticate(None, None)
        return self.url_open(
            self.door,
            {"csrf_token": http.Request.csrf_token(self)},
            allow_redirects=False,
        )

    def test_answers_of_a_kiosk_are_nobodys_and_of_its_branch(self):
        answer, _problem = self.kiosk._begin(address="192.0.2.1")
        self._fill_in(answer)
        self.assertFalse(answer.partner_id or answer.library_patron_id or answer.email)
        self.assertEqual(answer.library_branch_id, self.main)
        self.assertTrue(self.kiosk.is_anonymous)
        with self.assertRaisesRegex(ValidationError, "who they are"):
            self.kiosk.copy({"is_anonymous": False})

    def test_5000_answers_from_one_address_are_limited(self):
        with freeze_time(datetime(2026, 5, 20, 12, 0)):
            begun = [self.kiosk._begin(address="192.0.2.1")[1] for _ in range(5000)]
        self.assertEqual(begun.count(None), 60)
        self.assertEqual(set(begun), {None, "busy"})
        self.assertEqual(len(self.survey.user_input_ids), 60)

    def test_limit_is_for_one_place_and_one_hour(self):
        self.kiosk.hourly_limit = 1
        with freeze_time(datetime(2026, 5, 20, 12, 0)):
            self.assertFalse(self.kiosk._begin(address="192.0.2.1")[1])
            self.assertEqual(self.kiosk._begin(address="192.0.2.1")[1], "busy")
            # Another address shares a counter once in 256: of 20 most do not.
            others = [
                self.kiosk._begin(address=f"198.51.100.{host}")[1] for host in range(20)
            ]
            self.assertGreater(others.count(None), 10)
        with freeze_time(datetime(2026, 5, 20, 13, 0)):
            self.assertFalse(self.kiosk._begin(address="192.0.2.1")[1])

    def test_devices_of_one_household_are_one_place(self):
        Gate = self.env["library.survey.gate"]
        counters = {
            Gate._get_counter("key", f"2001:db8:1:2::{host}") for host in range(1, 50)
        }
        self.assertEqual(len(counters), 1)

    def test_no_address_is_kept(self):
        self.kiosk._begin(address="192.0.2.177")
        self.env.flush_all()
        gate = self.env["library.survey.gate"].search(
            [("round_id", "=", self.kiosk.id)]
        )
        self.assertNotIn("192.0.2.177", str(gate.read()))
        self.assertEqual(list(gate.counts.values()), [1])
        # With the key at hand, so many addresses could have been it.
        counter = next(iter(gate.counts))
        key = gate.sudo().key
        same = sum(
            gate._get_counter(key, f"10.0.{net}.{host}") == counter
            for net in range(16)
            for host in range(256)
        )
        self.assertGreater(same, 4)

    def test_screen_shows_the_door_and_the_door_hands_out_a_form(self):
        page = self.url_open(self.door.replace("/survey/", "/kiosk/"))
        self.assertIn(f'src="{self.door}"', page.text)
        page = self.url_open(self.door)
        self.assertIn("How was your visit?", page.text)
        self.assertIn("no-store", page.headers["Cache-Control"])
        self.assertFalse(self.survey.user_input_ids)
        answer = self._begin()
        self.assertEqual(answer.status_code, 303)
        self.assertRegex(answer.headers["Location"], r"/survey/[^/]+/[^/]+$")
        self.assertEqual(len(self.survey.user_input_ids), 1)

    def test_busy_and_closed_doors_say_so(self):
        self.kiosk.hourly_limit = 1
        self._begin()
        busy = self._begin()
        self.assertEqual(busy.status_code, 429)
        self.assertIn("try again", busy.text)
        self.kiosk.action_close()
        self.assertIn("is over", self.url_open(self.door).text)

    def test_answer_after_closing_is_not_taken(self):
        answer, _problem = self.kiosk._begin(address="192.0.2.1")
        self.kiosk.action_close()
        page = self.url_open(
            f"/survey/{self.survey.access_token}/{answer.access_token}"
        )
        self.assertNotIn("Would you recommend", page.text)
        submitted = self.make_jsonrpc_request(
            f"/survey/submit/{self.survey.access_token}/{answer.access_token}",
            {str(self.recommend.id): "10"},
        )
        self.assertEqual(submitted[1]["error"], "survey_closed")

    def test_poster_leads_to_the_door(self):
        html, _kind = self.env["ir.actions.report"]._render_qweb_html(
            "library_crm_survey.library_survey_poster_report", self.kiosk.ids
        )
        self.assertIn("barcode_type=QR", html.decode())
        self.assertIn(self.kiosk.sudo().access_token, html.decode())
        self.assertIn("Main", html.decode())

    def test_same_kiosk_for_each_branch(self):
        self.kiosk.action_copy_to_branches()
        kiosks = self.env["library.survey.round"].search(
            [("survey_id", "=", self.survey.id), ("kind", "=", "kiosk")]
        )
        self.assertEqual(kiosks.branch_id, self.main + self.north)
        self.assertEqual(len(kiosks), 2)
        self.kiosk.action_copy_to_branches()
        self.survey.invalidate_recordset()
        self.assertEqual(self.survey.library_round_count, 2)


# One visitor answers, one leaves in the middle, and each of them finds the start.
_VISITORS = """
(async () => {
    const frame = document.querySelector(".o_library_kiosk iframe");
    const find = async (selector) => {
        for (let moment = 0; moment < 600; moment++) {
            const found = frame.contentDocument?.querySelector(selector);
            if (found) {
                return found;
            }
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        throw new Error(`not found: ${selector}`);
    };
    const begin = async () => {
        (await find(".o_library_survey_door button")).click();
        return find(".o_survey_form:has(button[type=submit]:not(.disabled)) textarea");
    };
    const first = await begin();
    first.value = "Longer hours";
    (await find(".o_survey_form input[value='9']")).click();
    (await find(".o_survey_form button[type=submit]")).click();
    (await find(".modal footer .btn-primary")).click();
    await find(".o_survey_finished");
    const second = await begin();
    second.value = "Something private";
    const third = await begin();
    if (third === second || third.value) {
        throw new Error(`the next one reads: ${third.value}`);
    }
    console.log("test successful");
})().catch((error) => console.error(error.message));
"""


@tagged("post_install", "-at_install")
class TestKioskScreen(RoundCommon, HttpCase):
    """The screen in a branch, as visitors see it: a phone's width, touched."""

    browser_size = "390x844"
    touch_enabled = True

    def test_each_visitor_finds_the_start(self):
        kiosk = self._make_round(name="Main", kind="kiosk", branch_id=self.main.id)
        kiosk.action_start()
        screen = self.env.ref("library_crm_survey.survey_kiosk")
        screen.arch = screen.arch.replace(
            'data-idle-seconds="60"', 'data-idle-seconds="15"'
        ).replace('data-thanks-seconds="8"', 'data-thanks-seconds="2"')
        self.assertIn('data-idle-seconds="15"', screen.arch)
        self.browser_js(
            f"/library/kiosk/{kiosk.sudo().access_token}",
            _VISITORS,
            ready="!!document.querySelector('.o_library_kiosk iframe')",
            timeout=180,
        )
        done = self.survey.user_input_ids.filtered(lambda one: one.state == "done")
        self.assertEqual(done._get_scores(), {"nps": 9})
        self.assertEqual(len(self.survey.user_input_ids), 3)
        lines = self.survey.user_input_ids.user_input_line_ids
        self.assertEqual(lines.filtered("value_text_box").user_input_id, done)

    def test_visitor_chooses_the_language_and_the_next_one_another(self):
        self.env["res.lang"]._activate_lang("de_DE")
        self.survey.lang_ids = False
        kiosk = self._make_round(name="Main", kind="kiosk", branch_id=self.main.id)
        kiosk.action_start()
        door = f"/library/survey/{kiosk.sudo().access_token}"
        german = {"Accept-Language": "de-AT,de;q=0.9"}
        self.authenticate(None, None)
        page = self.url_open(door, headers=german).text
        self.assertIn('lang="de-DE"', page)
        self.assertLess(page.index('value="de_DE"'), page.index('value="en_US"'))
        for lang, tag in (("de_DE", "de-DE"), ("en_US", "en-US")):
            with self.subTest(lang):
                form = self.url_open(
                    door, {"csrf_token": http.Request.csrf_token(self), "lang": lang}
                )
                self.assertIn("o_survey_form", form.text)
                self.assertIn(f'lang="{tag}"', form.text)
                self.assertEqual(self.opener.cookies["frontend_lang"], lang)
        self.assertFalse(self.survey.user_input_ids.lang_id)
        self.assertEqual(
            set(self.survey.user_input_ids.mapped("state")), {"in_progress"}
        )
