import json
from datetime import timedelta

from freezegun import freeze_time

from odoo import fields
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from .common import LibraryCommon

_ROOT = "/library_crm/v1"


@tagged("post_install", "-at_install")
class TestWebhook(LibraryCommon, HttpCase):
    """Tools of the library send what was used; each use is counted once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gate, cls.booking = (
            new_test_user(
                cls.env,
                login,
                "base.group_user",
                company_id=cls.library.id,
                company_ids=[(6, 0, cls.library.ids)],
            )
            for login in ("library_gate", "library_booking")
        )
        cls.source = cls.env["library.data.source"].create(
            {
                "name": "Gates",
                "format": "webhook",
                "company_id": cls.library.id,
                "branch_id": cls.main.id,
                "sender_id": cls.gate.id,
            }
        )
        cls.keys = {
            user.login: cls.make_key(user)
            for user in (cls.gate, cls.booking, cls.manager, cls.desk)
        }

    @classmethod
    def make_key(cls, user):
        return (
            cls.env["res.users.apikeys"]
            .with_user(user)
            .sudo()
            ._generate(None, "test", fields.Datetime.now() + timedelta(days=1))
        )

    def send(self, body, login="library_gate", source=None, **options):
        """Send a list of uses, or bytes; gives the answer."""
        if not isinstance(body, bytes):
            body = json.dumps({"uses": body}).encode()
        headers = {"Content-Type": "application/json"}
        if login:
            headers["Authorization"] = f"Bearer {self.keys.get(login, login)}"
        path = f"{_ROOT}/sources/{source or self.source.id}/uses"
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return self.url_open(f"{path}?{query}", data=body, headers=headers, timeout=60)

    def make_use(self, key, **values):
        return {"key": key, "date": "2026-01-05", "service": "visit", **values}

    def get_uses(self):
        return self.env["library.service.usage"].search(
            [("source_id", "=", self.source.id)], order="id"
        )

    # ------------------------------------------------------------
    # COUNTING
    # ------------------------------------------------------------

    def test_batch_is_counted_for_branch_service_and_patron(self):
        answer = self.send(
            [
                self.make_use("a", quantity=12),
                self.make_use("b", branch="TNORTH", card="0042", service="room"),
                self.make_use("c", date="2026-01-06T10:15:00"),
            ]
        )
        self.assertEqual(answer.status_code, 200, answer.text)
        self.assertEqual(answer.json()["new"], 3)
        first, second, third = sorted(
            self.get_uses(), key=lambda usage: (usage.date, -usage.quantity)
        )
        self.assertEqual((first.quantity, first.branch_id), (12, self.main))
        self.assertFalse(first.patron_id)
        self.assertEqual(
            (second.patron_id, second.branch_id, second.service_id.code),
            (self.amal, self.north, "room"),
        )
        self.assertEqual(third.date, fields.Date.to_date("2026-01-06"))

    def test_replay_counts_nothing_again(self):
        batch = [self.make_use("a"), self.make_use("b")]
        self.send(batch)
        answer = self.send([*batch, self.make_use("c")]).json()
        self.assertEqual((answer["new"], answer["unchanged"]), (1, 2))
        self.assertEqual(len(self.get_uses()), 3)
        # Alike in all but the key: two people came in.
        self.send([self.make_use("d"), self.make_use("e")])
        self.assertEqual(len(self.get_uses()), 5)

    def test_key_that_stands_twice_in_a_batch_counts_once(self):
        answer = self.send([self.make_use("a"), self.make_use("a")]).json()
        self.assertEqual((answer["new"], answer["refused"]), (1, 1))
        [refusal] = answer["refusals"]
        self.assertEqual(refusal["row"], 2)
        self.assertIn("“a”", refusal["reason"])

    def test_keys_of_two_sources_have_nothing_to_do_with_each_other(self):
        other = self.source.copy({"name": "Rooms"})
        self.send([self.make_use("a")])
        answer = self.send([self.make_use("a")], source=other.id).json()
        self.assertEqual(answer["new"], 1)

    def test_bad_uses_are_refused_by_place_and_the_good_ones_counted(self):
        bad = [
            (self.make_use(""), "key"),
            (self.make_use("b", date="2026-02-30"), "date: “2026-02-30”"),
            (self.make_use("c", date="2999-01-01"), "future"),
            (self.make_use("d", service="levitation"), "levitation"),
            (self.make_use("e", branch="MOON"), "MOON"),
            (self.make_use("f", quantity=0), "quantity"),
            (self.make_use("g", quantity=-3), "quantity"),
            (self.make_use("h", quantity=1.5), "quantity"),
            (self.make_use("i", card="9999"), "9999"),
            (self.make_use("j" * 65), "64"),
            (self.make_use("k", service=["visit"]), "service"),
            (self.make_use("l\0"), "NUL"),
            ("visit", "str"),
        ]
        answer = self.send([*(use for use, __ in bad), self.make_use("good")]).json()
        self.assertEqual((answer["new"], answer["refused"]), (1, len(bad)))
        reasons = {refusal["row"]: refusal["reason"] for refusal in answer["refusals"]}
        for place, (__, text) in enumerate(bad, start=1):
            with self.subTest(place=place):
                self.assertIn(text, reasons[place])

    def test_what_may_not_be_kept_is_dropped_and_named(self):
        use = self.make_use("a", title="Secret Herons", isbn="979-8", mood="good")
        answer = self.send([use]).json()
        self.assertEqual(answer["new"], 1)
        self.assertEqual(set(answer["dropped"]), {"title", "isbn", "mood"})
        load = self.env["library.data.load"].browse(answer["load"])
        self.assertEqual(load.forbidden_columns, "title, isbn")
        self.assertNotIn("Secret", str(load.read()))

    def test_what_was_sent_is_forgotten_after_a_month_and_stays_counted(self):
        answer = self.send([self.make_use("a")]).json()
        load = self.env["library.data.load"].browse(answer["load"])
        with freeze_time(fields.Datetime.now() + timedelta(days=29)):
            self._run_retention("load")
        self.assertTrue(load.exists())
        with freeze_time(fields.Datetime.now() + timedelta(days=32)):
            self._run_retention("load")
        self.assertFalse(load.exists())
        self.assertEqual(len(self.get_uses()), 1)

    def test_dry_run_says_what_would_be_counted(self):
        answer = self.send([self.make_use("a")], dry_run=1).json()
        self.assertEqual((answer["new"], answer["dry_run"]), (1, True))
        self.assertFalse(self.get_uses())

    def test_ten_thousand_uses_wait_for_their_turn(self):
        answer = self.send([self.make_use(f"k{place}") for place in range(10_000)])
        self.assertEqual(answer.status_code, 202, answer.text)
        self.assertEqual(answer.json()["state"], "queued")
        with self.enter_registry_test_mode():
            self.env.ref("library_crm.ir_cron_run_data_loads").method_direct_trigger()
        self.env.invalidate_all()
        asked = self.url_open(
            answer.headers["Location"],
            headers={"Authorization": f"Bearer {self.keys['library_gate']}"},
        ).json()
        self.assertEqual((asked["state"], asked["new"]), ("done", 10_000))

    def test_more_than_ten_thousand_are_too_many(self):
        answer = self.send([self.make_use(f"k{place}") for place in range(10_001)])
        self.assertEqual(answer.status_code, 400)
        self.assertIn("10000", answer.json()["error"]["message"])
        self.assertFalse(self.source.load_ids)

    # ------------------------------------------------------------
    # WHO MAY SEND
    # ------------------------------------------------------------

    @mute_logger("odoo.http")
    def test_wrong_key_opens_nothing(self):
        for login in (None, "wrong-key"):
            with self.subTest(login):
                answer = self.send([self.make_use("a")], login=login)
                self.assertEqual(answer.status_code, 401)
        self.assertFalse(self.get_uses())

    def test_only_the_sender_and_managers_may_send(self):
        for login, status in (
            ("library_gate", 200),
            ("library_manager", 200),
            ("library_booking", 404),
            ("library_desk", 404),
        ):
            with self.subTest(login):
                answer = self.send([self.make_use(login)], login=login)
                self.assertEqual(answer.status_code, status, answer.text)
        self.assertEqual(len(self.get_uses()), 2)

    def test_sender_sees_nothing_else_of_the_library(self):
        load = self.env["library.data.load"].create(
            {
                "source_id": self.env["library.data.source"]
                .create({"name": "Patrons", "company_id": self.library.id})
                .id
            }
        )
        key = {"Authorization": f"Bearer {self.keys['library_gate']}"}
        answer = self.url_open(f"{_ROOT}/loads/{load.id}", headers=key)
        self.assertEqual(answer.status_code, 404)
        self.assertFalse(self.gate.has_group("library_crm.group_library_user"))

    def test_source_of_files_takes_nothing(self):
        self.source.copy({"format": "koha_statistics"})
        files = self.source.search([("format", "=", "koha_statistics")], limit=1)
        answer = self.send([self.make_use("a")], source=files.id)
        self.assertEqual(answer.status_code, 404)

    # ------------------------------------------------------------
    # BAD BODIES
    # ------------------------------------------------------------

    def test_body_that_is_no_batch_says_what_is_expected(self):
        for body, text in (
            (b" ", "JSON"),
            (b"uses=1", "JSON"),
            (b'{"uses": {"key": "a"}}', "dict"),
            (b'"uses"', "str"),
            (b"[" * 10_000 + b"]" * 10_000, "nested"),
            (
                b'{"uses": [' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"]}",
                "nested",
            ),
            (b"\xff\xfe[", "UTF-8"),
        ):
            with self.subTest(body[:20]):
                answer = self.send(body)
                self.assertEqual(answer.status_code, 400)
                self.assertIn(text, answer.json()["error"]["message"])
        self.assertFalse(self.source.load_ids)

    @mute_logger("odoo.http")
    def test_body_of_many_megabytes_is_not_read(self):
        answer = self.send(b"[" + b" " * 9_000_000 + b"]")
        self.assertEqual(answer.status_code, 413)

    # ------------------------------------------------------------
    # DESCRIPTION
    # ------------------------------------------------------------

    def test_openapi_describes_what_is_taken(self):
        spec = self.url_open(f"{_ROOT}/openapi.json").json()
        self.assertEqual(spec["openapi"], "3.1.0")
        use = spec["components"]["schemas"]["Use"]
        path = f"{_ROOT}/sources/{{source}}/uses"
        content = spec["paths"][path]["post"]["requestBody"]["content"]
        [example] = content["application/json"]["example"]["uses"]
        self.assertLessEqual(example.keys(), use["properties"].keys())
        self.assertLessEqual(set(use["required"]), example.keys())
        answer = self.send([{**example, "branch": "TMAIN"}]).json()
        self.assertEqual(answer["new"], 1)
        outcome = spec["components"]["schemas"]["Outcome"]["properties"]
        self.assertEqual(answer.keys(), outcome.keys())

    def test_description_can_be_read_by_people(self):
        page = self.url_open(f"{_ROOT}/docs").text
        for text in ("Authorization: Bearer", "quantity", f"{_ROOT}/sources/", "202"):
            self.assertIn(text, page)
