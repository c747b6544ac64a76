import base64
import csv
import io
from datetime import date
from pathlib import Path

from psycopg2 import IntegrityError

from odoo import sql_db
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from ..loaders import UsageLoader
from .common import LibraryCommon

FIXTURES = Path(__file__).parent / "fixtures"
COUNTS = (
    *("rows_read", "rows_new", "rows_changed", "rows_unchanged", "rows_ignored"),
    "rows_refused",
)


@tagged("post_install", "-at_install")
class TestDataLoad(LibraryCommon):
    """Patrons and use come out of Koha's files, each once, and nothing else does."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.patrons, cls.statistics = cls.env["library.data.source"].create(
            [
                {
                    "name": "Patrons",
                    "format": "koha_patrons",
                    "company_id": cls.library.id,
                },
                {
                    "name": "Statistics",
                    "format": "koha_statistics",
                    "company_id": cls.library.id,
                },
            ]
        )
        cls.patron_file = (FIXTURES / "koha_patrons.csv").read_bytes()
        cls.statistics_file = (FIXTURES / "koha_statistics.csv").read_bytes()

    def _upload(self, source, content, name="export.csv"):
        if isinstance(content, str):
            content = content.encode()
        return (
            self.env["library.data.load"]
            .with_user(self.manager)
            .create(
                {
                    "source_id": source.id,
                    "file": base64.b64encode(content),
                    "file_name": name,
                }
            )
        )

    def _load(self, source, content):
        load = self._upload(source, content)
        load.action_run()
        self.assertEqual(load.state, "done", load.message)
        return load

    def _load_rows(self, header, *rows, source=None):
        return self._load(source or self.patrons, "\n".join((header, *rows)))

    def assertCounts(self, load, *expected):
        self.assertEqual(tuple(load[name] for name in COUNTS), expected)

    def _patron(self, card):
        return self.env["library.patron"].search(
            [("company_id", "=", self.library.id), ("card_number", "=", card)]
        )

    def _use(self):
        return self.env["library.service.usage"].search(
            [("source_id", "=", self.statistics.id)]
        )

    # ------------------------------------------------------------
    # PATRONS
    # ------------------------------------------------------------

    def test_koha_file_becomes_patrons_with_membership_and_guardian(self):
        load = self._load(self.patrons, self.patron_file)
        self.assertCounts(load, 14, 5, 0, 0, 0, 9)
        self.assertEqual(load.progress, 100)
        maja, elis = self._patron("0000501"), self._patron("0000502")
        self.assertRecordValues(
            maja,
            [
                {
                    "name": "Maja Lindqvist",
                    "street": "12 Mill Lane",
                    "street2": "Flat 3",
                    "city": "Riverside",
                    "zip": "01002",
                    "email": "maja.lindqvist@test.example.com",
                    "phone": "+1 555 0100",
                    "birth_date": date(1986, 4, 12),
                    "branch_id": self.main.id,
                    "patron_category_id": self.adult.id,
                    "enrolled_on": date(2021, 3, 1),
                    "expiry_date": date(2098, 3, 1),
                    "membership_state": "active",
                    "ils_ref": "501",
                }
            ],
        )
        self.assertEqual(maja.country_id.code, "US")
        self.assertEqual(maja.state_id.code, "MA")
        self.assertEqual(elis.guardian_id, maja)
        self.assertEqual(self._patron("0000503").membership_state, "expired")
        jose = self._patron("0000504")
        self.assertEqual(jose.email, "jose.ferreira@test.example.com")
        self.assertEqual(
            jose.membership_id.date_end, self.plan._get_end(date(2024, 2, 29))
        )
        ren = self._patron("0000505")
        self.assertFalse(ren.email)
        self.assertFalse(ren.country_id)
        self.assertIn("Freedonia", load.notes_text)

    def test_same_file_again_changes_nothing(self):
        self._load(self.patrons, self.patron_file)
        maja = self._patron("0000501")
        before = maja.write_date, maja.membership_ids
        load = self._load(self.patrons, self.patron_file)
        self.assertCounts(load, 14, 0, 0, 5, 0, 9)
        self.assertEqual((maja.write_date, maja.membership_ids), before)

    def test_what_differs_is_written_and_an_empty_cell_empties_nothing(self):
        header = "cardnumber,surname,firstname,branchcode,categorycode,email,phone"
        load = self._load_rows(
            header,
            "0042,Idris,Amal,TNORTH,TADULT,,+1 555 0142",
            "0043,Silva,Bruno,TNORTH,TADULT,bruno.silva@test.example.com,",
        )
        # Both are given the membership that they did not have.
        self.assertCounts(load, 2, 0, 2, 0, 0, 0)
        self.assertEqual(self.amal.branch_id, self.north)
        self.assertEqual(self.amal.phone, "+1 555 0142")
        self.assertEqual(self.amal.email, "amal.idris@test.example.com")
        self.assertEqual(self.amal.membership_state, "active")
        self.assertFalse(self.other_patron.phone)

    def test_new_card_is_noticed_by_the_reference_of_the_library_system(self):
        self.amal.ils_ref = "7"
        header = "borrowernumber,cardnumber,surname,firstname,branchcode,categorycode"
        self._load_rows(header, "7,0099,Idris,Amal,TMAIN,TADULT")
        self.assertEqual(self.amal.card_number, "0099")
        load = self._load_rows(header, "7,0043,Idris,Amal,TMAIN,TADULT")
        self.assertEqual(self.amal.card_number, "0099")
        self.assertEqual(load.rows_refused, 1)
        self.assertIn("0043", load.refusal_ids.reason)

    def test_card_does_not_go_to_another_person_unnoticed(self):
        self.amal.ils_ref = "7"
        load = self._load_rows(
            "borrowernumber,cardnumber,surname,firstname,branchcode,categorycode",
            "8,0042,Other,Person,TMAIN,TADULT",
        )
        self.assertEqual(load.rows_refused, 1)
        self.assertEqual(self.amal.name, "Amal Idris")
        for word in ("0042", "“7”", "“8”"):
            self.assertIn(word, load.refusal_ids.reason)

    def test_later_expiry_is_a_renewal_and_an_earlier_one_a_correction(self):
        membership = self._create_membership(
            date_start=date(2020, 1, 1), date_end=date(2097, 12, 31)
        )
        header = "cardnumber,surname,firstname,branchcode,categorycode,dateexpiry"
        row = "0042,Idris,Amal,TMAIN,TADULT,"
        self._load_rows(header, row + "2098-12-31")
        self.assertEqual(membership.date_end, date(2098, 12, 31))
        self.assertRecordValues(
            membership.renewal_ids,
            [{"old_end": date(2097, 12, 31), "new_end": date(2098, 12, 31)}],
        )
        self._load_rows(header, row + "2098-06-30")
        self.assertEqual(membership.date_end, date(2098, 6, 30))
        self.assertEqual(membership.renewal_count, 1)
        load = self._load_rows(header, row + "2019-12-31")
        self.assertIn("2020-01-01", load.refusal_ids.reason)
        self.assertEqual(membership.date_end, date(2098, 6, 30))

    def test_expired_membership_is_followed_by_a_new_line(self):
        expired = self._create_membership(
            date_start=date(2020, 1, 1), date_end=date(2020, 12, 31), state="expired"
        )
        header = "cardnumber,surname,firstname,branchcode,categorycode,dateexpiry"
        row = "0042,Idris,Amal,TMAIN,TADULT,2098-12-31"
        self._load_rows(header, row)
        current = self.amal.membership_id
        self.assertEqual(current.previous_id, expired)
        self.assertEqual(current.date_end, date(2098, 12, 31))
        self.assertEqual(expired.date_end, date(2020, 12, 31))
        self.assertCounts(self._load_rows(header, row), 1, 0, 0, 1, 0, 0)

    def test_cancelled_membership_stays_cancelled_until_a_later_expiry(self):
        membership = self._create_membership(
            date_start=date(2020, 1, 1), date_end=date(2098, 12, 31)
        )
        membership.action_cancel(
            self.env.ref("library_crm.library_membership_reason_moved")
        )
        header = "cardnumber,surname,firstname,branchcode,categorycode,dateexpiry"
        row = "0042,Idris,Amal,TMAIN,TADULT,"
        self.assertEqual(self._load_rows(header, row + "2098-12-31").rows_unchanged, 1)
        self.assertEqual(self.amal.membership_state, "cancelled")
        self._load_rows(header, row + "2099-12-31")
        self.assertEqual(self.amal.membership_state, "active")
        self.assertEqual(membership.state, "cancelled")

    def test_guardian_may_stand_after_the_child(self):
        header = (
            "borrowernumber,cardnumber,surname,firstname,branchcode,categorycode,"
            "guarantorid"
        )
        rows = (
            "2,0602,Kid,A,TMAIN,TCHILD,1",
            "1,0601,Parent,B,TMAIN,TADULT,",
            "3,0603,Orphan,C,TMAIN,TCHILD,999",
        )
        self.patch(type(self.env["library.data.load"]), "_BATCH", 1)
        load = self._load_rows(header, *rows)
        self.assertEqual(self._patron("0602").guardian_id, self._patron("0601"))
        self.assertIn("guardian", load.notes_text)
        self.assertCounts(self._load_rows(header, *rows), 3, 0, 0, 3, 0, 0)

    def test_unknown_branch_and_category_are_made_if_the_source_says_so(self):
        self.patrons.create_missing = True
        load = self._load_rows(
            "cardnumber,surname,branchcode,categorycode", "0701,New,TEAST,TGUEST"
        )
        patron = self._patron("0701")
        self.assertEqual(patron.branch_id.code, "TEAST")
        self.assertEqual(patron.patron_category_id.company_id, self.library)
        self.assertIn("TEAST", load.notes_text)
        self.assertIn("no default plan", load.notes_text)

    def test_dates_in_the_format_of_the_site(self):
        self.patrons.date_format = "dmy_dot"
        self._load_rows(
            "cardnumber;surname;branchcode;categorycode;dateofbirth",
            "0702;New;TMAIN;TADULT;29.02.1984",
        )
        self.assertEqual(self._patron("0702").birth_date, date(1984, 2, 29))

    @mute_logger("odoo.sql_db")
    def test_row_that_the_database_refuses_does_not_hold_up_the_others(self):
        self.env.cr.execute(
            "ALTER TABLE library_patron ADD CHECK (card_number != '0703')"
        )
        load = self._load_rows(
            "cardnumber,surname,branchcode,categorycode",
            *(f"070{number},New,TMAIN,TADULT" for number in range(6)),
        )
        self.assertCounts(load, 6, 5, 0, 0, 0, 1)
        self.assertEqual(load.refusal_ids.line, 5)

    # ------------------------------------------------------------
    # REFUSED ROWS
    # ------------------------------------------------------------

    def test_refused_rows_name_column_value_and_what_was_expected(self):
        load = self._load(self.patrons, self.patron_file)
        reasons = {refusal.line: refusal.reason for refusal in load.refusal_ids}
        for line, words in {
            7: ("surname", "empty"),
            8: ("branchcode", "NOWHERE", "TMAIN, TNORTH"),
            9: ("categorycode", "MARTIAN", "TADULT, TCHILD"),
            10: ("dateofbirth", "1999-02-30", "2026-12-31"),
            11: ("cardnumber", "0000501", "line 2"),
            12: ("cardnumber", "2.35E+13", "spreadsheet"),
            13: ("cardnumber", "64"),
            14: ("dateexpiry", "2021-01-10", "2022-01-10"),
            15: ("branchcode", "NOWHERE"),
        }.items():
            with self.subTest(line=line):
                for word in words:
                    self.assertIn(word, reasons[line])

    def test_refused_file_can_be_mended_and_loaded_again(self):
        load = self._load(self.patrons, self.patron_file)
        content = base64.b64decode(load.refused_file).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(content)))
        self.assertEqual(len(rows), 9)
        self.assertEqual(rows[1]["line"], "8")
        self.assertEqual(rows[1]["surname"], "Quint")
        self.assertEqual(rows[8]["surname"], "'=HYPERLINK(0)")
        self.assertNotIn("never", content.lower())
        mended = self._load(self.patrons, content.replace("NOWHERE", "TMAIN"))
        self.assertCounts(mended, 9, 2, 0, 0, 0, 7)
        self.assertFalse(mended.unknown_columns)
        self.assertEqual(self._patron("0000519").name, "Mallory =HYPERLINK(0)")

    def test_file_that_can_not_be_read_is_refused_when_it_is_chosen(self):
        for content, word in (
            (b"", "empty"),
            (b"apples,pears\n1,2\n", "cardnumber"),
            ("cardnumber,surname\n1,M\u00fcller\n".encode("latin-1"), "column"),
        ):
            with self.subTest(word=word), self.assertRaisesRegex(UserError, word):
                # An empty upload is no file for the web client; a space stands for it.
                self._upload(self.patrons, content or b" ")

    # ------------------------------------------------------------
    # DRY RUN, RUNNING, CANCELLING
    # ------------------------------------------------------------

    def test_dry_run_counts_the_same_and_leaves_nothing(self):
        tables = (
            *("library_patron", "res_partner", "library_membership"),
            *("library_branch", "library_patron_category", "library_service_usage"),
        )
        self.patrons.create_missing = True

        def sizes():
            self.env.flush_all()
            return [
                self.env.execute_query(
                    SQL("SELECT count(*) FROM %s", SQL.identifier(table))
                )
                for table in tables
            ]

        before = sizes()
        self.patch(type(self.env["library.data.load"]), "_BATCH", 2)
        load = self._upload(self.patrons, self.patron_file)
        load.action_dry_run()
        self.assertEqual((load.state, load.is_dry_run), ("done", True), load.message)
        self.assertEqual(sizes(), before)
        dry = [load[name] for name in COUNTS]
        load.action_run()
        self.assertEqual((load.state, load.is_dry_run), ("done", False))
        self.assertEqual([load[name] for name in COUNTS], dry)
        self.assertEqual(len(load.refusal_ids), load.rows_refused)

        before = sizes()
        load = self._upload(self.statistics, self.statistics_file)
        load.action_dry_run()
        dry = [load[name] for name in COUNTS]
        self.assertEqual(sizes(), before)
        load.action_run()
        self.assertEqual([load[name] for name in COUNTS], dry)

    def test_large_load_waits_for_the_job(self):
        self.patch(type(self.env["library.data.load"]), "_AT_ONCE_ROWS", 3)
        load = self._upload(self.patrons, self.patron_file)
        load.action_run()
        self.assertEqual(load.state, "queued")
        with self.enter_registry_test_mode():
            self.env.ref("library_crm.ir_cron_run_data_loads").method_direct_trigger()
        self.assertCounts(load, 14, 5, 0, 0, 0, 9)
        self.assertEqual(load.state, "done")

    def test_interrupted_load_is_carried_on_and_counts_as_if_undisturbed(self):
        Load = type(self.env["library.data.load"])
        self.patch(Load, "_AT_ONCE_ROWS", 0)
        self.patch(Load, "_BATCH", 4)
        load = self._upload(self.patrons, self.patron_file)
        load.action_run()
        # The time of the job is up after the first batch.
        with self.enter_registry_test_mode():
            self.patch(Load, "_commit", lambda load, read: 0 if read else 1)
            load.sudo()._run(commit=True)
            self.assertEqual((load.state, load.rows_read), ("running", 4))
            while not load.sudo()._run(commit=True):
                pass
        self.assertEqual(load.state, "done")
        self.assertCounts(load, 14, 5, 0, 0, 0, 9)

    def test_interrupted_load_of_use_is_carried_on_and_counts_as_if_undisturbed(self):
        self._load(self.patrons, self.patron_file)
        with self.env.cr.savepoint() as savepoint:
            load = self._load(self.statistics, self.statistics_file)
            undisturbed = [load[name] for name in COUNTS], len(self._use())
            savepoint.rollback()
        Load = type(self.env["library.data.load"])
        self.patch(Load, "_AT_ONCE_ROWS", 0)
        self.patch(Load, "_BATCH", 2)
        self.patch(UsageLoader, "_PART", 1)
        load = self._upload(self.statistics, self.statistics_file)
        load.action_run()
        pauses = 0
        with self.enter_registry_test_mode():
            self.patch(Load, "_commit", lambda load, read: 0)
            while not load.sudo()._run(commit=True):
                pauses += 1
                self.assertLess(load.progress, 100)
        self.assertGreater(pauses, 6)
        found = [load[name] for name in COUNTS], len(self._use())
        self.assertEqual(found, undisturbed)
        self.assertFalse(self.env["library.service.usage.stage"].search([]))

    def test_rows_that_are_alike_count_each_wherever_they_stand(self):
        self.patch(type(self.env["library.data.load"]), "_BATCH", 2)
        alike, other = (
            f"2025-03-03 10:15:0{second},TMAIN,localuse" for second in range(2)
        )
        rows = ("datetime,branch,type", alike, alike, alike, other, alike)
        load = self._load_rows(*rows, source=self.statistics)
        self.assertCounts(load, 5, 5, 0, 0, 0, 0)
        numbers = [use.external_ref.partition(".")[2] for use in self._use()]
        self.assertEqual(sorted(numbers), ["", "", "2", "3", "4"])
        load = self._load_rows(*rows, alike, source=self.statistics)
        self.assertCounts(load, 6, 1, 0, 5, 0, 0)

    def test_rows_of_a_load_that_was_given_up_are_forgotten(self):
        Stage = self.env["library.service.usage.stage"]
        load = self._upload(self.statistics, self.statistics_file).sudo()
        values = {
            "row_count": 1,
            "keys": "{k}",
            "patron_ids": "{NULL}",
            "service_ids": f"{{{self.loan.id}}}",
            "branch_ids": f"{{{self.main.id}}}",
            "dates": "{2025-01-01}",
            "quantities": "{1}",
            "channels": "{onsite}",
        }
        Stage.create([{**values, "load_id": load.id}])
        load.state = "running"
        load._gc_stage()
        self.assertTrue(Stage.search([("load_id", "=", load.id)]))
        load.action_cancel()
        load._gc_stage()
        self.assertFalse(Stage.search([("load_id", "=", load.id)]))

    def test_second_load_of_a_source_waits_while_the_first_runs(self):
        load = self._upload(self.patrons, self.patron_file)
        with sql_db.db_connect(self.env.cr.dbname).cursor() as elsewhere:
            elsewhere.execute(
                "SELECT pg_advisory_xact_lock(hashtext('library_data_source'), %s)",
                [self.patrons.id],
            )
            load.action_run()
            self.assertEqual(load.state, "queued")
            with self.assertRaisesRegex(UserError, "Patrons"):
                load._run()
            load.env["library.data.load"]._cron_run_pending()
            self.assertEqual(load.state, "queued")
            self._load(self.statistics, self.statistics_file)
        load.action_run()
        self.assertEqual(load.state, "done")

    def test_load_that_was_killed_can_be_run_again(self):
        load = self._upload(self.patrons, self.patron_file)
        load.sudo().state = "running"
        load.action_run()
        self.assertCounts(load, 14, 5, 0, 0, 0, 9)

    def test_cancelled_load_does_not_run(self):
        self.patch(type(self.env["library.data.load"]), "_AT_ONCE_ROWS", 0)
        load = self._upload(self.patrons, self.patron_file)
        load.action_run()
        load.action_cancel()
        load._cron_run_pending()
        self.assertEqual(load.state, "cancelled")
        self.assertFalse(self._patron("0000501"))
        with self.assertRaises(UserError):
            load.action_cancel()

    @mute_logger("odoo.addons.library_crm.models.library_data_load")
    def test_unexpected_error_leaves_nothing_and_says_so(self):
        loader = self.patrons._get_loader()

        def break_down(loader):
            raise ZeroDivisionError

        load = self._upload(self.patrons, self.patron_file)
        with self.subTest("broken"):
            original = loader.finish
            loader.finish = break_down
            self.addCleanup(setattr, loader, "finish", original)
            load.action_run()
            self.assertEqual(load.state, "failed")
            self.assertIn("ZeroDivisionError", load.message)
            self.assertFalse(self._patron("0000501"))
            loader.finish = original
        load.action_run()
        self.assertCounts(load, 14, 5, 0, 0, 0, 9)
        self.assertFalse(load.message)

    def test_load_file_from_the_shell(self):
        path = str(FIXTURES / "koha_patrons.csv")
        dry = self.patrons.load_file(path, dry_run=True)
        self.assertCounts(dry, 14, 5, 0, 0, 0, 9)
        self.assertFalse(self._patron("0000501"))
        load = self.patrons.load_file(path)
        self.assertCounts(load, 14, 5, 0, 0, 0, 9)
        self.assertEqual(load.file_name, "koha_patrons.csv")
        self.assertTrue(load.forbidden_columns)
        self.assertFalse(load.file)
        use = self.statistics.load_file(str(FIXTURES / "koha_statistics.csv"))
        self.assertEqual(use.rows_new, 7)

    # ------------------------------------------------------------
    # USE
    # ------------------------------------------------------------

    def test_koha_statistics_become_use(self):
        self._load(self.patrons, self.patron_file)
        load = self._load(self.statistics, self.statistics_file)
        self.assertCounts(load, 12, 7, 0, 0, 1, 4)
        maja = self._patron("0000501")
        self.assertEqual(
            sorted(
                (use.date.isoformat(), use.service_id.code, use.branch_id.code)
                for use in self._use()
                if use.patron_id == maja
            ),
            [
                ("2025-03-03", "loan", "TMAIN"),
                ("2025-03-03", "loan", "TMAIN"),
                ("2025-03-17", "renewal", "TMAIN"),
                ("2025-03-24", "return", "TNORTH"),
            ],
        )
        self.assertEqual(maja.last_use_date, date(2025, 3, 24))
        [anonymous] = self._use().filtered(lambda use: not use.patron_id)
        self.assertEqual(anonymous.service_id.code, "inhouse")
        self.assertEqual(anonymous.channel, "onsite")
        reasons = {refusal.line: refusal.reason for refusal in load.refusal_ids}
        for line, words in {
            10: ("borrowernumber", "9999"),
            11: ("branch", "NOWHERE", "TMAIN"),
            12: ("datetime", "2097", "future"),
            13: ("type", "teleport", "issue"),
        }.items():
            for word in words:
                self.assertIn(word, reasons[line])

    def test_same_statistics_again_count_nothing_also_in_a_longer_file(self):
        self._load(self.patrons, self.patron_file)
        self._load(self.statistics, self.statistics_file)
        again = self._load(self.statistics, self.statistics_file)
        self.assertCounts(again, 12, 0, 0, 7, 1, 4)
        header, *rows = self.statistics_file.decode().splitlines()
        longer = self._load_rows(
            header, *reversed([*rows, rows[0]]), source=self.statistics
        )
        # A third loan in the same second.
        self.assertCounts(longer, 13, 1, 0, 7, 1, 4)
        self.assertEqual(len(self._use()), 8)

    def test_patron_is_found_by_card_too_and_unknown_ones_may_be_counted(self):
        self.statistics.count_unknown_patrons = True
        self.statistics.create_missing = True
        load = self._load_rows(
            "datetime,branch,type,cardnumber",
            "2025-03-03 10:15:02,TMAIN,issue,0042",
            "2025-03-03 10:15:02,TBUS,issue,9999",
            source=self.statistics,
        )
        self.assertCounts(load, 2, 2, 0, 0, 0, 0)
        self.assertEqual(self.amal.last_use_date, date(2025, 3, 3))
        [other] = self._use().filtered(lambda use: not use.patron_id)
        self.assertEqual(other.branch_id.code, "TBUS")
        self.assertEqual(other.branch_id.company_id, self.library)

    def test_references_of_a_day_stand_together(self):
        self._load_rows(
            "datetime,branch,type",
            "2025-03-03 10:15:00,TMAIN,localuse",
            "2025-03-03 18:00:00,TMAIN,issue",
            "2025-03-04 10:15:00,TMAIN,localuse",
            source=self.statistics,
        )
        starts = {}
        for use in self._use():
            starts.setdefault(use.date, set()).add(use.external_ref[:4])
        self.assertEqual([len(found) for found in starts.values()], [1, 1])
        self.assertEqual(len(set.union(*starts.values())), 2)

    def test_reference_of_a_row_depends_on_the_key_of_its_source(self):
        twin = self.statistics.copy()
        for source in (self.statistics, twin):
            self._load_rows(
                "datetime,branch,type",
                "2025-03-03 10:15:02,TMAIN,localuse",
                source=source,
            )
        references = self.env["library.service.usage"].search(
            [("source_id", "in", (self.statistics | twin).ids)]
        )
        self.assertEqual(len(set(references.mapped("external_ref"))), 2)

    # ------------------------------------------------------------
    # PRIVACY AND ROLES
    # ------------------------------------------------------------

    def test_forbidden_columns_are_named_and_found_nowhere(self):
        failed = self._upload(self.patrons, self.patron_file)
        self.assertNotIn(b"never", base64.b64decode(failed.file).lower())
        load = self._load(self.patrons, self.patron_file)
        self._load(self.statistics, self.statistics_file)
        for column in (
            *("password", "flags", "userid", "borrowernotes", "opacnote"),
            *("contactnote", "debarredcomment"),
        ):
            self.assertIn(column, load.forbidden_columns)
        self.assertIn("sort1", load.unused_columns)
        self.assertFalse(load.unknown_columns)
        self.env.flush_all()
        secrets = ("never kept", "NeverKeepThis", "login.never", "7700990")
        for (table,) in self.env.execute_query(
            SQL(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() "
                "AND tablename ~ '^(library|res_partner|mail|crm)'"
            )
        ):
            for secret in secrets:
                found = self.env.execute_query(
                    SQL(
                        "SELECT 1 FROM %s AS row WHERE row::text LIKE %s LIMIT 1",
                        SQL.identifier(table),
                        f"%{secret}%",
                    )
                )
                self.assertFalse(found, f"{secret} in {table}")
        for attachment in self.env["ir.attachment"].search(
            [("res_model", "=like", "library.%"), ("res_field", "!=", False)]
        ):
            for secret in secrets:
                self.assertNotIn(secret.encode(), attachment.raw or b"")

    def test_file_is_deleted_when_it_is_loaded_and_kept_when_it_is_not(self):
        load = self._upload(self.patrons, self.patron_file)
        load.action_dry_run()
        self.assertTrue(load.file)
        load.action_run()
        self.assertFalse(load.file)
        with self.assertRaises(UserError):
            load.action_run()
        waiting = self._upload(self.patrons, self.patron_file)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE library_data_load SET write_date = '2020-01-01' WHERE id = %s",
            [waiting.id],
        )
        self.env.cr.execute(
            "UPDATE library_data_refusal SET create_date = '2020-01-01' "
            "WHERE load_id = %s",
            [load.id],
        )
        self.env.invalidate_all()
        self._run_retention("load_file", "refusal")
        self.assertFalse(waiting.file)
        self.assertFalse(load.refusal_ids)

    def test_file_without_a_source_is_not_stored(self):
        Load = self.env["library.data.load"].with_context(
            default_source_id=self.patrons.id
        )
        load = Load.create({"file": base64.b64encode(self.patron_file)})
        self.assertNotIn(b"never", base64.b64decode(load.file).lower())
        load.source_id = self.statistics
        self.assertFalse(load.file)

    def test_only_managers_see_sources_loads_and_refused_rows(self):
        load = self._load(self.patrons, self.patron_file)
        for user in (self.desk, self.marketing, self.employee, self.portal):
            for record in (self.patrons, load, load.refusal_ids[:1]):
                for operation in ("read", "write", "create", "unlink"):
                    with self.subTest(user=user.login, record=record, do=operation):
                        self.assertFalse(record.with_user(user).has_access(operation))
            with self.assertRaises(AccessError):
                load.with_user(user).action_run()
        for record in (self.patrons, load):
            for operation in ("read", "write", "create", "unlink"):
                self.assertTrue(record.with_user(self.manager).has_access(operation))
        refusal = load.refusal_ids[:1].with_user(self.manager)
        self.assertTrue(refusal.has_access("read"))
        self.assertFalse(refusal.has_access("write"))
        with self.assertRaises(AccessError):
            self.patrons.with_user(self.manager).read(["key"])

    def test_manager_of_another_library_sees_none_of_it(self):
        load = self._load(self.patrons, self.patron_file).with_env(self.env)
        self.manager.write(
            {
                "company_ids": [(6, 0, self.other_library.ids)],
                "company_id": self.other_library.id,
            }
        )
        for record in (self.patrons, load, load.refusal_ids[:1]):
            self.assertFalse(record.with_user(self.manager).has_access("read"))

    def test_manager_can_not_delete_what_rows_of_use_came_from(self):
        self._load(self.statistics, self.statistics_file.replace(b",501,", b",,"))
        self.statistics.load_ids.unlink()
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"):
            self.statistics.unlink()
