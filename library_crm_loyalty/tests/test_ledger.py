import random
from datetime import date, timedelta

from psycopg2 import IntegrityError

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools import SQL, mute_logger

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestLedger(LoyaltyCommon):
    def _post(self, points, card=None, **values):
        card = card or self.card
        card._library_post(
            [
                {
                    "card_id": card.id,
                    "description": "By hand",
                    "library_kind": "manual",
                    "library_date": self.monday,
                    "points": points,
                    **values,
                }
            ]
        )

    # What is posted

    def test_programme_needs_no_product_and_no_reward(self):
        programmes = self.env["loyalty.program"].with_user(self.manager)
        products = self.env["product.product"].search_count([])
        with Form(
            programmes.with_context(default_program_type="library"),
            "library_crm_loyalty.loyalty_program_view_form",
        ) as form:
            form.name = "Summer"
        self.assertFalse(form.record.reward_ids)
        self.assertFalse(form.record.rule_ids)
        self.assertEqual(self.env["product.product"].search_count([]), products)

    def test_each_day_of_use_earns_once(self):
        first = self._use(0)
        self._use(0)
        self._use(1)
        self.assertEqual(self.card.points, 4)
        self.assertEqual(self._lines(), [("earned", 2), ("earned", 2)])
        line = self.card.history_ids.sorted("id")[0]
        self.assertEqual(line.library_date, first.date)
        self.assertEqual(line.library_rule_id, self.visit_rule)
        self.assertEqual(line.description, "A visit")
        self._assert_balanced()

    def test_posting_again_posts_nothing(self):
        self._use(0)
        lines = self.card.history_ids
        self.card._library_reckon()
        self.programme._library_recompute(None)
        self.assertEqual(self.card.history_ids, lines)
        self.assertEqual(self.card.points, 2)

    def test_database_refuses_that_a_use_earns_twice(self):
        self._use(0)
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.cr.savepoint(),
        ):
            self._post(
                2,
                library_kind="earned",
                library_rule_id=self.visit_rule.id,
                library_key=str(self.monday),
            )

    def test_use_before_joining_or_of_others_earns_nothing(self):
        self._use(date(2023, 12, 31))
        self._use(0, patron=self.bruno)
        self._use(0, service=self.loan)
        self.assertEqual(self.card.points, 0)

    def test_use_that_comes_late_earns_under_its_own_day(self):
        self._use(8)
        self._use(1)
        self.assertEqual(
            self.card.history_ids.sorted("id").mapped("library_date"),
            [self.monday + timedelta(days=8), self.monday + timedelta(days=1)],
        )

    def test_deleted_use_takes_its_points_back_and_the_ledger_keeps_both(self):
        use = self._use(0)
        use.unlink()
        self.assertEqual(self.card.points, 0)
        self.assertEqual(self._lines(), [("earned", 2), ("corrected", -2)])
        self._use(0)
        self.assertEqual(self._lines()[2:], [("corrected", 2)])
        self._assert_balanced()

    def test_use_of_somebody_else_moves_the_points(self):
        other = self._join(self.bruno)
        use = self._use(0)
        use.patron_id = self.bruno
        self.assertEqual((self.card.points, other.points), (0, 2))
        use.service_id = self.loan
        self.assertEqual((self.card.points, other.points), (0, 0))
        self._assert_balanced()

    def test_load_notes_patrons_and_the_job_posts_their_points(self):
        self.env["library.service.usage"].insert_rows(
            SQL(
                """
                SELECT %s, %s, %s, %s::date + day, 1, 'onsite', NULL::int, NULL::varchar
                  FROM generate_series(0, 9) day
                """,
                self.amal.id,
                self.visit.id,
                self.main.id,
                self.monday,
            )
        )
        self.assertEqual(self.card.points, 0)
        with self.enter_registry_test_mode():
            self.env.ref(
                "library_crm_loyalty.ir_cron_reckon_points"
            ).method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(self.card.points, 20)
        self.assertFalse(self.env["library.loyalty.due"].search_count([]))

    def test_load_of_patrons_without_a_card_leaves_nothing_to_do(self):
        self._load_visit(self.bruno, self.monday)
        due = self.env["library.loyalty.due"].search([])
        self.assertNotIn(self.bruno, due.patron_id)

    def test_who_stopped_profiling_collects_points(self):
        """They take part because they asked to."""
        self.amal.profiling_stopped = True
        self._use(0)
        self.assertEqual(self.card.points, 2)

    # The ledger

    def test_points_already_spent_are_not_asked_back(self):
        use = self._use(0)
        self._post(-2, library_kind="redeemed")
        use.unlink()
        self.assertEqual(self.card.points, 0)
        self.assertEqual(self._lines()[-2:], [("corrected", -2), ("corrected", 2)])
        self._assert_balanced()
        self.card._library_reckon()
        self.assertEqual(len(self._lines()), 4)

    def test_nobody_spends_more_than_there_is(self):
        self._use(0)
        with self.assertRaisesRegex(UserError, "2 points, 3 are needed"):
            self._post(-3)
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.cr.savepoint(),
        ):
            self.cr.execute(
                "UPDATE loyalty_card SET points = -1 WHERE id = %s", [self.card.id]
            )

    def test_points_and_lines_are_changed_by_posting_only(self):
        self._use(0)
        line = self.card.history_ids
        with self.assertRaises(UserError):
            self.card.points = 100
        with self.assertRaises(UserError):
            line.issued = 100
        with self.assertRaises(UserError):
            line.unlink()
        with self.assertRaises(UserError):
            self.env["loyalty.history"].create(
                {"card_id": self.card.id, "description": "A gift", "issued": 5}
            )
        with self.assertRaises(UserError):
            self.env["loyalty.card"].create(
                {
                    "program_id": self.programme.id,
                    "partner_id": self.bruno.partner_id.id,
                    "points": 5,
                }
            )

    def test_proof_finds_a_card_that_does_not_balance(self):
        self._use(0)
        self._assert_balanced()
        self.cr.execute(
            "UPDATE loyalty_card SET points = points + 1 WHERE id = %s", [self.card.id]
        )
        self.programme._library_prove()
        self.assertEqual(self.programme.library_unbalanced, 1)
        domain = self.programme.action_view_unbalanced()["domain"]
        self.assertEqual(self.env["loyalty.card"].search(domain), self.card)

    def test_patron_has_one_card_in_a_programme(self):
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.cr.savepoint(),
        ):
            self.env["loyalty.card"].create(
                {
                    "program_id": self.programme.id,
                    "partner_id": self.amal.partner_id.id,
                }
            )
        self.assertEqual(self._join(self.amal), self.card)

    def test_whatever_happens_the_ledger_is_what_the_rules_say(self):
        """Random days with random changes; at the end the ledger of the card is that
        of somebody who did the same and joined afterwards."""
        rand = random.Random(1_900_119)
        self._create_rule(
            name="Loans",
            per="use",
            points=3,
            cap_day=6,
            cap_week=15,
            cap_program=40,
            service_ids=[Command.set(self.loan.ids)],
        ).since = False
        self._create_rule(name="Weeks", event="streak", streak_weeks=2).since = False
        uses = self.env["library.service.usage"]
        for _turn in range(60):
            move = rand.choice(("use", "use", "use", "delete", "shift", "change"))
            use = rand.choice(uses) if uses else uses
            if move == "use" or not use:
                uses += self._use(
                    rand.randrange(40),
                    rand.choice((self.visit, self.loan)),
                    quantity=rand.randrange(1, 4),
                )
            elif move == "delete":
                uses -= use
                use.unlink()
            elif move == "shift":
                use.date = self.monday + timedelta(days=rand.randrange(40))
            else:
                use.quantity = rand.randrange(1, 4)
        self._assert_balanced()
        self.assertGreater(self.card.points, 0)
        uses.patron_id = self.bruno
        self.assertEqual(self.card.points, 0)
        late = self._join(self.bruno)
        uses.patron_id = self.amal
        self.assertEqual(late.points, 0)
        points = self.card.points
        self.amal.loyalty_card_ids = False
        uses.patron_id = self.bruno
        self.assertEqual(late.points, points)

    # By hand

    def _by_hand(self, points, reason="Helped at the fair", **values):
        return (
            self.env["loyalty.card.update.balance"]
            .with_user(self.manager)
            .with_context(allowed_company_ids=self.library.ids)
            .create(
                {
                    "card_id": self.card.id,
                    "library_points": points,
                    "description": reason,
                    **values,
                }
            )
            .action_update_card_point()
        )

    def test_staff_give_points_with_a_reason(self):
        self._by_hand(50)
        self._by_hand(-20, "Counted twice")
        line = self.card.history_ids.sorted("id")[-1]
        self.assertEqual(self.card.points, 30)
        self.assertEqual(line.library_note, "Counted twice")
        self.assertEqual(line.create_uid, self.manager)
        self._assert_balanced()
        self.card._library_reckon()
        self.assertEqual(self.card.points, 30)

    def test_absurd_points_by_hand_are_refused(self):
        for points in (0, 501, -501, 2**31 - 1):
            with (
                self.subTest(points=points),
                self.assertRaisesRegex(UserError, "1 to 500 can"),
            ):
                self._by_hand(points)
        with self.assertRaisesRegex(UserError, "0 points, 1 are needed"):
            self._by_hand(-1)
        with self.assertRaisesRegex(UserError, "Reason"):
            self._by_hand(1, " ")

    def test_what_staff_give_often_has_a_rule(self):
        rule = self._create_rule(name="Book fair", event="manual", points=25)
        with Form(
            self.env["loyalty.card.update.balance"]
            .with_user(self.manager)
            .with_context(
                allowed_company_ids=self.library.ids, default_card_id=self.card.id
            )
        ) as form:
            form.library_rule_id = rule
        form.record.action_update_card_point()
        self.assertEqual(self.card.points, 25)
        self.assertEqual(self.card.history_ids.library_rule_id, rule)

    def test_card_with_a_ledger_is_archived_and_not_deleted(self):
        empty = self._join(self.bruno)
        self._use(0)
        cards = (self.card + empty).with_user(self.manager)
        with self.assertRaisesRegex(UserError, "Archive the card"):
            cards.unlink()
        empty.with_user(self.manager).unlink()
        self.card.with_user(self.manager).active = False
        self.assertEqual(self._lines(), [("earned", 2)])

    def test_library_programme_opens_in_the_form_of_the_library(self):
        ours = self.env.ref("library_crm_loyalty.loyalty_program_view_form").id
        gift = self.env["loyalty.program"].create(
            {"name": "Gift", "program_type": "gift_card"}
        )
        self.assertEqual(self.programme.get_formview_id(), ours)
        self.assertNotEqual(gift.get_formview_id(), ours)
        action = gift.action_open_shop_form()
        self.assertEqual((action["res_id"], action["views"][0][0]), (gift.id, False))

    # Settled days

    def test_use_deleted_by_age_keeps_its_points(self):
        use = self._use(0)
        self._use(20)
        self.programme._library_settle(self.monday + timedelta(days=9))
        self.assertEqual(
            self.programme.library_settled_until,
            self.monday + timedelta(days=6),
            "No week is torn apart",
        )
        use.unlink()
        self.assertEqual(self.card.points, 4)
        self.assertFalse(self.card.history_ids.sorted("id")[0].library_usage_id)
        self._use(30)
        self.assertEqual(self.card.points, 6)
        self._assert_balanced()

    def test_clock_that_was_set_back_takes_nothing(self):
        self._create_rule(event="anniversary", points=10).since = False
        self.programme._library_night()
        points = self.card.points
        self.assertGreater(points, 0)
        with self._set_clock(date(2024, 6, 1)):
            self.programme._library_night()
        self.assertEqual(self.card.points, points)
        self._assert_balanced()

    def _set_clock(self, day):
        from odoo.tests import freeze_time  # noqa: PLC0415

        return freeze_time(day)
