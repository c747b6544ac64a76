import base64
import csv
import io
import json
import os
import time
import zipfile
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from freezegun import freeze_time
from openpyxl import Workbook
from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools import config, mute_logger

from ..connectors import http
from ..fetchers import FolderFetcher, folder_fetcher, koha_fetcher
from . import servers
from .common import LibraryCommon
from .test_connector_http import ConnectorCase

FIXTURES = Path(__file__).parent / "fixtures"
PATRONS = """\
"Patron list of 1 November"
Last;First;Barcode;Home;Type;Since;PIN;Shoe size
Lindqvist;Maja;0000501;Downtown;grown-up;31/12/2021;1234;38
Okafor;Elis;0000502;TNORTH;kid;01/02/2022;1234;22
Silva;Ana;0000503;Moon;grown-up;01/02/2022;1234;22
"""


@tagged("post_install", "-at_install")
class DataSourceCase(ConnectorCase, LibraryCommon):
    """Sources of the library; what is fetched is loaded by the job, as in life."""

    def setUp(self):
        super().setUp()
        # Pauses between requests are tested with the connectors.
        self.patch(http.Clock, "sleep", lambda clock, seconds: None)

    def make_source(self, name_of_format, **values):
        return self.env["library.data.source"].create(
            {
                "name": name_of_format,
                "format": name_of_format,
                "company_id": self.library.id,
                **values,
            }
        )

    def pull(self, source):
        """Let the job fetch from the source, and give the new loads."""
        source.next_pull_on = fields.Datetime.now() - timedelta(minutes=1)
        return self.run_job(source)

    def run_job(self, source):
        """The new loads, if the source is due."""
        before = source.load_ids
        self.env.flush_all()
        with self.enter_registry_test_mode():
            self.env.ref("library_crm.ir_cron_pull_data").method_direct_trigger()
        self.env.invalidate_all()
        return (source.load_ids - before).sorted("id")

    def upload(self, source, content, run=True):
        if isinstance(content, str):
            content = content.encode()
        load = (
            self.env["library.data.load"]
            .with_user(self.manager)
            .create(
                {
                    "source_id": source.id,
                    "file": base64.b64encode(content),
                    "file_name": "file",
                }
            )
        )
        if run:
            load.action_run()
        return load

    def find_patron(self, card):
        return self.env["library.patron"].search(
            [("company_id", "=", self.library.id), ("card_number", "=", card)]
        )


