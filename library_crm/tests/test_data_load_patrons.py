import base64
from datetime import date, timedelta

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import SQL

from ..formats.koha import KohaPatrons
from ..loaders.lines import KeyLines, PatronLines
from .common import LibraryCommon

HEADER = "borrowernumber,cardnumber,surname,branchcode,categorycode"
COUNTS = ("rows_new", "rows_changed", "rows_unchanged", "rows_ignored", "rows_refused")


@tagged("post_install", "-at_install")
class TestDataLoadPatrons(LibraryCommon):
    """What becomes of patrons when the library system sends its file day by day."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = cls.env["library.data.source"].create(
            {
                "name": "Patrons",
                "format": "koha_patrons",
                "company_id": cls.library.id,
            }
        )
        # Those of the other tests would be missing from every file.
        (cls.amal + cls.bruno).card_number = False

    def _load(self, *rows, header=HEADER, source=None, dry_run=False, user=None):
        load = (
            self.env["library.data.load"]
            .with_user(user or self.manager)
            .create(
                {
                    "source_id": (source or self.source).id,
                    "file": base64.b64encode("\n".join((header, *rows)).encode()),
                    "file_name": "patrons.csv",
                }
            )
        )
        load.action_dry_run() if dry_run else load.action_run()
        self.assertEqual(load.state, "done", load.message)
        return load

    def _counts(self, load):
        return tuple(load[name] for name in COUNTS)

    def _patron(self, ref):
        return self.env["library.patron"].search(
            [("company_id", "=", self.library.id), ("ils_ref", "=", ref)]
        )

    def _set_batch(self, size):
        self.patch(type(self.env["library.data.load"]), "_BATCH", size)

    def _count_conversions(self):
        convert, converted = KohaPatrons.convert, []

        def count(file_format, row):
            converted.append(row.line)
            return convert(file_format, row)

        self.patch(KohaPatrons, "convert", count)
        return converted

    # ------------------------------------------------------------
    # THE SAME ROW AGAIN
    # ------------------------------------------------------------

    def test_row_that_says_nothing_new_is_not_even_converted(self):
        rows = ("1,A1,One,TMAIN,TADULT", "2,A2,Two,TMAIN,TADULT")
        self._load(*rows)
        converted = self._count_conversions()
        self.assertEqual(self._counts(self._load(*rows)), (0, 0, 2, 0, 0))
        self.assertFalse(converted)
        changed = self._load(rows[0], "2,A2,Zwei,TMAIN,TADULT")
        self.assertEqual(self._counts(changed), (0, 1, 1, 0, 0))
        self.assertEqual(converted, [3])
        self.assertEqual(self._patron("2").name, "Zwei")

    def test_what_was_changed_here_is_written_again_by_the_same_row(self):
        header = f"{HEADER},email,dateofbirth,dateexpiry,guarantor_id"
        rows = (
            "9,A9,Parent,TMAIN,TADULT,,,2098-01-01,",
            "1,A1,One,TMAIN,TCHILD,one@test.example.com,2015-02-03,2098-01-01,9",
        )
        self._load(*rows, header=header)
        self.assertEqual(self._load(*rows, header=header).rows_unchanged, 2)
        patron = self._patron("1")
        for record, name, value in (
            (patron, "name", "Uno"),
            (patron.partner_id, "email", "uno@test.example.com"),
            (patron, "card_number", "B1"),
            (patron, "birth_date", date(2014, 2, 3)),
            (patron, "branch_id", self.north),
            (patron, "patron_category_id", self.adult),
            (patron, "guardian_id", self.amal),
            (patron.membership_id, "date_end", date(2097, 1, 1)),
        ):
            with self.subTest(name=name):
                before = record[name]
                record[name] = value
                load = self._load(*rows, header=header)
                self.assertEqual(self._counts(load), (0, 1, 1, 0, 0))
                self.assertEqual(record[name], before)
                self.assertEqual(self._load(*rows, header=header).rows_unchanged, 2)

    def test_same_row_is_read_anew_when_the_source_is_told_otherwise(self):
        self.source.start_memberships = False
        header = f"{HEADER},dateofbirth"
        row = "1,A1,One,TMAIN,TADULT,2014-02-03"
        self._load(row, header=header)
        patron = self._patron("1")
        self.assertFalse(patron.membership_id)
        self.source.start_memberships = True
        self.assertEqual(self._load(row, header=header).rows_changed, 1)
        self.assertEqual(patron.membership_state, "active")
        converted = self._count_conversions()
        self._load(row, header=header)
        self.assertFalse(converted)
        self.source.date_format = "dmy_dot"
        self._load(row, header=header)
        self.assertTrue(converted)

    def test_plan_that_a_category_gets_later_starts_the_membership(self):
        self.adult.plan_id = False
        row = "1,A1,One,TMAIN,TADULT"
        self.assertIn("no default plan", self._load(row).notes_text)
        self._load(row)
        self.adult.plan_id = self.plan
        self.assertEqual(self._load(row).rows_changed, 1)
        self.assertEqual(self._patron("1").membership_id.plan_id, self.plan)

    def test_code_that_goes_to_another_branch_takes_its_patrons_along(self):
        row = "1,A1,One,TMAIN,TADULT"
        self._load(row)
        self.main.code = "TOLD"
        self.north.code = "TMAIN"
        self.assertEqual(self._load(row).rows_changed, 1)
        self.assertEqual(self._patron("1").branch_id, self.north)

    def test_remark_is_made_each_time(self):
        header = f"{HEADER},email,guarantor_id"
        rows = (
            "1,A1,One,TMAIN,TADULT,nobody,",
            "2,A2,Two,TMAIN,TCHILD,,999",
        )
        first = self._load(*rows, header=header)
        again = self._load(*rows, header=header)
        self.assertIn("Email", again.notes_text)
        self.assertIn("guardian", again.notes_text)
        self.assertEqual(first.notes, again.notes)
        self.assertEqual(again.rows_unchanged, 2)

    def test_two_sources_that_disagree_each_write_what_they_say(self):
        other = self.source.copy({"name": "Another"})
        one, two = "1,A1,One,TMAIN,TADULT", "1,A1,One,TNORTH,TADULT"
        self._load(one)
        self.assertEqual(self._load(two, source=other).rows_changed, 1)
        self.assertEqual(self._patron("1").branch_id, self.north)
        self.assertEqual(self._load(one).rows_changed, 1)
        self.assertEqual(self._patron("1").branch_id, self.main)
        digests = self.env["library.patron.row"].search([]).mapped("digest")
        self.assertEqual(len(set(digests)), len(digests))

    def test_sources_that_number_people_differently_do_not_mix_them_up(self):
        self._load("1,A1,One,TMAIN,TADULT")
        load = self._load(
            "77,A1,One,TMAIN,TADULT", source=self.source.copy({"name": "Another"})
        )
        self.assertEqual(self._counts(load), (0, 0, 0, 0, 1))
        for word in ("A1", "“1”", "“77”"):
            self.assertIn(word, load.refusal_ids.reason)
        self.assertEqual(self._patron("1").card_number, "A1")

    def test_what_is_remembered_of_a_row_says_nothing_and_goes_with_the_patron(self):
        self._load("1,A1,Secretive,TMAIN,TADULT")
        patron = self._patron("1")
        Row = self.env["library.patron.row"]
        row = Row.search([("patron_id", "=", patron.id)])
        self.env.flush_all()
        [(text,)] = self.env.execute_query(
            SQL("SELECT r::text FROM library_patron_row r WHERE id = %s", row.id)
        )
        self.assertNotIn("Secretive", text)
        for user in (self.manager, self.marketing, self.desk, self.portal):
            with self.assertRaises(AccessError):
                row.with_user(user).read(["digest"])
        patron.membership_ids.unlink()
        patron.unlink()
        self.assertFalse(row.exists())

    def test_archived_patron_stays_archived(self):
        row = "1,A1,One,TMAIN,TADULT"
        self._load(row)
        patron = self._patron("1")
        patron.active = False
        self.assertEqual(self._load(row).rows_unchanged, 1)
        self.assertEqual(self._load("1,A1,Uno,TMAIN,TADULT").rows_changed, 1)
        self.assertFalse(patron.active)

    def test_category_in_the_file_does_not_change_the_plan(self):
        """The membership follows at renewal: what was paid for stays."""
        self.child.plan_id = self.paid_plan
        self._load("1,A1,One,TMAIN,TADULT")
        patron = self._patron("1")
        membership = patron.membership_id
        load = self._load("1,A1,One,TMAIN,TCHILD")
        self.assertEqual(load.rows_changed, 1)
        self.assertEqual(patron.patron_category_id, self.child)
        self.assertEqual(patron.membership_ids, membership)
        self.assertEqual(membership.plan_id, self.plan)

    # ------------------------------------------------------------
    # THE SAME PERSON TWICE IN A FILE
    # ------------------------------------------------------------

    def test_second_row_of_a_person_is_refused_wherever_it_stands(self):
        rows = (
            "1,A1,One,TMAIN,TADULT",
            "2,A2,Two,TMAIN,TADULT",
            "1,A8,Same reference,TMAIN,TADULT",
            "9,A2,Same card,TMAIN,TADULT",
        )
        for size in (1, 3, 5000):
            for dry_run in (True, False):
                with (
                    self.subTest(size=size, dry_run=dry_run),
                    self.env.cr.savepoint() as savepoint,
                ):
                    self._set_batch(size)
                    for expected in ((2, 0, 0, 0, 2), (0, 0, 2, 0, 2)):
                        load = self._load(*rows, dry_run=dry_run)
                        if dry_run:
                            expected = (2, 0, 0, 0, 2)
                        self.assertEqual(self._counts(load), expected)
                        self.assertEqual(load.refusal_ids.mapped("line"), [4, 5])
                        self.assertIn("line 2", load.refusal_ids[0].reason)
                        self.assertIn("line 3", load.refusal_ids[1].reason)
                    savepoint.rollback()
                    self.env.invalidate_all()

    def test_card_and_reference_with_the_same_number_are_two_people(self):
        rows = ("7,8,One,TMAIN,TADULT", "8,7,Two,TMAIN,TADULT")
        for dry_run in (True, False):
            load = self._load(*rows, dry_run=dry_run)
            self.assertEqual(self._counts(load), (2, 0, 0, 0, 0))
        self.assertEqual(self._patron("7").card_number, "8")

    def test_lines_of_many_keys_are_found_again(self):
        keys, patrons = KeyLines(), PatronLines()
        for line in range(1, 5001):
            keys.add(("card_number", str(line)), line)
            patrons.set(line * 97, line)
        keys.add(("card_number", "1"), 9)
        patrons.set(97, 9)
        for line in range(1, 5001):
            self.assertEqual(keys.get(("card_number", str(line))), line)
            self.assertEqual(patrons.get(line * 97), line)
        self.assertFalse(keys.get(("ils_ref", "1")))
        self.assertFalse(patrons.get(98))
        patrons.mark(98)
        self.assertIn(98, patrons)
        self.assertFalse(patrons.get(98))

    def test_load_that_was_interrupted_remembers_where_everybody_stood(self):
        Load = type(self.env["library.data.load"])
        self.source.is_complete = True
        header = f"{HEADER},guarantor_id"
        rows = (
            "2,A2,Child,TMAIN,TCHILD,9",
            "3,A3,Three,TMAIN,TADULT,",
            "3,A3,Again,TMAIN,TADULT,",
            "2,A2,Again,TMAIN,TADULT,",
            "9,A9,Parent,TMAIN,TADULT,",
        )
        self._load(*rows[1:2], header=header)
        self.patch(Load, "_AT_ONCE_ROWS", 0)
        self._set_batch(1)
        load = self.env["library.data.load"].create(
            {
                "source_id": self.source.id,
                "file": base64.b64encode("\n".join((header, *rows)).encode()),
            }
        )
        load.action_run()
        with self.enter_registry_test_mode():
            self.patch(Load, "_commit", lambda load, read: 0)
            pauses = 0
            while not load.sudo()._run(commit=True):
                pauses += 1
        self.assertGreater(pauses, 3)
        self.assertEqual(self._counts(load), (2, 0, 1, 0, 2))
        self.assertEqual(self._patron("2").guardian_id, self._patron("9"))
        self.assertFalse(self._patron("3").missing_since)
        rows = self.env["library.patron.row"].search([("guardian_ref", "!=", False)])
        self.assertFalse(rows)

    # ------------------------------------------------------------
    # CARDS THAT CHANGE HANDS
    # ------------------------------------------------------------

    def test_card_that_was_reissued_stays_with_its_patron(self):
        self._load("1,A1,One,TMAIN,TADULT")
        patron = self._patron("1")
        self._load("1,B1,One,TMAIN,TADULT")
        self.assertEqual(patron.card_number, "B1")
        self.assertEqual(self._counts(self._load("1,B1,One,TMAIN,TADULT"))[2], 1)

    def test_card_that_its_holder_gave_back_goes_to_the_new_one(self):
        self._load("1,A1,One,TMAIN,TADULT")
        old = self._patron("1")
        rows = ("2,A1,Two,TMAIN,TADULT", "1,B1,One,TMAIN,TADULT")
        for order in (rows, rows[::-1]):
            with self.subTest(order=order), self.env.cr.savepoint() as savepoint:
                self.assertEqual(self._counts(self._load(*order)), (1, 1, 0, 0, 0))
                self.assertEqual(old.card_number, "B1")
                self.assertEqual(self._patron("2").card_number, "A1")
                savepoint.rollback()
                self.env.invalidate_all()

    def test_new_holder_who_stands_far_before_the_old_one_comes_with_the_next_load(
        self,
    ):
        self._load("1,A1,One,TMAIN,TADULT")
        rows = ("2,A1,Two,TMAIN,TADULT", "1,B1,One,TMAIN,TADULT")
        self._set_batch(1)
        load = self._load(*rows)
        self.assertEqual(self._counts(load), (0, 1, 0, 0, 1))
        self.assertIn("new holder", load.refusal_ids.reason)
        self.assertEqual(self._counts(self._load(*rows)), (1, 0, 1, 0, 0))

    # ------------------------------------------------------------
    # MISSING FROM A FULL FILE
    # ------------------------------------------------------------

    def _load_ten(self):
        rows = [f"{n},A{n},Patron {n},TMAIN,TADULT" for n in range(1, 11)]
        self._load(*rows)
        self.source.is_complete = True
        return rows

    def test_patron_missing_from_a_full_file_is_marked_and_not_deleted(self):
        rows = self._load_ten()
        gone = self._patron("10")
        before = gone.write_date
        load = self._load(*rows[:9])
        self.assertEqual(gone.missing_since, date.today())
        self.assertEqual(gone.write_date, before)
        self.assertTrue(gone.active)
        self.assertEqual(self._patron("9").missing_since, False)
        self.assertIn("missing, not deleted", load.notes_text)
        day = date.today() - timedelta(days=30)
        gone.missing_since = day
        self._load(*rows[:9])
        self.assertEqual(gone.missing_since, day)
        found = self.env["library.patron"].search([("missing_since", "!=", False)])
        self.assertEqual(found, gone)
        self.source.is_complete = False
        self._load(rows[9])
        self.assertFalse(gone.missing_since)

    def test_file_of_some_patrons_marks_nobody(self):
        rows = self._load_ten()
        self.source.is_complete = False
        self._load(*rows[:9])
        self.assertFalse(self._patron("10").missing_since)

    def test_dry_run_says_who_would_be_missing_and_marks_nobody(self):
        rows = self._load_ten()
        dry = self._load(*rows[:9], dry_run=True)
        self.assertFalse(self._patron("10").missing_since)
        self.assertEqual(dry.notes, self._load(*rows[:9]).notes)

    def test_file_without_many_patrons_is_taken_for_broken(self):
        rows = self._load_ten()
        load = self._load(*rows[:7])
        self.assertIn("3 of 10", load.notes_text)
        self.assertFalse(self._patron("10").missing_since)
        self.source.missing_limit = 30
        self._load(*rows[:7])
        self.assertTrue(self._patron("10").missing_since)

    def test_who_was_missing_before_does_not_make_the_next_file_look_broken(self):
        rows = self._load_ten()
        self._load(*rows[:8])
        load = self._load(*rows[:7])
        self.assertNotIn("broken", load.notes_text)
        self.assertTrue(self._patron("8").missing_since)

    def test_refused_row_does_not_make_its_patron_missing(self):
        rows = self._load_ten()
        for bad in (
            "10,A10,,TMAIN,TADULT",
            "10,,Patron,NOWHERE,TADULT",
            ",A10,Patron,TMAIN,MARTIAN",
            "10,2.35E+13,Patron,TMAIN,TADULT",
        ):
            with self.subTest(bad=bad):
                load = self._load(*rows[:9], bad)
                self.assertEqual(load.rows_refused, 1)
                self.assertFalse(self._patron("10").missing_since)

    def test_nobody_is_missing_who_can_not_be_in_the_file(self):
        rows = self._load_ten()
        own, archived, late = self.env["library.patron"].create(
            [
                {"name": "Own", "company_id": self.library.id},
                {
                    "name": "Archived",
                    "card_number": "Z1",
                    "company_id": self.library.id,
                    "active": False,
                },
                {"name": "Late", "card_number": "Z2", "company_id": self.library.id},
            ]
        )
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE library_patron SET create_date = create_date + "
                "interval '1 day' WHERE id = %s",
                late.id,
            )
        )
        self._load(*rows)
        for patron in own + archived + late + self.other_patron:
            with self.subTest(patron=patron.name):
                self.assertFalse(patron.missing_since)

    # ------------------------------------------------------------
    # MERGED HERE
    # ------------------------------------------------------------

    def _merge(self, kept, gone, user=None):
        self.env["base.partner.merge.automatic.wizard"].with_user(
            user or self.env.user
        )._merge((kept + gone).partner_id.ids, kept.partner_id)
        self.env.invalidate_all()

    def test_merged_contacts_are_one_patron_with_all_that_both_had(self):
        self._load(
            "1,A1,One,TMAIN,TADULT,,2098-01-01",
            "2,A2,Two,TMAIN,TADULT,2015-02-03,2099-01-01",
            "3,A3,Child,TMAIN,TCHILD,,",
            header=f"{HEADER},dateofbirth,dateexpiry",
        )
        kept, gone, child = (self._patron(ref) for ref in "123")
        child.guardian_id = gone
        gone.guardian_id = kept
        kept.interest_ids = self.env["library.interest"].create({"name": "Maps"})
        use = self.env["library.service.usage"].create(
            {
                "patron_id": gone.id,
                "branch_id": self.north.id,
                "service_id": self.visit.id,
                "date": date(2025, 3, 3),
            }
        )
        band = use.age_band
        news = self.env.ref("library_crm.library_consent_purpose_news")
        self.env["library.consent"].create(
            {"patron_id": gone.id, "purpose_id": news.id}
        )
        request = self.env["crm.lead"].create(
            {
                "name": "A book",
                "library_request_kind": "reference",
                "library_patron_id": gone.id,
            }
        )
        trace = self.env["mailing.trace"].create(
            {"model": "library.patron", "res_id": gone.id}
        )
        gone.message_post(body="A note")
        partner = gone.partner_id
        self._merge(kept, gone)
        self.assertFalse(gone.exists())
        self.assertFalse(partner.exists())
        self.assertEqual(kept.birth_date, date(2015, 2, 3))
        self.assertEqual(kept.card_number, "A1")
        self.assertEqual(
            (kept.alias_ids.card_number, kept.alias_ids.ils_ref), ("A2", "2")
        )
        self.assertEqual(len(kept.membership_ids), 2)
        self.assertEqual(kept.membership_state, "active")
        self.assertEqual(kept.expiry_date, date(2099, 1, 1))
        self.assertEqual(
            set(kept.membership_ids.mapped("state")), {"active", "cancelled"}
        )
        self.assertEqual(use.patron_id, kept)
        self.assertEqual(use.age_band, band)
        self.assertEqual(kept.last_use_date, date(2025, 3, 3))
        self.assertEqual(kept.agreed_purpose_ids, news)
        self.assertEqual(request.library_patron_id, kept)
        self.assertEqual(trace.library_patron_id, kept)
        self.assertIn("A note", "".join(kept.message_ids.mapped("body")))
        self.assertEqual(child.guardian_id, kept)
        self.assertFalse(kept.guardian_id)
        self.assertTrue(kept.interest_ids)
        self.assertFalse(self.env["library.patron.tombstone"].search([]))

    def test_file_with_both_numbers_does_not_part_what_was_merged(self):
        rows = ("1,A1,One,TMAIN,TADULT", "2,A2,Two,TMAIN,TADULT")
        self._load(*rows)
        kept = self._patron("1")
        self._merge(kept, self._patron("2"))
        self.source.is_complete = True
        for size, order in ((1, rows), (1, rows[::-1]), (5000, rows)):
            self._set_batch(size)
            load = self._load(*order)
            self.assertEqual(self._counts(load), (0, 0, 1, 1, 0))
            self.assertIn("merged", load.notes_text)
            self.assertFalse(self._patron("2"))
            self.assertEqual(kept.name, "One")
            self.assertFalse(kept.missing_since)

    def test_file_with_the_other_number_alone_goes_on_for_both(self):
        self._load("1,A1,One,TMAIN,TADULT", "2,A2,Two,TMAIN,TADULT")
        kept = self._patron("1")
        self._merge(kept, self._patron("2"))
        self.source.is_complete = True
        row = "2,A2,Two,TNORTH,TADULT"
        self.assertEqual(self._counts(self._load(row, dry_run=True)), (0, 1, 0, 0, 0))
        self.assertEqual(kept.card_number, "A1")
        self.assertEqual(self._counts(self._load(row)), (0, 1, 0, 0, 0))
        self.assertEqual((kept.card_number, kept.ils_ref), ("A2", "2"))
        self.assertEqual(kept.branch_id, self.north)
        self.assertFalse(kept.missing_since)
        self.assertEqual(kept.alias_ids.mapped("card_number"), ["A1"])
        self.assertEqual(self._counts(self._load(row)), (0, 0, 1, 0, 0))

    def test_merged_patron_of_two_libraries_stays_patron_of_both(self):
        self._load("1,A1,One,TMAIN,TADULT")
        kept = self._patron("1")
        self._merge(kept, self.other_patron)
        self.assertEqual(self.other_patron.partner_id, kept.partner_id)
        self.assertEqual(self.other_patron.complete_name, kept.complete_name)
        self.assertEqual(self.other_patron.card_number, "0042")

    def test_who_may_not_change_patrons_does_not_merge_them(self):
        self._load("1,A1,One,TMAIN,TADULT", "2,A2,Two,TMAIN,TADULT")
        kept, gone = self._patron("1"), self._patron("2")
        self.employee.group_ids += self.env.ref("base.group_partner_manager")
        with self.assertRaisesRegex(AccessError, "Riverside"):
            self._merge(kept, gone, self.employee)

    # ------------------------------------------------------------
    # ERASED
    # ------------------------------------------------------------

    def _erase(self, patron):
        patron.membership_ids.unlink()
        patron.unlink()

    def test_file_does_not_bring_back_who_was_erased(self):
        rows = (
            "1,A1,Erased,TMAIN,TADULT",
            "1,,Erased,TMAIN,TADULT",
            ",A1,Erased,TMAIN,TADULT",
            "1,A1,,TMAIN,TADULT",
        )
        self._load(rows[0])
        self._erase(self._patron("1"))
        for dry_run in (True, False):
            load = self._load(*rows, dry_run=dry_run)
            self.assertEqual(self._counts(load), (0, 0, 0, 4, 0))
            self.assertIn("erased", load.notes_text)
            self.assertFalse(load.refusal_ids)
            self.assertFalse(self._patron("1"))
        self.env.flush_all()
        [(text,)] = self.env.execute_query(
            SQL("SELECT string_agg(t::text, '') FROM library_patron_tombstone t")
        )
        self.assertNotIn("A1", text)

    def test_former_numbers_of_who_was_erased_are_not_brought_back_either(self):
        rows = ("1,A1,One,TMAIN,TADULT", "2,A2,Two,TMAIN,TADULT")
        self._load(*rows)
        kept = self._patron("1")
        self._merge(kept, self._patron("2"))
        self._erase(kept)
        self.assertEqual(self._counts(self._load(*rows)), (0, 0, 0, 2, 0))

    def _load_use(self, *rows, **options):
        source = self.env["library.data.source"].create(
            {
                "name": "Use",
                "format": "koha_statistics",
                "company_id": self.library.id,
                **options,
            }
        )
        header = "datetime,branch,type,borrowernumber,cardnumber"
        load = self._load(*rows, header=header, source=source)
        uses = self.env["library.service.usage"].search([("source_id", "=", source.id)])
        return load, uses

    def test_use_of_who_was_erased_is_left_out_and_not_kept(self):
        self._load("1,A1,Erased,TMAIN,TADULT")
        self._erase(self._patron("1"))
        rows = ("2026-01-05,TMAIN,issue,1,", "2026-01-05,TMAIN,issue,,A1")
        load, uses = self._load_use(*rows)
        self.assertEqual(self._counts(load), (0, 0, 0, 2, 0))
        self.assertIn("erased", load.notes_text)
        self.assertFalse(load.refusal_ids)
        self.assertFalse(uses)
        # Where strangers are counted for nobody, this is one.
        load, uses = self._load_use(*rows, count_unknown_patrons=True)
        self.assertEqual(len(uses), 2)
        self.assertFalse(uses.patron_id)

    def test_use_under_a_number_that_was_merged_is_that_of_the_patron(self):
        self._load("1,A1,One,TMAIN,TADULT", "2,A2,Two,TMAIN,TADULT")
        kept = self._patron("1")
        self._merge(kept, self._patron("2"))
        __, uses = self._load_use(
            "2026-01-05,TMAIN,issue,2,", "2026-01-05,TMAIN,issue,,A2"
        )
        self.assertEqual(uses.patron_id, kept)
        self.assertEqual(len(uses), 2)

    def test_card_of_who_was_erased_may_go_to_somebody_else(self):
        row = "1,A1,Erased,TMAIN,TADULT"
        self._load(row)
        self._erase(self._patron("1"))
        rows = ("2,A1,New holder,TMAIN,TADULT", "1,B7,Erased,TMAIN,TADULT")
        self.assertEqual(self._counts(self._load(*rows)), (1, 0, 0, 1, 0))
        # That one came by a load: it does not bring back the other.
        self.assertEqual(self._counts(self._load(*rows)), (0, 0, 1, 1, 0))

    def test_who_joins_again_at_the_desk_is_loaded_again(self):
        row = "1,A1,Back,TMAIN,TADULT"
        self._load(row)
        self._erase(self._patron("1"))
        patron = (
            self.env["library.patron"]
            .with_user(self.desk)
            .create({"name": "Back", "branch_id": self.main.id})
        )
        self.assertEqual(self._load(row).rows_ignored, 1)
        patron.card_number = "A1"
        self.assertEqual(self._counts(self._load(row)), (0, 1, 0, 0, 0))
        self.assertEqual(self._patron("1"), patron.with_env(self.env))

    def test_manager_lets_somebody_be_loaded_again(self):
        row = "1,A1,Back,TMAIN,TADULT"
        self._load(row)
        self._erase(self._patron("1"))
        tombstone = self.env["library.patron.tombstone"].search([])
        with self.assertRaises(AccessError):
            tombstone.with_user(self.manager).read(["card_digest"])
        with self.assertRaises(AccessError):
            tombstone.with_user(self.desk).unlink()
        self.manager.write({"company_ids": [(4, self.other_library.id)]})
        tombstone.with_user(self.manager).unlink()
        self.assertEqual(self._load(row).rows_new, 1)

    def test_other_library_knows_nothing_of_who_was_erased_here(self):
        row = "1,A1,Erased,THILL,TADULT"
        self._load(row.replace("THILL", "TMAIN"))
        self._erase(self._patron("1"))
        self.adult.copy(
            {"code": "TADULT", "company_id": self.other_library.id, "plan_id": False}
        )
        source = self.source.copy({"company_id": self.other_library.id})
        load = self._load(row, source=source, user=self.env.user)
        self.assertEqual(load.rows_new, 1)


@tagged("post_install", "-at_install")
class TestBulk(LibraryCommon):
    """What is asked once for many records is not asked less."""

    def _create(self, *vals_list):
        return (
            self.env["library.patron"]
            ._in_bulk()
            .create([{"company_id": self.library.id, **vals} for vals in vals_list])
        )

    def test_what_belongs_to_another_library_is_refused_among_many(self):
        bruno = self.bruno.partner_id
        bruno.company_id = self.library
        company = self.env["res.company"].create({"name": "Third"})
        user, both = self.env["res.users"].create(
            [
                {
                    "name": name,
                    "login": name,
                    "company_id": company.id,
                    "company_ids": [(6, 0, companies.ids)],
                }
                for name, companies in (
                    ("elsewhere", company),
                    ("both", company + self.library),
                )
            ]
        )
        other_company = {"company_id": self.other_library.id}
        for wrong in (
            {"branch_id": self.other_branch.id},
            {"guardian_id": self.other_patron.id},
            {"liaison_id": user.id},
            {"partner_id": bruno.id, **other_company},
            {"branch_id": self.main.id, **other_company},
        ):
            with self.subTest(wrong=wrong), self.assertRaises(UserError):
                self._create(
                    {"name": "Right", "branch_id": self.main.id},
                    {"name": "Right too", "liaison_id": both.id},
                    {"name": "Wrong", **wrong},
                )

    def test_defaults_are_those_of_records_made_one_by_one(self):
        self.env["ir.default"].set("library.patron", "preferred_channel", "post")
        self.env["ir.default"].set("res.partner", "comment", "New")
        given = (
            {"name": "Zero", "preferred_channel": "none", "comment": "Own"},
            {"name": "One"},
            {"name": "Two", "preferred_channel": "phone"},
            {"name": "Three", "comment": "Own"},
            {"name": "Four"},
        )
        together = self._create(*given)
        alone = self.env["library.patron"].concat(
            *(
                self.env["library.patron"].create(
                    {"company_id": self.library.id, **vals}
                )
                for vals in given
            )
        )
        own = {"id", "partner_id", "display_name", "commercial_partner_id"}
        names = [
            name
            for name, field in alone._fields.items()
            if field.store and name not in own and field.type != "one2many"
        ]
        for one, other in zip(together, alone, strict=True):
            for name in names:
                with self.subTest(patron=one.name, field=name):
                    if alone._fields[name].comodel_name != "res.partner":
                        self.assertEqual(one[name], other[name])

    def test_each_record_gets_lists_of_its_own(self):
        Patron = self.env["library.patron"]._in_bulk()
        interest = self.env["library.interest"].create({"name": "Maps"})
        self.env["ir.default"].set("library.patron", "interest_ids", interest.ids)
        values = [Patron._add_missing_default_values({"name": n}) for n in "abc"]
        values[0]["interest_ids"].clear()
        values[1]["interest_ids"].clear()
        self.assertTrue(values[2]["interest_ids"])
