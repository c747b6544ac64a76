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