@tagged("post_install", "-at_install")
class TestDataSource(DataSourceCase):
    """A source says how a file of any system is read, and shows it before."""

    def make_mapped(self, **values):
        return self.make_source(
            "mapped_patrons",
            date_format="dmy_slash",
            delimiter=";",
            header_line=2,
            column_ids=[
                Command.create({"name": column, "field": field})
                for column, field in (
                    ("Barcode", "card_number"),
                    ("First", "name"),
                    ("Last", "name"),
                    ("Home", "branch_code"),
                    ("Type", "category_code"),
                    ("Since", "enrolled_on"),
                )
            ],
            value_ids=[
                Command.create(
                    {
                        "field": "branch_code",
                        "found": "Downtown",
                        "branch_id": self.main.id,
                    }
                ),
                Command.create(
                    {
                        "field": "category_code",
                        "found": "kid",
                        "category_id": self.child.id,
                    }
                ),
                Command.create(
                    {"field": "category_code", "category_id": self.adult.id}
                ),
            ],
            **values,
        )

    def preview(self, source, content, **values):
        """The form of the preview, as a manager fills it in."""
        form = Form(
            self.env["library.data.preview"]
            .with_user(self.manager)
            .with_context(default_source_id=source.id)
        )
        for name, value in values.items():
            form[name] = value
        form.file = base64.b64encode(
            content.encode() if isinstance(content, str) else content
        )
        return form

    # ------------------------------------------------------------
    # ANY SYSTEM
    # ------------------------------------------------------------

    def test_file_of_any_system_is_read_by_columns_and_values(self):
        load = self.upload(self.make_mapped(), PATRONS)
        self.assertEqual((load.rows_new, load.rows_refused), (2, 1))
        maja, elis = self.find_patron("0000501"), self.find_patron("0000502")
        self.assertRecordValues(
            maja + elis,
            [
                {
                    "name": "Maja Lindqvist",
                    "branch_id": self.main.id,
                    "patron_category_id": self.adult.id,
                    "enrolled_on": date(2021, 12, 31),
                },
                {
                    "name": "Elis Okafor",
                    "branch_id": self.north.id,
                    "patron_category_id": self.child.id,
                    "enrolled_on": date(2022, 2, 1),
                },
            ],
        )
        self.assertIn("Home: “Moon”", load.refusal_ids.reason)
        self.assertEqual(load.refusal_ids.line, 5)
        self.assertEqual(load.forbidden_columns, "pin")
        self.assertEqual(load.unknown_columns, "shoe size")

    def test_workbook_is_read_like_any_other_file(self):
        book = Workbook()
        for row in csv.reader(io.StringIO(PATRONS), delimiter=";"):
            book.active.append(row)
        file = io.BytesIO()
        book.save(file)
        load = self.upload(self.make_mapped(), file.getvalue())
        self.assertEqual((load.rows_new, load.rows_refused), (2, 1))
        self.assertEqual(self.find_patron("0000501").name, "Maja Lindqvist")

    def test_zip_bomb_is_refused_before_it_is_unpacked(self):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("[Content_Types].xml", "<Types/>")
            archive.writestr("xl/worksheets/sheet1.xml", b"0" * 50_000_000)
        with self.assertRaisesRegex(UserError, "bigger than it may be"):
            self.upload(self.make_mapped(), file.getvalue())

    def test_use_of_any_system_counts_what_is_a_service(self):
        source = self.make_source(
            "mapped_usage",
            branch_id=self.north.id,
            column_ids=[
                Command.create({"name": name, "field": field})
                for name, field in (
                    ("when", "date"),
                    ("op", "service_code"),
                    ("card", "card_number"),
                    ("times", "quantity"),
                )
            ],
            value_ids=[
                Command.create(
                    {
                        "field": "service_code",
                        "found": found,
                        "service_id": service and self.env.ref(service).id,
                    }
                )
                for found, service in (
                    ("o", "library_crm.library_service_loan"),
                    ("n", False),
                )
            ],
        )
        load = self.upload(
            source,
            "when,op,card,times\n2026-01-05,o,0042,3\n2026-01-05,n,0042,1\n"
            "2026-01-06,x,0042,1\n",
        )
        self.assertEqual(
            (load.rows_new, load.rows_ignored, load.rows_refused), (1, 1, 1)
        )
        [usage] = self.env["library.service.usage"].search(
            [("source_id", "=", source.id)]
        )
        self.assertEqual(
            (usage.patron_id, usage.branch_id, usage.quantity),
            (self.amal, self.north, 3),
        )
        self.assertIn("op: “x”", load.refusal_ids.reason)

    def test_source_that_does_not_say_how_says_what_is_missing(self):
        source = self.make_mapped()
        source.column_ids.filtered(lambda column: column.field == "name").unlink()
        with self.assertRaisesRegex(UserError, "Which column is “Name”"):
            self.upload(source, PATRONS)

    def test_column_that_may_not_be_kept_can_not_be_chosen(self):
        for name in ("Book title", "itemnumber", "PIN", "Notes"):
            with self.subTest(name), self.assertRaisesRegex(ValidationError, name):
                self.make_source(
                    "mapped_patrons",
                    column_ids=[Command.create({"name": name, "field": "city"})],
                )

    def test_value_stands_once_in_the_list(self):
        source = self.make_mapped()
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError):
            self.env["library.data.value"].create(
                {
                    "source_id": source.id,
                    "field": "category_code",
                    "category_id": self.child.id,
                }
            )
            self.env.flush_all()

    # ------------------------------------------------------------
    # PREVIEW
    # ------------------------------------------------------------

    def test_preview_shows_rows_as_they_would_be_stored_and_keeps_nothing(self):
        form = self.preview(self.make_mapped(), PATRONS)
        for text in ("Maja Lindqvist", "2021-12-31", "Main", "“Moon” is not known"):
            self.assertIn(text, form.result)
        self.assertNotIn("1234", form.result)
        self.assertFalse(form.proposal)
        preview = form.save()
        self.assertFalse(preview.file)
        self.assertFalse(
            self.env["ir.attachment"].search(
                [("res_model", "=", preview._name), ("res_field", "!=", False)]
            )
        )
        self.assertFalse(self.find_patron("0000501"))

    def test_source_is_set_up_from_a_sample_file(self):
        source = self.make_source("mapped_patrons")
        form = self.preview(
            source,
            "first_given_name;family_name;barcode;home_ou;profile;dob;passwd\n"
            "Maja;Lindqvist;0000501;TMAIN;TADULT;31.01.1986;secret1\n",
        )
        for text in ("Evergreen", "Semicolon", "31.12.2026", "Maja Lindqvist"):
            self.assertIn(text, form.result)
        self.assertNotIn("secret1", form.result + form.proposal)
        form.save().action_apply()
        self.assertEqual((source.delimiter, source.date_format), (";", "dmy_dot"))
        self.assertEqual(
            {column.name: column.field for column in source.column_ids},
            {
                "first_given_name": "name",
                "family_name": "name",
                "barcode": "card_number",
                "home_ou": "branch_code",
                "profile": "category_code",
                "dob": "birth_date",
            },
        )

    def test_sample_of_use_proposes_services(self):
        source = self.make_source("mapped_usage", branch_id=self.main.id)
        form = self.preview(
            source,
            "transaction_gmt,op_code,pbarcode,stat group\n"
            "2026-01-05 10:00,o,0042,a\n2026-01-05 10:00,n,0042,a\n",
        )
        # The branch is that of the source.
        for text in ("Main", "Loan", "not counted"):
            self.assertIn(text, form.result)
        form.save().action_apply()
        self.assertEqual(
            {value.found: value.service_id.code for value in source.value_ids},
            {"o": "loan", "n": False},
        )

    def test_set_up_anew_replaces_what_the_source_said(self):
        source = self.make_mapped()
        text = "Surname,Firstname,Cardnumber,Branchcode,Categorycode\nB,A,1,TMAIN,T\n"
        self.assertIn("barcode", self.preview(source, text).result)
        form = self.preview(source, text, set_up_anew=True)
        form.save().action_apply()
        self.assertEqual(source.header_line, 1)
        self.assertIn("Cardnumber", source.column_ids.mapped("name"))

    def test_preview_says_what_is_wrong_with_a_file(self):
        for source, content, text in (
            (self.make_source("koha_patrons"), "apples,pears\n1,2\n", "cardnumber"),
            (self.make_mapped(), "\n\n", "empty"),
            (self.make_source("mapped_patrons"), "a,b\n1,2\n", "Which column"),
            (
                self.make_source("counter", branch_id=self.main.id),
                '{"a": 1}',
                "Report_Header",
            ),
        ):
            with self.subTest(text):
                self.assertIn(text, self.preview(source, content).result)

    def test_preview_of_a_report_names_the_services(self):
        source = self.make_source("counter", branch_id=self.main.id)
        content = (FIXTURES / "counter_tr.json").read_text()
        result = self.preview(source, content).result
        self.assertIn("E-resource use", result)
        self.assertNotIn(">eresource<", result)

    # ------------------------------------------------------------
    # KOHA'S API
    # ------------------------------------------------------------

    def make_koha(self, count=7, **values):
        self.koha = self.start(
            servers.KohaServer(
                servers.make_patron(number, library_id="TMAIN", category_id="TADULT")
                for number in range(1, count + 1)
            )
        )
        return self.make_source(
            "koha_api",
            address=self.koha.address,
            koha_auth="oauth2",
            login=self.koha.client_id,
            new_secret=self.koha.client_secret,
            pull="day",
            **values,
        )

    def test_patrons_of_the_api_are_loaded_and_then_who_has_changed(self):
        source = self.make_koha()
        load = self.pull(source)
        self.assertEqual((load.state, load.rows_new), ("done", 7), load.message)
        self.assertFalse(load.is_delta)
        self.assertEqual(self.find_patron("000003").ils_ref, "3")
        for dropped in ("staff_notes", "userid", "extended_attributes"):
            self.assertIn(dropped, load.forbidden_columns)
        self.assertGreater(source.next_pull_on, fields.Datetime.now())
        self.koha.patrons[3].update(
            surname="Renamed", updated_on="2027-01-01T10:00:00+00:00"
        )
        load = self.pull(source)
        self.assertTrue(load.is_delta)
        self.assertEqual(load.rows_changed, 1)
        self.assertEqual(self.find_patron("000003").name, "Test Renamed")
        queries = [query for __, __, query, __ in self.koha.seen if "q" in query]
        self.assertIn("updated_on", queries[-1]["q"])

    def test_what_is_fetched_by_hand_is_fetched_when_somebody_asks_and_else_not(self):
        source = self.make_koha()
        source.pull = "manual"
        self.assertFalse(self.run_job(source))
        source.with_user(self.manager).action_pull()
        load = self.run_job(source)
        self.assertEqual((load.state, load.rows_new), ("done", 7), load.message)
        self.assertFalse(source.next_pull_on)
        self.assertFalse(self.run_job(source))

    def test_no_file_is_chosen_for_what_is_fetched_or_sent(self):
        for source, takes_files in (
            (self.make_koha(), False),
            (self.make_source("webhook", branch_id=self.main.id), False),
            (self.make_source("koha_patrons"), True),
        ):
            with self.subTest(format=source.format):
                action = source.action_view_loads()
                self.assertEqual(action["context"]["create"], takes_files)

    def test_who_was_made_anonymous_is_left_out_and_the_load_says_so(self):
        source = self.make_koha()
        self.koha.patrons[3].update(anonymized=True)
        load = self.pull(source)
        self.assertEqual(load.rows_new, 6)
        self.assertIn("anonymous in Koha, and left out: 1", load.notes_text)

    def test_who_has_not_changed_is_not_missing(self):
        source = self.make_koha(is_complete=True, missing_limit=100)
        self.pull(source)
        self.assertTrue(self.bruno.missing_since)
        self.koha.patrons[3]["updated_on"] = "2027-01-01T10:00:00+00:00"
        self.pull(source)
        self.assertFalse(self.find_patron("000004").missing_since)

    def test_many_patrons_come_in_parts_that_go_on_where_the_last_ended(self):
        self.patch(koha_fetcher, "PART", 3)
        source = self.make_koha()
        self.koha.largest_page = 3
        loads = self.pull(source)
        self.assertEqual(loads.mapped("rows_new"), [3, 3, 1])
        self.assertEqual(loads.mapped("state"), ["done"] * 3)
        self.assertNotIn("begun", json.loads(source.cursor))

    def test_api_that_breaks_down_half_way_loses_and_doubles_nothing(self):
        self.patch(koha_fetcher, "PART", 3)
        source = self.make_koha()
        self.koha.largest_page = 3

        def break_down():
            self.koha.faults = [servers.status(500)] * 5

        self.koha.before_page = [lambda: None, break_down]
        [load] = self.pull(source)
        self.assertEqual((load.state, load.rows_new), ("done", 3))
        self.assertIn("has failed", source.pull_message)
        self.assertLess(source.next_pull_on, fields.Datetime.now() + timedelta(hours=2))
        loads = self.pull(source)
        self.assertEqual(loads.mapped("rows_new"), [3, 1])
        self.assertFalse(source.pull_message)

    def test_test_of_the_connection_says_what_to_mend(self):
        source = self.make_koha()
        found = source.with_user(self.manager).action_test()["params"]
        self.assertEqual(found["type"], "success")
        for text in ("Koha 24.11", "Patrons: 7.", "not encrypted"):
            self.assertIn(text, found["message"])
        source.new_secret = "wrong"
        found = source.action_test()["params"]
        self.assertEqual(found["type"], "danger")
        self.assertIn("credentials", found["message"])
        self.assertNotIn("wrong", found["message"])
        source.address = "ftp://koha.example.org"
        self.assertIn("address", source.action_test()["params"]["message"])

    def test_preview_of_the_api_shows_the_first_patrons(self):
        source = self.make_koha()
        form = Form(
            self.env["library.data.preview"]
            .with_user(self.manager)
            .with_context(default_source_id=source.id)
        )
        self.assertIn("Test Person 1", form.result)
        self.assertFalse(source.load_ids)

    def test_secret_can_be_replaced_and_not_be_read(self):
        source = self.make_koha()
        as_manager = source.with_user(self.manager)
        as_manager.new_secret = "another"
        self.assertEqual(source.sudo().secret, "another")
        as_manager.invalidate_recordset()
        self.assertFalse(as_manager.new_secret)
        self.assertTrue(as_manager.has_secret)
        with self.assertRaises(AccessError):
            as_manager.read(["secret"])
        with self.assertRaises(AccessError):
            as_manager.search([("secret", "=", "another")])
        self.assertFalse(source.copy().sudo().secret)

    def test_secret_comes_back_by_no_door(self):
        """Not even to whoever has just entered it."""
        source = self.make_koha()
        source.new_secret = "xq-first"
        as_manager = source.with_user(self.manager)
        answers = [
            as_manager.web_save(
                {"new_secret": "xq-second"}, {"new_secret": {}, "has_secret": {}}
            ),
            as_manager.read(),
            as_manager.web_read({"new_secret": {}, "display_name": {}}),
            as_manager.search_read([]),
            as_manager.copy().read(),
            as_manager.fields_get(),
        ]
        self.assertEqual(source.sudo().secret, "xq-second")
        for answer in answers:
            self.assertNotIn("xq-", str(answer))
        for name in ("secret", "key"):
            self.assertNotIn(name, answers[-1])
            for way in (
                lambda name=name: as_manager._export_rows([[name]]),
                lambda name=name: as_manager.search([], order=name),
                lambda name=name: as_manager.formatted_read_group([], [name]),
                lambda name=name: as_manager.search([(name, "like", "xq-%")]),
                lambda name=name: (
                    self.env["library.data.load"]
                    .with_user(self.manager)
                    .search([(f"source_id.{name}", "like", "xq-%")])
                ),
            ):
                with self.subTest(name), self.assertRaises(AccessError):
                    way()
        for message in self.env["mail.message"].search(
            [("model", "=", source._name), ("res_id", "=", source.id)]
        ):
            self.assertNotIn("xq-", str(message.body))

    def test_secret_goes_to_no_server_but_that_it_was_entered_for(self):
        source = self.make_koha()
        source.new_secret = "xq-first"
        as_manager = source.with_user(self.manager)
        as_manager.address = f"{self.koha.address}/"
        self.assertTrue(as_manager.has_secret, "The same server")
        for address in (
            *("https://evil.example.org", "http://127.0.0.1:1"),
            self.koha.address.replace("http:", "https:"),
            self.koha.address.replace("http://", "http://evil@"),
        ):
            source.new_secret = "xq-first"
            source.address = self.koha.address
            source.new_secret = "xq-first"
            as_manager.address = address
            with self.subTest(address):
                self.assertFalse(source.sudo().secret)
        as_manager.write({"address": "https://new.example.org", "new_secret": "xq-new"})
        self.assertEqual(source.sudo().secret, "xq-new")

    # ------------------------------------------------------------
    # COUNTER'S API
    # ------------------------------------------------------------

    @freeze_time("2026-03-15 10:00")
    def test_counter_report_is_fetched_for_the_months_that_have_ended(self):
        server = self.start(servers.Server())
        report = json.loads((FIXTURES / "counter_tr.json").read_bytes())
        source = self.make_source(
            "counter_api",
            address=server.address,
            customer_id="c1",
            login="r1",
            new_secret="k1",
            counter_report="tr",
            counter_since=date(2025, 12, 1),
            branch_id=self.main.id,
            pull="month",
        )
        server.faults = [servers.status(200, report)]
        load = self.pull(source)
        self.assertEqual(load.state, "done", load.message)
        self.assertTrue(load.rows_new)
        __, path, query, __ = server.seen[-1]
        self.assertEqual(path, "/r51/reports/tr")
        self.assertEqual(
            (query["begin_date"], query["end_date"]), ("2025-12", "2026-02")
        )
        self.assertEqual((query["requestor_id"], query["api_key"]), ("r1", "k1"))
        self.assertEqual(source.cursor, "2026-02")
        # Platforms are late and correct themselves: three months are asked for again.
        server.faults = [servers.status(200, report)]
        load = self.pull(source)
        self.assertEqual(load.rows_new, 0)
        self.assertEqual(server.seen[-1][2]["begin_date"], "2025-12")

    @freeze_time("2026-03-15 10:00")
    def test_report_that_is_not_ready_is_asked_for_again(self):
        server = self.start(servers.Server())
        source = self.make_source(
            "counter_api",
            address=server.address,
            customer_id="c1",
            counter_since=date(2026, 2, 1),
            branch_id=self.main.id,
            pull="month",
        )
        late = {"Code": 3031, "Message": "Usage Not Ready", "Data": "2026-02"}
        server.faults = [servers.status(200, late)]
        self.assertFalse(self.pull(source))
        self.assertFalse(source.pull_message)
        self.assertFalse(source.cursor)

    # ------------------------------------------------------------
    # FOLDER
    # ------------------------------------------------------------

    def make_folder(self, name_of_format="koha_patrons"):
        root = self.enterContext(TemporaryDirectory())
        self.enterContext(patch.dict(config.options, {"data_dir": root}))
        source = self.make_source(name_of_format, pull="often")
        folder = Path(source.folder)
        self.assertTrue(folder.is_relative_to(root))
        source.action_test()
        return source, folder

    def put(self, folder, name, content, age=3600):
        (folder / name).write_bytes(content)
        then = time.time() - age
        os.utime(folder / name, (then, then))

    def test_files_of_the_folder_are_loaded_in_order_and_taken_away(self):
        source, folder = self.make_folder()
        header = "cardnumber,surname,branchcode,categorycode,password\n"
        self.put(folder, "b.csv", f"{header}777,Old,TMAIN,TADULT,x\n".encode(), 7200)
        self.put(folder, "a.csv", f"{header}777,New,TMAIN,TADULT,x\n".encode(), 3600)
        loads = self.pull(source)
        self.assertEqual(loads.mapped("file_name"), ["b.csv", "a.csv"])
        self.assertEqual(loads.mapped("rows_new"), [1, 0])
        self.assertEqual(loads.mapped("rows_changed"), [0, 1])
        self.assertEqual(self.find_patron("777").name, "New")
        self.assertEqual(list(folder.iterdir()), [])
        self.assertFalse(loads.mapped("file")[0])

    def test_file_whose_name_is_no_unicode_is_loaded_too(self):
        source, folder = self.make_folder()
        content = b"cardnumber,surname,branchcode,categorycode\n1,A,TMAIN,TADULT\n"
        self.put(folder, os.fsdecode(b"m\xfcller.csv"), content)
        load = self.pull(source)
        self.assertEqual((load.state, load.file_name), ("done", "m\ufffdller.csv"))
        self.assertEqual(list(folder.iterdir()), [])

    def test_file_that_is_being_written_is_left_for_the_next_time(self):
        source, folder = self.make_folder()
        content = b"cardnumber,surname,branchcode,categorycode\n1,A,TMAIN,TADULT\n"
        self.put(folder, "fresh.csv", content, age=5)
        self.put(folder, "big.csv.part", content)
        self.put(folder, ".hidden.csv", content)
        self.assertFalse(self.pull(source))
        self.assertEqual(len(list(folder.iterdir())), 3)

    def test_link_out_of_the_folder_is_not_followed(self):
        source, folder = self.make_folder()
        secret = folder.parent / "secret.csv"
        secret.write_text(
            "cardnumber,surname,branchcode,categorycode\n1,A,TMAIN,TADULT"
        )
        (folder / "link.csv").symlink_to(secret)
        self.patch(folder_fetcher, "QUIET", 0)
        self.assertFalse(self.pull(source))
        self.assertTrue(secret.exists())

    def test_file_that_can_not_be_read_is_put_aside_with_the_reason(self):
        source, folder = self.make_folder()
        self.put(folder, "wrong.csv", b"apples,pears\n1,2\n", 7200)
        content = b"cardnumber,surname,branchcode,categorycode\n1,A,TMAIN,TADULT\n"
        self.put(folder, "right.csv", content, 3600)
        failed, done = self.pull(source)
        self.assertEqual((failed.state, done.state), ("failed", "done"))
        self.assertIn("cardnumber", failed.message)
        self.assertTrue((folder / "refused" / "wrong.csv").exists())
        self.assertFalse(self.pull(source))

    def test_file_that_was_kept_and_not_taken_away_is_loaded_once(self):
        source, folder = self.make_folder()
        content = b"cardnumber,surname,branchcode,categorycode\n1,A,TMAIN,TADULT\n"
        self.put(folder, "a.csv", content)
        # The server stops between keeping and taking away.
        with FolderFetcher(source).fetch() as parcel:
            load = self.env["library.data.load"]._receive(source, parcel)
        load._run()
        self.assertFalse(self.pull(source))
        self.assertEqual(list(folder.iterdir()), [])
        self.assertEqual(load.rows_new, 1)
