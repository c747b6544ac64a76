import json
from datetime import date

from odoo.tests import tagged

from ..connectors import koha_rest
from ..formats import koha
from . import servers
from .test_connector_http import ConnectorCase


@tagged("post_install", "-at_install")
class TestConnectorKoha(ConnectorCase):
    """Patrons from a Koha that is in use meanwhile."""

    def setUp(self):
        super().setUp()
        self.koha = self.start(
            servers.KohaServer(map(servers.make_patron, range(1, 8)))
        )

    def open(self, auth=None, **options):
        auth = auth or koha_rest.BasicAuth(self.koha.login, self.koha.password)
        options = {"clock": self.clock, "timeout": 5.0, **options}
        session = koha_rest.open_session(self.koha.address, auth, **options)
        self.addCleanup(session.close)
        return session

    def fetch(self, since=None, session=None, page=3):
        """The references that come out, and the reader."""
        self.koha.largest_page = page
        reader = koha_rest.read_patrons(session or self.open(), since)
        return [row.cells["borrowernumber"] for row in reader], reader

    def get_queries(self):
        return [
            json.loads(query["q"])
            for _method, _path, query, _headers in self.koha.seen
            if "q" in query
        ]

    def test_reading_in_parts_gives_everybody_once_and_the_cursor_at_the_end(self):
        whole, reader = self.fetch()
        expected = reader.cursor
        seen, rest = [], None
        while True:
            part = koha_rest.read_patrons(self.open(), begun=rest, limit=3)
            seen.append([row.cells["borrowernumber"] for row in part])
            rest = json.loads(json.dumps(part.rest))
            if not rest:
                break
            self.assertIsNone(part.cursor)
        self.assertEqual([len(part) for part in seen], [3, 3, 1])
        self.assertEqual(sum(seen, []), whole)
        self.assertEqual(part.cursor, expected)

    # ------------------------------------------------------------
    # VALUES
    # ------------------------------------------------------------

    def test_values_are_those_of_the_file_format(self):
        self.koha.patrons = {5: servers.make_patron(5)}
        [row] = koha_rest.read_patrons(self.open())
        self.assertIsNone(row.error)
        self.assertEqual(row.line, 1)
        self.assertEqual(
            row.values,
            {
                "card_number": "000005",
                "ils_ref": "5",
                "name": "Test Person 5",
                "street": "7 High Street",
                "street2": None,
                "city": "Springfield",
                "state": None,
                "zip": "01234",
                "country": "USA",
                "email": "person5@example.com",
                "phone": "555-0100",
                "birth_date": date(1980, 5, 1),
                "branch_code": "MAIN",
                "category_code": "ADULT",
                "enrolled_on": date(2020, 1, 2),
                "expiry_date": date(2027, 1, 2),
            },
        )

    def test_guarantor_of_an_old_release_comes_along(self):
        self.koha.patrons = {5: servers.make_patron(5, guarantor_id=3)}
        [row] = koha_rest.read_patrons(self.open())
        self.assertEqual(row.values["guardian_ref"], "3")

    def test_columns_are_known_to_the_file_format(self):
        self.assertLessEqual(set(koha_rest.COLUMNS.values()), set(koha.PATRONS.used))
        self.assertFalse(koha_rest.FORBIDDEN & koha_rest.COLUMNS.keys())

    def test_names_are_those_of_the_definition_of_koha(self):
        self.assertEqual(
            koha_rest.COLUMNS.keys() - servers.KOHA_PATRON.keys(), {"guarantor_id"}
        )
        for name, value in servers.make_patron(5).items():
            with self.subTest(name):
                self.assertIsInstance(value, servers.KOHA_PATRON[name])

    def test_what_must_not_be_kept_never_comes_out(self):
        reader = koha_rest.read_patrons(self.open())
        rows = list(reader)
        self.assertNotIn("forbidden-", repr((rows, vars(reader))))
        self.assertEqual(
            reader.forbidden, koha_rest.FORBIDDEN & servers.KOHA_PATRON.keys()
        )
        self.assertGreater(reader.forbidden, {"userid", "staff_notes", "opac_notes"})

    def test_a_bad_patron_is_refused_and_the_others_come(self):
        for values, reason, column in (
            ({"surname": None}, "missing", "surname"),
            ({"expiry_date": "2019-01-01"}, "date_order", "dateexpiry"),
            ({"date_of_birth": "1980-02-30"}, "date", "dateofbirth"),
            ({"city": "x" * 300}, "too_long", "city"),
            ({"city": "a\0b"}, "control", "city"),
            ({"city": ["x"]}, "malformed", "city"),
            ({"city": True}, "malformed", "city"),
            ({"city": "\ud800"}, "malformed", "city"),
        ):
            with self.subTest(reason):
                self.koha.patrons[2] = servers.make_patron(2, **values)
                rows = list(koha_rest.read_patrons(self.open()))
                self.assertEqual(len(rows), 7)
                self.assertEqual(
                    [(row.line, row.values is None) for row in rows if row.error],
                    [(2, True)],
                )
                self.assertEqual(rows[1].error.reason, reason)
                self.assertEqual(rows[1].error.column, column)

    def test_who_is_anonymous_is_left_out_and_named(self):
        self.koha.patrons[2] = servers.make_patron(2, surname=None, anonymized=True)
        refs, reader = self.fetch()
        self.assertEqual(refs, list("134567"))
        self.assertEqual(reader.anonymized, ["2"])

    def test_who_is_hidden_from_the_account_is_left_out(self):
        hidden = dict.fromkeys(servers.make_patron(2)) | {"library_id": "MAIN"}
        good = [servers.make_patron(1), servers.make_patron(3)]
        page = [good[0], hidden, good[1]]
        self.koha.faults = [
            servers.status(200, good[:1]),
            servers.status(200, page, X_Total_Count="3"),
        ]
        refs, reader = self.fetch()
        self.assertEqual(refs, ["1", "3"])
        self.assertTrue(reader.hidden)
        self.koha.faults = [
            servers.status(200, good[:1]),
            servers.status(200, [hidden], X_Total_Count="3"),
        ]
        self.assertFails("hidden", self.fetch)

    # ------------------------------------------------------------
    # PAGES
    # ------------------------------------------------------------

    def test_all_pages_come_once_and_in_order(self):
        for page in (1, 2, 3, 7, 100):
            with self.subTest(page):
                refs, reader = self.fetch(page=page)
                self.assertEqual(refs, list("1234567"))
                self.assertEqual(reader.total, 7)

    def test_no_patron_at_all(self):
        self.koha.patrons = {}
        refs, reader = self.fetch()
        self.assertEqual((refs, reader.total, reader.cursor), ([], 0, None))

    def test_a_server_that_does_not_count_is_read_to_its_end(self):
        page = [servers.make_patron(number) for number in (1, 2)]
        self.koha.faults = [
            servers.status(200, page[:1]),
            servers.status(200, page),
            servers.status(200, []),
        ]
        self.assertEqual(self.fetch()[0], ["1", "2"])

    def test_patrons_that_come_and_go_between_pages_move_nobody(self):
        def add():
            self.koha.patrons[8] = servers.make_patron(8)

        def remove_read_one():
            del self.koha.patrons[1]

        def remove_next_one():
            del self.koha.patrons[4]

        def rename():
            self.koha.patrons[2].update(surname="Aaa", updated_on="2026-03-01T10:00:00")

        for change, expected in (
            (remove_read_one, "1234567"),
            (add, "12345678"),
            (remove_next_one, "123567"),
            (rename, "1234567"),
        ):
            with self.subTest(change.__name__):
                self.koha.patrons = {
                    number: servers.make_patron(number) for number in range(1, 8)
                }
                # Before the newest, before the first page, before the second.
                self.koha.before_page = [lambda: None, lambda: None, change]
                self.assertEqual(self.fetch()[0], list(expected))

    def test_half_a_page_is_read_again_and_doubles_nobody(self):

        def fail_next():
            self.koha.faults = [servers.half(), servers.status(500), servers.reset]

        self.koha.before_page = [lambda: None, fail_next]
        self.assertEqual(self.fetch()[0], list("1234567"))

    def test_an_interrupted_reading_has_no_cursor(self):
        def fail_all():
            self.koha.faults = [servers.status(500)] * 9

        self.koha.before_page = [lambda: None, fail_all]
        reader = koha_rest.read_patrons(self.open())
        self.koha.largest_page = 3
        self.assertFails("server", list, reader)
        self.assertIsNone(reader.cursor)

    def test_a_server_that_does_not_filter_or_sort_is_noticed(self):
        page = [servers.make_patron(number) for number in (2, 1)]
        for answers in (
            [page],
            [page[:1], page[:1]],
            [[servers.make_patron("5")]],
            [[servers.make_patron(True)]],
        ):
            self.koha.faults = [servers.status(200, [])] + [
                servers.status(200, answer, X_Total_Count="9") for answer in answers
            ]
            self.assertFails("order", self.fetch)

    def test_json_that_is_no_list_of_patrons(self):
        for body in ({"error": "x"}, [1], "x", None):
            self.koha.faults = [servers.status(200, body)]
            self.assertFails("shape", self.fetch)
        self.koha.faults = [servers.nested(10_000)]
        self.assertFails("shape", self.fetch)

    # ------------------------------------------------------------
    # DELTA
    # ------------------------------------------------------------

    def test_delta_brings_who_was_changed(self):
        self.koha.patrons[3]["updated_on"] = "2026-02-07T10:00:00+01:00"
        self.koha.patrons[5]["updated_on"] = "2026-02-08T10:00:00+01:00"
        _refs, reader = self.fetch()
        self.assertEqual(reader.cursor, "2026-02-08T10:00:00+01:00")
        self.koha.patrons[2]["updated_on"] = "2026-02-09T10:00:00+01:00"
        self.koha.seen.clear()
        refs, reader = self.fetch(reader.cursor)
        # The fifth once more: its time is that of the cursor.
        self.assertEqual(refs, ["2", "5"])
        self.assertEqual(reader.cursor, "2026-02-09T10:00:00+01:00")
        self.assertEqual(
            self.get_queries(),
            [
                {
                    "patron_id": {">": 0},
                    "updated_on": {">=": "2026-02-08T08:00:00+01:00"},
                }
            ],
        )

    def test_who_is_changed_after_being_read_is_in_the_next_delta(self):
        def change():
            self.koha.patrons[1]["updated_on"] = "2026-03-01T10:00:00+01:00"
            self.koha.patrons[7]["updated_on"] = "2026-03-01T20:00:00+01:00"

        self.koha.before_page = [lambda: None, lambda: None, change]
        _refs, reader = self.fetch()
        self.assertIn("1", self.fetch(reader.cursor)[0])

    def test_the_hour_that_comes_twice_in_autumn_loses_nobody(self):
        self.koha.patrons[5]["updated_on"] = "2025-10-26T02:50:00+02:00"
        for number in (1, 2, 3, 4, 6, 7):
            self.koha.patrons[number]["updated_on"] = "2025-01-01T00:00:00+01:00"
        _refs, reader = self.fetch()
        # Half an hour later, on the second pass of the same hour.
        self.koha.patrons[3]["updated_on"] = "2025-10-26T02:20:00+01:00"
        self.assertEqual(self.fetch(reader.cursor)[0], ["3", "5"])

    def test_cursor_never_goes_back(self):
        since = "2026-02-20T10:00:00+01:00"
        refs, reader = self.fetch(since)
        self.assertEqual((refs, reader.cursor), ([], since))

    def test_cursors_that_are_none(self):
        for text in ("yesterday", "2026-13-01T00:00:00Z", "2026-01-01"):
            with self.assertRaises(ValueError):
                koha_rest.read_patrons(self.open(), text)
        self.koha.faults = [
            servers.status(200, [servers.make_patron(1, updated_on="soon")])
        ]
        self.assertFails("shape", self.fetch)

    # ------------------------------------------------------------
    # CREDENTIALS
    # ------------------------------------------------------------

    def open_oauth(self, secret=None):
        secret = secret or self.koha.client_secret
        return self.open(koha_rest.OAuth2(self.koha.client_id, secret))

    def count_tokens(self):
        return self.koha.get_paths().count("/api/v1/oauth/token")

    def test_token_is_kept_until_it_runs_out(self):
        session = self.open_oauth()
        self.fetch(session=session)
        self.fetch(session=session)
        self.assertEqual(self.count_tokens(), 1)
        self.clock.sleep(3600)
        self.fetch(session=session)
        self.assertEqual(self.count_tokens(), 2)

    def test_token_that_is_refused_is_fetched_again_once(self):
        session = self.open_oauth()
        # Koha forgets it before the second page is asked for.
        self.koha.before_page = [lambda: None, lambda: self.koha.tokens.clear()]
        self.assertEqual(self.fetch(session=session)[0], list("1234567"))
        self.assertEqual(self.count_tokens(), 2)
        self.koha.seen.clear()
        self.koha.faults = [
            servers.status(401, {"error": "Authentication failure."}),
            lambda handler: self.koha.answer(handler, "/api/v1/oauth/token", {}),
            servers.status(401, {"error": "Authentication failure."}),
        ]
        self.assertFails("unauthorized", self.fetch, session=session)
        self.assertEqual(len(self.koha.seen), 3)

    def test_wrong_credentials_say_so(self):
        wrong = koha_rest.BasicAuth(self.koha.login, "wrong-one")
        error = self.assertFails("unauthorized", self.fetch, session=self.open(wrong))
        self.assertEqual((error.status, error.tries), (401, 1))
        error = self.assertFails(
            "unauthorized", self.fetch, session=self.open_oauth("wrong-one")
        )
        self.assertEqual(error.found, "unauthorized_client")

    def test_preferences_that_are_off_are_named(self):
        self.koha.faults = [
            servers.status(401, {"error": "Basic authentication disabled"})
        ]
        error = self.assertFails("basic_off", self.fetch)
        self.assertEqual(error.expected, "RESTBasicAuth")
        self.koha.faults = [servers.status(400, {"error": "Unimplemented grant type"})]
        error = self.assertFails("oauth_off", self.fetch, session=self.open_oauth())
        self.assertEqual(error.expected, "RESTOAuth2ClientCredentials")

    def test_token_that_is_none(self):
        for body in ({}, [], {"access_token": 1}, {"access_token": "a\nX-Evil: 1"}):
            self.koha.faults = [servers.status(200, body)]
            self.assertFails("shape", self.fetch, session=self.open_oauth())

    # ------------------------------------------------------------
    # TEST OF THE CONNECTION
    # ------------------------------------------------------------

    def test_connection_that_works(self):
        found = koha_rest.test_connection(self.open())
        self.assertEqual(
            found,
            {
                "error": None,
                "encrypted": False,
                "version": "24.1105000",
                "patrons": 7,
                "changed_on": "2026-02-01T10:00:00+01:00",
            },
        )
        [*_others, (_method, path, _query, headers)] = self.koha.seen
        self.assertEqual(path, "/")
        self.assertNotIn("Authorization", headers)

    def test_connection_that_may_not_list_patrons(self):
        self.koha.faults = [
            servers.status(
                403,
                {
                    "error": "Authorization failure. Missing required permission(s).",
                    "required_permissions": {"borrowers": "edit_borrowers"},
                },
            )
        ]
        error = koha_rest.test_connection(self.open())["error"]
        self.assertEqual((error.reason, error.expected), ("forbidden", "borrowers"))

    def test_address_may_be_with_or_without_the_path(self):
        for end in ("", "/", "/api/v1", "/api/v1/"):
            session = koha_rest.open_session(f"https://host{end}", None)
            self.assertEqual(session.address, "https://host/api/v1")
        self.assertFails("address", koha_rest.open_session, "", None)
