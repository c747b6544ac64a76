from datetime import timedelta

from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestRedemption(LoyaltyCommon):
    """Amal has 100 points; a bag costs 60 of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = cls.programme._library_today()
        cls.visit_rule.points = 100
        cls.env["library.service.usage"].create(
            {
                "patron_id": cls.amal.id,
                "service_id": cls.visit.id,
                "branch_id": cls.main.id,
                "date": cls.today,
            }
        )
        cls.bag = cls._create_reward(name="A bag", points=60, cost=4.5)
        cls.desk.library_branch_id = cls.main

    @classmethod
    def _create_reward(cls, **values):
        return cls.env["library.loyalty.reward"].create(
            {"program_id": cls.programme.id, "name": "A reward", **values}
        )

    def _at_desk(self, records, user=None, **context):
        return records.with_user(user or self.desk).with_context(
            allowed_company_ids=self.library.ids, **context
        )

    def _scan(self, code, user=None):
        Redemption = self._at_desk(self.env["library.loyalty.redemption"], user)
        return Redemption._find_by_code(code).with_user(user or self.desk)._redeem()

    # Taking points

    def test_voucher_takes_the_points_and_waits(self):
        voucher = self.bag._issue(self.card)
        self.assertEqual(self.card.points, 40)
        self.assertEqual(self._lines(), [("earned", 100), ("redeemed", -60)])
        self.assertEqual(self.card.history_ids[0].library_redemption_id, voucher)
        self.assertEqual(voucher.state, "issued")
        self.assertEqual(voucher.patron_id, self.amal)
        self.assertEqual((voucher.points, voucher.cost), (60, 4.5))
        self.assertEqual(voucher.expires_on, self.today + timedelta(days=30))
        self._assert_balanced()

    def test_a_new_price_changes_no_redemption_of_the_past(self):
        voucher = self.bag._issue(self.card)
        self.bag.write({"points": 1, "cost": 99})
        self.assertEqual((voucher.points, voucher.cost), (60, 4.5))
        voucher._undo("Wrong patron")
        self.assertEqual(self.card.points, 100)

    def test_codes_can_not_be_guessed(self):
        codes = {
            self.env["library.loyalty.redemption"]._make_code() for _turn in range(500)
        }
        self.assertEqual(len(codes), 500)
        for code in codes:
            self.assertRegex(code, r"^[2-9A-HJ-NP-Z]{12}$")

    def test_nobody_gets_what_they_have_no_points_for(self):
        self.bag._issue(self.card)
        with self.assertRaisesRegex(UserError, "A bag: 20 more points are needed"):
            self.bag._issue(self.card)
        self.assertEqual(self.card.points, 40)
        self.assertEqual(len(self.amal.loyalty_redemption_ids), 1)

    def test_reward_out_of_stock_between_look_and_click(self):
        """Two patrons see the last one; the second is told, and keeps the points."""
        other = self._join(self.bruno)
        self._use(self.today, patron=self.bruno)
        self.bag.write({"is_limited": True, "stock": 1})
        shown = [
            card.library_patron_id.loyalty_reward_ids for card in self.card + other
        ]
        self.assertEqual(shown, [self.bag, self.bag])
        self.bag._issue(self.card)
        with self.assertRaisesRegex(UserError, "A bag: None is left"):
            self.bag._issue(other)
        self.assertEqual((other.points, self.bag.stock), (100, 0))
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.cr.savepoint(),
        ):
            self.bag.stock = -1
            self.bag.flush_recordset()

    def test_limit_for_each_patron(self):
        self.bag.write({"patron_limit": 1, "points": 10})
        voucher = self.bag._issue(self.card)
        with self.assertRaisesRegex(UserError, "Each patron gets 1 at most"):
            self.bag._issue(self.card)
        voucher._undo("Changed their mind")
        self.assertTrue(self.bag._issue(self.card), "What was undone does not count")

    def test_reward_is_on_offer_on_its_days_only(self):
        for values, message in (
            ({"date_from": self.today + timedelta(days=1)}, "on offer from"),
            ({"date_to": self.today - timedelta(days=1)}, "no longer on offer"),
            ({"active": False}, "no longer on offer"),
        ):
            reward = self._create_reward(points=1, **values)
            with self.subTest(message), self.assertRaisesRegex(UserError, message):
                reward._issue(self.card)
            self.assertNotIn(reward, self.amal.loyalty_reward_ids)

    def test_reward_of_another_programme_is_refused(self):
        other = self._create_library_programme(self.library)
        reward = self._create_reward(program_id=other.id, points=1)
        with self.assertRaisesRegex(UserError, "no longer on offer"):
            reward._issue(self.card)

    def test_absurd_rewards_are_refused(self):
        for values in ({"points": 0}, {"points": -5}, {"cost": -1}, {"valid_days": -1}):
            with (
                self.subTest(values),
                self.assertRaises(IntegrityError),
                mute_logger("odoo.sql_db"),
                self.cr.savepoint(),
            ):
                self._create_reward(**values)

    def test_donation_is_done_at_once(self):
        book = self._create_reward(
            name="Books for the school",
            kind="donation",
            points=50,
            goal_points=200,
            cost=20,
        )
        gift = book._issue(self.card)
        self.assertEqual(gift.state, "redeemed")
        self.assertFalse(gift.code)
        self.assertEqual(gift.cost, 5, "A quarter of a book")
        self.assertEqual(self._lines()[-1], ("donated", -50))
        book._issue(self.card)
        self.assertEqual((book.given_points, book.bought_count), (100, 0))

    # Handing over

    def test_voucher_is_handed_over_once(self):
        voucher = self.bag._issue(self.card)
        code = voucher.code
        self._scan(f"{code[:4]} {code[4:8]}-{code[8:].lower()}\n")
        self.assertEqual(voucher.state, "redeemed")
        self.assertEqual(voucher.redeemed_on, self.today)
        self.assertEqual((voucher.user_id, voucher.branch_id), (self.desk, self.main))
        with self.assertRaisesRegex(UserError, "handed over on .* by Dana Desk, Main"):
            self._scan(code)
        self.assertEqual(self.card.points, 40, "Nothing more was taken")

    def test_voucher_is_good_at_every_branch_of_its_library_only(self):
        north = self._join(self.bruno)
        self._use(self.today, patron=self.bruno)
        voucher = self.bag._issue(north)
        Redemption = self._at_desk(self.env["library.loyalty.redemption"])
        self.assertFalse(Redemption.search([("id", "=", voucher.id)]))
        self.assertEqual(Redemption._find_by_code(voucher.code), voucher)
        elsewhere = Redemption.with_user(self.env.user).with_context(
            allowed_company_ids=self.other_library.ids
        )
        self.assertFalse(elsewhere._find_by_code(voucher.code))
        self._create_reward(kind="donation", points=5)._issue(self.card)
        for code in ("", False, "  ", "%", voucher.code[:-1]):
            self.assertFalse(Redemption._find_by_code(code))

    def test_desk_scans_sees_and_hands_over(self):
        """Also for a patron of another branch, of whom the desk sees the name only."""
        north = self._join(self.bruno)
        self._use(self.today, patron=self.bruno)
        voucher = self.bag._issue(north)
        Scan = self._at_desk(self.env["library.loyalty.scan"])
        with Form(Scan) as form:
            form.code = "ABCD"
            self.assertIn("There is no voucher with this code", form.obstacle)
            form.code = voucher.code
            self.assertFalse(form.obstacle)
            self.assertEqual((form.reward, form.patron), ("A bag", "Bruno Silva"))
        action = form.record.action_hand_over()
        self.assertEqual(voucher.state, "redeemed")
        self.assertEqual(voucher.user_id, self.desk)
        self.assertIn("handed over to Bruno Silva", action["context"]["default_done"])
        with Form(Scan) as form:
            form.code = voucher.code
            self.assertIn("It was handed over on", form.obstacle)
        with self.assertRaisesRegex(UserError, "It was handed over on"):
            form.record.action_hand_over()

    def test_desk_hands_over_in_one_go(self):
        reward = self._at_desk(self.bag, library_loyalty_patron=self.amal.id)
        self.assertIn("40 points are left", str(reward.action_hand_over()))
        self.assertEqual(self.amal.loyalty_redemption_ids.state, "redeemed")
        self.assertEqual(self.amal.loyalty_redemption_ids.user_id, self.desk)

    def test_desk_can_not_take_points_of_patrons_it_does_not_see(self):
        self._join(self.bruno)
        self._use(self.today, patron=self.bruno)
        for user, patron in (
            (self.desk, self.bruno),
            (self.marketing, self.amal),
            (self.employee, self.amal),
            (self.portal, self.amal),
        ):
            with self.subTest(user.login), self.assertRaises(AccessError):
                self._at_desk(
                    self.bag, user, library_loyalty_patron=patron.id
                ).action_hand_over()
        self.assertFalse((self.amal + self.bruno).loyalty_redemption_ids)

    def test_voucher_that_is_too_old_is_refused_before_the_job_has_run(self):
        voucher = self.bag._issue(self.card)
        voucher.expires_on = self.today - timedelta(days=1)
        with self.assertRaisesRegex(UserError, "It held until"):
            self._scan(voucher.code)
        voucher.expires_on = self.today
        self._scan(voucher.code)

    def test_redemption_at_the_desk_takes_few_queries(self):
        """Each as the first thing in a request, under a limit and with a stock; the
        promise is fewer than 15."""
        self.bag.write({"is_limited": True, "stock": 9, "patron_limit": 5, "points": 9})
        voucher = self.bag._issue(self.card)
        code = voucher.code
        reward = self._at_desk(self.bag, library_loyalty_patron=self.amal.id)
        scan = self._at_desk(self.env["library.loyalty.scan"]).create({"code": code})
        # Whose rules they are is known to the server from earlier requests.
        self.env.flush_all()
        self.env.invalidate_all()
        reward.action_hand_over()
        for name, work, most in (
            ("for points", reward.action_hand_over, 14),
            ("scanned", scan.action_hand_over, 14),
        ):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            work()
            self.env.flush_all()
            with self.subTest(name):
                self.assertLessEqual(self.cr.sql_log_count - before, most)

    # Undone, expired

    def _undo(self, voucher, reason="The bag was torn"):
        with Form(
            self._at_desk(
                self.env["library.loyalty.undo"], default_redemption_id=voucher.id
            )
        ) as form:
            form.reason = reason
        form.record.action_undo()

    def test_what_was_handed_over_is_undone_with_a_reason(self):
        self.bag.write({"is_limited": True, "stock": 3})
        voucher = self.bag._issue(self.card)
        self._scan(voucher.code)
        self.assertEqual(self.bag.stock, 2)
        with self.assertRaisesRegex(UserError, "Reason"):
            self._undo(voucher, " ")
        self._undo(voucher)
        self.assertEqual((voucher.state, self.bag.stock), ("undone", 3))
        self.assertEqual(voucher.undo_reason, "The bag was torn")
        self.assertEqual(self.card.points, 100)
        self.assertEqual(self._lines()[-1], ("undone", 60))
        with self.assertRaisesRegex(UserError, "was undone on .* was torn"):
            self._scan(voucher.code)
        with self.assertRaisesRegex(UserError, "can not be undone any more"):
            self._undo(voucher)
        self.assertEqual(self.card.points, 100, "Given back once")
        self._assert_balanced()

    def test_unused_voucher_ends_and_its_points_come_back(self):
        coffee = self._create_reward(name="A coffee", kind="voucher", points=10)
        self.bag.write({"is_limited": True, "stock": 1})
        vouchers = self.bag._issue(self.card) + coffee._issue(self.card)
        kept = coffee._issue(self.card)
        vouchers.expires_on = self.today - timedelta(days=3)
        for _night in range(2):
            with self.enter_registry_test_mode():
                self.env.ref(
                    "library_crm_loyalty.ir_cron_end_vouchers"
                ).method_direct_trigger()
            self.env.invalidate_all()
            self.assertEqual(set(vouchers.mapped("state")), {"expired"})
            self.assertEqual(kept.state, "issued")
            self.assertEqual(self.bag.stock, 1)
            self.assertEqual(
                self.card.points,
                80,
                "The bag's come back; of the coffee nobody here knows",
            )
        self._assert_balanced()

    def test_voucher_that_ends_soon_is_told_once_to_who_agreed_to_news(self):
        other = self._join(self.bruno)
        self._use(self.today, patron=self.bruno)
        news = self.env.ref("library_crm.library_consent_purpose_news")
        self.env["library.consent"]._record(self.amal, news)
        ending = self.bag._issue(self.card) + self.bag._issue(other)
        ending.write(
            {
                "issued_on": self.today - timedelta(days=25),
                "expires_on": self.today + timedelta(days=5),
            }
        )
        self.bag.write({"points": 5, "valid_days": 3})
        fresh = self.bag._issue(self.card)

        def find_mails():
            return self.env["mail.mail"].search(
                [
                    ("model", "=", "loyalty.card"),
                    ("res_id", "in", (self.card + other).ids),
                ]
            )

        Redemption = self.env["library.loyalty.redemption"]
        Redemption._warn(self.today)
        mail = find_mails()
        self.assertEqual(mail.res_id, self.card.id)
        self.assertIn("A bag", mail.body_html)
        self.assertNotIn(ending[0].code, mail.body_html)
        self.assertFalse(fresh.warned_on, "It was taken a moment ago")
        Redemption._warn(self.today)
        self.assertEqual(find_mails(), mail)
        self.env["library.consent"]._record(self.amal, news, state="withdrawn")
        self.assertEqual(mail.state, "cancel", "It waited in the queue")

    # Who sees it

    def test_redemptions_of_other_libraries_and_branches_are_not_seen(self):
        programme = self._create_library_programme(self.other_library)
        card = self._join(self.other_patron, programme)
        reward = self._create_reward(program_id=programme.id, points=1)
        with self.assertRaises(UserError):
            reward._issue(card)
        card._library_post(
            [
                {
                    "card_id": card.id,
                    "description": "A gift",
                    "library_kind": "manual",
                    "library_date": self.today,
                    "points": 5,
                }
            ]
        )
        theirs = reward._issue(card)
        north = self._join(self.bruno)
        self._use(self.today, patron=self.bruno)
        seen = self.bag._issue(self.card) + self.bag._issue(north) + theirs
        self.assertEqual(self._at_desk(seen)._filtered_access("read"), seen[0])
        self.assertEqual(
            self._at_desk(seen, self.manager)._filtered_access("read"), seen[:2]
        )
        self.assertFalse(self._at_desk(reward)._filtered_access("read"))

    def test_patron_joins_at_the_desk_once(self):
        bruno = self._at_desk(self.bruno, self.manager)
        self.assertTrue(bruno.can_join_loyalty)
        bruno.action_join_loyalty()
        bruno.action_join_loyalty()
        self.assertEqual(self.bruno.loyalty_card_ids.program_id, self.programme)
        self.assertEqual(len(self.bruno.loyalty_card_ids), 1)
        self.assertFalse(bruno.can_join_loyalty)
        amal = self._at_desk(self.amal)
        self.assertFalse(amal.can_join_loyalty)
        self.programme.date_to = fields.Date.today() - timedelta(days=9)
        self.assertFalse(self.bruno._get_joinable_programs())

    def test_desk_opens_the_page_of_a_patron(self):
        with Form(self._at_desk(self.amal)) as form:
            self.assertEqual(form.loyalty_reward_ids[:], self.bag)
