from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestSegment(LibraryCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = fields.Date.today()
        cls.programme = cls.env.ref("library_crm.library_service_programme")
        cls.patrons = cls.amal + cls.bruno

    def _segment(self, domain="[]", *conditions, **values):
        return self.env["library.segment"].create(
            {
                "name": "Segment",
                "company_id": self.library.id,
                "domain": domain,
                "condition_ids": [Command.create(found) for found in conditions],
                **values,
            }
        )

    def _members(self, segment, user=None):
        return (
            self.env["library.patron"]
            .with_user(user or self.env.user)
            .search([("segment_ids", "in", segment.ids)])
        )

    def _use(self, patron, days_ago, **values):
        self.env["library.service.usage"].create(
            [
                {
                    "patron_id": patron.id,
                    "service_id": self.loan.id,
                    "branch_id": self.main.id,
                    "date": self.today - timedelta(days=ago),
                    **values,
                }
                for ago in days_ago
            ]
        )

    # ------------------------------------------------------------
    # RULES
    # ------------------------------------------------------------

    def test_rule_on_patrons_is_read_anew(self):
        segment = self._segment("[('branch_id.code', '=', 'TNORTH')]")
        self.assertEqual(self._members(segment), self.bruno)
        self.amal.branch_id = self.north
        self.assertEqual(self._members(segment), self.patrons)

    def test_membership_interests_and_consent_can_be_asked(self):
        self._create_membership(self.amal)
        news = self.env.ref("library_crm.library_consent_purpose_news")
        self.env["library.consent"].create(
            {"patron_id": self.amal.id, "purpose_id": news.id}
        )
        music = self.env["library.interest"].create({"name": "Local music"})
        self.amal.interest_ids = music
        for domain in (
            "[('membership_state', '=', 'active')]",
            f"[('agreed_purpose_ids', 'in', [{news.id}])]",
            "[('interest_ids.name', '=', 'Local music')]",
        ):
            segment = self._segment(domain)
            self.assertEqual(self._members(segment), self.amal, domain)

    def test_used_a_service_so_often_in_so_many_days(self):
        self._use(self.amal, [1, 2, 3])
        self._use(self.bruno, [1, 2, 40])
        condition = {"amount": 3, "period_days": 30, "service_category": "lending"}
        segment = self._segment("[]", {"rule": "at_least", **condition})
        self.assertEqual(self._members(segment), self.amal)
        segment.condition_ids.period_days = 41
        self.assertEqual(self._members(segment), self.patrons)
        segment.condition_ids.service_category = "programme"
        self.assertFalse(self._members(segment))

    def test_times_and_different_days_are_not_the_same(self):
        self._use(self.amal, [1], quantity=3)
        self._use(self.bruno, [1, 2, 3])
        condition = {"rule": "at_least", "amount": 3, "unit": "times"}
        segment = self._segment("[]", condition)
        self.assertEqual(self._members(segment), self.patrons)
        segment.condition_ids.unit = "days"
        self.assertEqual(self._members(segment), self.bruno)

    def test_never_and_at_most_hold_for_who_used_nothing_at_all(self):
        self._use(self.amal, [1, 2])
        never = self._segment("[]", {"rule": "never", "period_days": 0})
        self.assertEqual(self._members(never), self.bruno)
        at_most = self._segment("[]", {"rule": "at_most", "amount": 1})
        self.assertEqual(self._members(at_most), self.bruno)
        at_most.condition_ids.amount = 2
        self.assertEqual(self._members(at_most), self.patrons)

    def test_share_of_all_use(self):
        self._use(self.amal, [1, 2, 3])
        self._use(self.amal, [4], service_id=self.programme.id)
        self._use(self.bruno, [1], service_id=self.programme.id)
        condition = {"rule": "share", "amount": 75, "service_category": "lending"}
        segment = self._segment("[]", condition)
        self.assertEqual(self._members(segment), self.amal)
        segment.condition_ids.amount = 76
        self.assertFalse(self._members(segment))

    def test_use_at_a_branch_and_in_months(self):
        self._use(self.amal, [1])
        self._use(self.bruno, [1], branch_id=self.north.id)
        at_north = self._segment(
            "[]",
            {"rule": "at_least", "branch_ids": [Command.set(self.north.ids)]},
        )
        self.assertEqual(self._members(at_north), self.bruno)
        yesterday = self.today - timedelta(days=1)
        in_month = {"rule": "at_least", "months": str(yesterday.month)}
        self.assertEqual(self._members(self._segment("[]", in_month)), self.patrons)
        in_month["months"] = str(yesterday.month % 12 + 1)
        self.assertFalse(self._members(self._segment("[]", in_month)))

    def test_all_lines_have_to_hold(self):
        self._use(self.amal, [1, 2])
        self._use(self.bruno, [1, 2])
        self._use(self.bruno, [1], service_id=self.programme.id)
        segment = self._segment(
            "[('card_number', '!=', False)]",
            {"rule": "at_least", "amount": 2, "service_category": "lending"},
            {"rule": "never", "service_category": "programme"},
        )
        self.assertEqual(self._members(segment), self.amal)

    def test_service_that_is_added_later_belongs_to_its_kind(self):
        segment = self._segment(
            "[]", {"rule": "at_least", "service_category": "programme"}
        )
        reading = self.env["library.service"].create(
            {"name": "Reading hour", "code": "THOUR", "category": "programme"}
        )
        self._use(self.amal, [1], service_id=reading.id)
        self.assertEqual(self._members(segment), self.amal)

    def test_list_is_kept_by_hand(self):
        self.amal.with_user(self.manager)
        add = self.env["library.segment.add"].with_user(self.marketing)
        Form_ = Form(
            add.with_context(active_model="library.patron", active_ids=self.patrons.ids)
        )
        Form_.name = "Volunteers"
        action = Form_.save().action_add()
        segment = self.env["library.segment"].browse(action["res_id"])
        self.assertEqual((segment.name, segment.kind), ("Volunteers", "list"))
        self.assertEqual(self._members(segment), self.patrons)
        segment.listed_patron_ids -= self.bruno
        self.assertEqual(self._members(segment), self.amal)

    # ------------------------------------------------------------
    # SEGMENTS OF SEGMENTS
    # ------------------------------------------------------------

    def test_segment_asks_for_being_in_another_or_not(self):
        north = self._segment("[('branch_id.code', '=', 'TNORTH')]", name="North")
        inside = self._segment(f"[('segment_ids', 'in', [{north.id}])]")
        outside = self._segment(f"[('segment_ids', 'not in', [{north.id}])]")
        self.assertEqual(self._members(inside), self.bruno)
        self.assertEqual(self._members(outside), self.amal)

    def test_patron_tells_the_segments(self):
        north = self._segment("[('branch_id.code', '=', 'TNORTH')]", name="North")
        self.assertIn(north, self.bruno.segment_ids)
        self.assertNotIn(north, self.amal.segment_ids)

    def test_who_is_in_no_segment_can_be_asked(self):
        self.env["library.segment"].search([]).active = False
        self._segment("[('branch_id.code', '=', 'TNORTH')]")
        found = self.env["library.patron"].search(
            [("segment_ids", "=", False), ("company_id", "=", self.library.id)]
        )
        self.assertEqual(found, self.amal)

    def test_segment_that_asks_for_itself_is_refused_with_the_way_round(self):
        first = self._segment(name="First")
        second = self._segment(f"[('segment_ids', 'in', [{first.id}])]", name="Second")
        with self.assertRaisesRegex(ValidationError, "First → First"):
            first.domain = f"[('segment_ids', 'in', [{first.id}])]"
        with self.assertRaisesRegex(ValidationError, "First → Second → First"):
            first.domain = f"['!', ('segment_ids', 'in', [{second.id}])]"

    def test_circle_that_got_past_the_check_is_no_endless_loop(self):
        first = self._segment(name="First")
        self.env.cr.execute(
            "UPDATE library_segment SET domain = %s WHERE id = %s",
            [f"[('segment_ids', 'in', [{first.id}])]", first.id],
        )
        self.env.invalidate_all()
        with self.assertRaisesRegex(UserError, "First"):
            self._members(first)

    def test_segment_that_another_asks_for_is_not_deleted(self):
        first = self._segment(name="First")
        self._segment(f"[('segment_ids', 'in', [{first.id}])]", name="Second")
        with self.assertRaisesRegex(UserError, "First.*Second"):
            first.unlink()

    # ------------------------------------------------------------
    # WHAT CAN NOT BE READ
    # ------------------------------------------------------------

    def test_rule_that_can_not_be_read_is_refused_by_name(self):
        for domain in ("[('nothing', '=', 1)]", "[('name', '=']", "spoiled(", "5"):
            with (
                self.subTest(domain=domain),
                self.assertRaisesRegex(UserError, "Night readers"),
            ):
                self._segment(domain, name="Night readers")

    def test_rule_that_can_no_longer_be_read_is_named_and_holds_up_no_other(self):
        spoiled, other = self._segment(name="Spoiled"), self._segment(name="Other")
        self.env.cr.execute(
            "UPDATE library_segment SET domain = %s WHERE id = %s",
            ["[('gone_field', '=', 1)]", spoiled.id],
        )
        self.env.invalidate_all()
        with self.assertRaisesRegex(UserError, "Spoiled"):
            self._members(spoiled)
        with (
            self.assertLogs("odoo.addons.library_crm", "WARNING") as log,
            self.enter_registry_test_mode(),
        ):
            self.env.ref(
                "library_crm.ir_cron_take_segment_snapshots"
            ).method_direct_trigger()
        self.assertIn("Spoiled", log.output[0])
        self.assertEqual(other.last_count, 2)

    # ------------------------------------------------------------
    # COUNTS
    # ------------------------------------------------------------

    def test_count_follows_the_rule_while_it_is_written(self):
        self._use(self.amal, [1])
        with Form(self.env["library.segment"]) as form:
            form.name = "Being written"
            form.domain = "[('card_number', 'in', ['0042', '0043'])]"
            self.assertEqual(form.patron_count, 2)
            with form.condition_ids.new() as condition:
                condition.rule = "at_least"
            self.assertEqual(form.patron_count, 1)
            form.domain = "[('broken'"
            self.assertEqual(form.patron_count, 0)
            form.domain = "[]"

    def test_trend_is_told_by_the_nightly_counts(self):
        segment = self._segment("[('branch_id.code', '=', 'TNORTH')]")
        segment._take_snapshot(self.library)
        segment.snapshot_ids.date = self.today - timedelta(days=29)
        self.amal.branch_id = self.north
        segment._take_snapshot(self.library)
        segment._take_snapshot(self.library)
        self.assertEqual((segment.last_count, segment.trend), (2, 1))
        self.assertEqual(len(segment.snapshot_ids), 2, "A day is counted once")

    def test_shared_segment_counts_each_library_for_itself(self):
        segment = self._segment(company_id=False)
        for company in (self.library, self.other_library):
            segment._take_snapshot(company)
        counts = {
            row.company_id: row.patron_count for row in segment.sudo().snapshot_ids
        }
        self.assertEqual(counts, {self.library: 2, self.other_library: 1})
        self.assertEqual(segment.with_user(self.marketing).last_count, 2)

    def test_overlap_of_two_segments(self):
        first = self._segment("[('card_number', 'in', ['0042', '0043'])]")
        second = self._segment("[('branch_id.code', '=', 'TNORTH')]")
        overlap = (
            self.env["library.segment.overlap"]
            .with_user(self.marketing)
            .create({"segment_id": first.id, "other_id": second.id})
        )
        self.assertEqual(
            (overlap.count_first, overlap.count_both, overlap.count_second), (1, 1, 0)
        )
        self.assertEqual((overlap.share_first, overlap.share_second), (0.5, 1))
        action = overlap.with_context(library_part="both").action_view()
        self.assertEqual(action["name"], f"{first.name} and {second.name}")
        self.assertEqual(
            self.env["library.patron"].search(action["domain"]), self.bruno
        )

    # ------------------------------------------------------------
    # WRITING TO A SEGMENT
    # ------------------------------------------------------------

    def test_segment_is_offered_as_a_filter_of_mailings(self):
        segment = self._segment("[('branch_id.code', '=', 'TNORTH')]", name="North")
        saved = segment.mailing_filter_ids
        self.assertEqual(
            (saved.name, saved.mailing_model_id.model), ("North", "library.patron")
        )
        segment.name = "Northern"
        self.assertEqual(saved.name, "Northern")
        segment.unlink()
        self.assertFalse(saved.exists())

    def test_from_segment_to_mailing_in_one_click(self):
        segment = self._segment("[('branch_id.code', '=', 'TNORTH')]")
        action = segment.with_user(self.marketing).action_new_mailing()
        mailing = (
            self.env["mailing.mailing"]
            .with_user(self.marketing)
            .with_context(**action["context"])
            .create(
                {
                    "subject": "Come",
                    "body_html": "<p>Hello</p>",
                    "library_purpose_id": self.env.ref(
                        "library_crm.library_consent_purpose_service"
                    ).id,
                }
            )
        )
        self.assertEqual(mailing._get_recipients(), self.bruno.ids)
        self.amal.branch_id = self.north
        self.assertEqual(sorted(mailing._get_recipients()), sorted(self.patrons.ids))

    # ------------------------------------------------------------
    # WHO SEES WHAT
    # ------------------------------------------------------------

    def test_marketing_asks_only_what_marketing_may_read(self):
        Segment = self.env["library.segment"].with_user(self.marketing)
        with self.assertRaises(AccessError):
            Segment.create(
                {"name": "Old", "domain": "[('birth_date', '<', '1950-01-01')]"}
            )

    def _make_users(self, count):
        """So many patrons who borrowed something yesterday."""
        patrons = self.env["library.patron"].create(
            [
                {
                    "name": f"Patron {number}",
                    "card_number": f"seg-{number}",
                    "company_id": self.library.id,
                    "branch_id": self.main.id,
                }
                for number in range(count)
            ]
        )
        for patron in patrons:
            self._use(patron, [1])
        return patrons

    def test_marketing_writes_to_what_the_manager_has_asked_and_sees_no_names(self):
        self._make_users(5).birth_date = "1940-05-05"
        segment = (
            self.env["library.segment"]
            .with_user(self.manager)
            .create({"name": "Old", "domain": "[('birth_date', '<', '1950-01-01')]"})
        )
        self.assertTrue(segment.is_private)
        self.assertEqual(len(self._members(segment, self.manager)), 5)
        self.assertEqual(segment.with_user(self.marketing).patron_count, 5)
        with self.assertRaisesRegex(AccessError, "Old"):
            self._members(segment, self.marketing)
        with self.assertRaises(AccessError):
            segment.with_user(self.marketing).action_view_patrons()

    def test_use_of_so_few_that_it_names_somebody_is_not_told_to_marketing(self):
        patrons = self._make_users(4)
        segment = self._segment("[]", {"rule": "at_least"})
        as_marketing = segment.with_user(self.marketing)
        self.assertEqual(self._members(segment, self.desk), patrons)
        self.assertEqual(segment.patron_count, 4)
        self.assertEqual(as_marketing.patron_count, 0)
        segment._take_snapshot(self.library)
        self.assertEqual(as_marketing.last_count, 0)
        self._use(self.amal, [1])
        self.env.invalidate_all()
        self.assertEqual(as_marketing.patron_count, 5)
        segment._take_snapshot(self.library)
        self.env.invalidate_all()
        self.assertEqual(as_marketing.last_count, 5)

    def test_question_about_use_can_not_be_put_about_one_person(self):
        patrons = self._make_users(6)
        used = {"rule": "at_least"}
        Segment = self.env["library.segment"].with_user(self.marketing)
        chosen = self._segment(kind="list", listed_patron_ids=patrons.ids)
        one = self._segment(f"[('id', '=', {patrons[0].id})]")
        for domain in (
            [("id", "=", patrons[0].id)],
            [("card_number", "=", "seg-0")],
            [("partner_id.name", "=", "Patron 0")],
            [("membership_ids.id", "=", 1)],
            [("guardian_id", "=", patrons[0].id)],
            [("branch_id.name", "=", "Main"), ("complete_name", "ilike", "0")],
            [("segment_ids", "in", chosen.ids)],
            [("segment_ids", "in", one.ids)],
            [("branch_id", "any", [("id", "=", self.main.id)])],
        ):
            values = {"name": "Guess", "domain": repr(domain)}
            with self.subTest(domain=domain):
                with self.assertRaises(AccessError):
                    Segment.create({**values, "condition_ids": [Command.create(used)]})
                later = Segment.create(values)
                with self.assertRaises(AccessError):
                    later.condition_ids = [Command.create(used)]
                with self.assertRaises(AccessError):
                    self.env["library.use.condition"].with_user(self.marketing).create(
                        {**used, "segment_id": later.id}
                    )
                # Counted as it is written, before anything is saved.
                new = Segment.new(
                    {**values, "kind": "rule", "condition_ids": [Command.create(used)]}
                )
                self.assertEqual(new.patron_count, 0)
        shared = Segment.create(
            {
                "name": "Adults at Main",
                "domain": repr(
                    [
                        ("branch_id.code", "=", "TMAIN"),
                        ("enrolled_on", "<", "today"),
                    ]
                ),
                "company_id": self.library.id,
                "condition_ids": [Command.create(used)],
            }
        )
        self.assertEqual(shared.patron_count, 0)
        patrons.enrolled_on = "2020-01-01"
        self.env.invalidate_all()
        self.assertEqual(shared.patron_count, 6)

    def test_count_of_a_private_segment_is_of_the_whole_of_it(self):
        patrons = self._make_users(6)
        segment = self._segment("[]", {"rule": "at_least"})
        Patron = self.env["library.patron"].with_user(self.marketing)
        alone = [("segment_ids", "in", segment.ids)]
        self.assertEqual(Patron.search_count(alone), 6)
        one = patrons[0].id
        for domain in (
            [*alone, ("id", "=", one)],
            [*alone, ("id", "!=", one)],
            ["!", *alone],
            [("segment_ids", "not in", segment.ids)],
            [("segment_ids", "in", [segment.id, self._segment().id])],
            [("guardian_id", "any", alone)],
        ):
            for method in ("search", "search_count"):
                with self.subTest(domain=domain, method=method):
                    with self.assertRaises(AccessError):
                        getattr(Patron, method)(domain)
        with self.assertRaises(AccessError):
            Patron.formatted_read_group(alone, ["complete_name"], ["__count"])
        self.assertNotIn(segment, Patron.browse(one).segment_ids)
        self.assertIn(segment, patrons[0].with_user(self.desk).segment_ids)

    def test_overlap_with_a_list_tells_marketing_nothing_about_use(self):
        patrons = self._make_users(6)
        used = self._segment("[]", {"rule": "at_least"})
        chosen = self._segment(kind="list", listed_patron_ids=patrons[0].ids)
        overlap = self.env["library.segment.overlap"].create(
            {"segment_id": used.id, "other_id": chosen.id}
        )
        self.assertEqual(overlap.count_both, 1)
        with self.assertRaises(AccessError):
            self.env["library.segment.overlap"].with_user(self.marketing).create(
                {"segment_id": used.id, "other_id": chosen.id}
            ).read(["count_both"])

    def test_marketing_writes_to_those_who_used_something_and_sees_no_names(self):
        self._make_users(6)
        segment = self._segment("[]", {"rule": "at_least"})
        values = {
            "subject": "Come",
            "body_html": "<p>Hello</p>",
            "mailing_model_id": self.env["ir.model"]._get_id("library.patron"),
            "library_purpose_id": self.env.ref(
                "library_crm.library_consent_purpose_service"
            ).id,
        }
        Mailing = self.env["mailing.mailing"].with_user(self.marketing)
        alone = [("segment_ids", "in", segment.ids)]
        mailing = Mailing.create({**values, "mailing_domain": repr(alone)})
        self.assertIn("6 of 6", mailing.library_reach)
        self.assertEqual(len(mailing.sudo()._get_recipients()), 6)
        self.assertTrue(mailing.library_is_private)
        trace = self.env["mailing.trace"].create(
            {
                "model": "library.patron",
                "res_id": segment.listed_patron_ids.id or self.amal.id,
                "mass_mailing_id": mailing.id,
            }
        )
        self.assertFalse(trace.with_user(self.marketing)._filtered_access("read"))
        with self.assertRaises(AccessError):
            Mailing.create(
                {**values, "mailing_domain": repr([*alone, ("id", "=", self.amal.id)])}
            )

    def test_desk_sees_the_patrons_of_its_branches_alone(self):
        segment = self._segment()
        self.assertEqual(self._members(segment, self.desk), self.amal)
        self.assertEqual(segment.with_user(self.desk).patron_count, 1)

    def test_segment_of_another_library_is_not_there(self):
        segment = self._segment(company_id=self.other_library.id)
        with self.assertRaises(AccessError):
            segment.with_user(self.marketing).read(["name"])
        with self.assertRaises(AccessError):
            segment.mailing_filter_ids.with_user(self.marketing).read(["name"])
        self.assertFalse(self._members(segment, self.marketing))

    def test_fifteen_segments_come_along_and_each_can_be_read(self):
        shipped = self.env["ir.model.data"].search(
            [("module", "=", "library_crm"), ("model", "=", "library.segment")]
        )
        self.assertGreaterEqual(len(shipped), 15)
        for segment in self.env["library.segment"].browse(shipped.mapped("res_id")):
            with self.subTest(segment=segment.name):
                for user in (self.desk, self.manager):
                    self._members(segment, user)
                self.assertGreaterEqual(segment.with_user(self.marketing)._count(), 0)
