from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.tests import tagged

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestExpiry(LoyaltyCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.programme.library_expire_months = 12
        cls.today = fields.Date.context_today(cls.programme)
        cls.edge = cls.today - relativedelta(months=12, days=1)

    def _redeem(self, points, kind="redeemed"):
        self.card._library_post(
            [
                {
                    "card_id": self.card.id,
                    "description": "A bag",
                    "library_kind": kind,
                    "library_date": self.today,
                    "points": points,
                }
            ]
        )

    def _expired(self):
        return [points for kind, points in self._lines() if kind == "expired"]

    def test_points_expire_when_they_are_older_than_the_months(self):
        self._use(self.edge)
        self._use(self.edge + timedelta(days=1))
        self.programme._library_night()
        self.assertEqual(self.card.points, 2)
        self.assertEqual(self._expired(), [-2])
        self.programme._library_night()
        self.assertEqual(self._expired(), [-2], "A second run finds nothing")
        self._assert_balanced()

    def test_what_was_spent_was_the_oldest(self):
        for days in range(3):
            self._use(self.edge - timedelta(days=days))
        self._use(self.today)
        self._redeem(-4)
        self.programme._library_night()
        self.assertEqual(self._expired(), [-2], "Six were old, four of them are spent")
        self.assertEqual(self.card.points, 2)

    def test_undone_redemption_gives_back_what_may_expire(self):
        self._use(self.edge)
        self._redeem(-2)
        self.programme._library_night()
        self.assertEqual(self._expired(), [])
        self._redeem(2, "undone")
        self.programme._library_night()
        self.assertEqual((self._expired(), self.card.points), ([-2], 0))

    def test_corrected_points_do_not_expire(self):
        use = self._use(self.edge)
        self._use(self.today)
        use.unlink()
        self.programme._library_night()
        self.assertEqual((self._expired(), self.card.points), ([], 2))

    def test_points_that_expired_and_are_corrected_are_not_taken_twice(self):
        use = self._use(self.edge)
        self._use(self.edge - timedelta(days=1))
        self._use(self.today)
        self.programme._library_night()
        self.assertEqual((self._expired(), self.card.points), ([-4], 2))
        use.unlink()
        self.assertEqual((self._expired(), self.card.points), ([-4, 2], 2))
        self.programme._library_night()
        self.assertEqual(self.card.points, 2)
        self._use(self.edge)
        self.assertEqual(self.card.points, 4, "It was right after all")
        self.programme._library_night()
        self.assertEqual((self._expired(), self.card.points), ([-4, 2, -2], 2))
        self._assert_balanced()

    def test_of_corrected_points_those_that_did_not_expire_are_taken(self):
        uses = [self._use(self.edge - timedelta(days=days)) for days in range(3)]
        young = self._use(self.today)
        self._redeem(-4)
        self.programme._library_night()
        self.assertEqual((self._expired(), self.card.points), ([-2], 2))
        self.env["library.service.usage"].concat(*uses[:2]).unlink()
        self.assertEqual(
            (self._expired(), self.card.points),
            ([-2, 2], 0),
            "Four were wrong: two had expired, two were spent",
        )
        young.unlink()
        self.assertEqual(self.card.points, 0)
        self._assert_balanced()

    def test_warning_comes_once_to_who_agreed_to_news(self):
        other = self._join(self.bruno)
        news = self.env.ref("library_crm.library_consent_purpose_news")
        self.env["library.consent"]._record(self.amal, news)
        day = self.edge + timedelta(days=20)
        self._use(day)
        self._use(self.today)
        self._use(day, patron=self.bruno)

        def find_mails():
            return self.env["mail.mail"].search(
                [
                    ("model", "=", "loyalty.card"),
                    ("res_id", "in", (self.card + other).ids),
                ]
            )

        self.programme._library_night()
        mail = find_mails()
        self.assertEqual(mail.res_id, self.card.id)
        self.assertIn("2 end by", " ".join(mail.body_html.split()))
        self.programme._library_night()
        self.assertEqual(find_mails(), mail)
        self.assertEqual(self.card.points, 4, "Warned, not expired")


@tagged("post_install", "-at_install")
class TestTier(LoyaltyCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = fields.Date.context_today(cls.programme)
        cls.silver, cls.gold = cls.env["library.loyalty.tier"].create(
            [
                {
                    "program_id": cls.programme.id,
                    "name": name,
                    "sequence": place,
                    "threshold": threshold,
                    "grace_days": 30,
                }
                for place, (name, threshold) in enumerate((("Silver", 4), ("Gold", 8)))
            ]
        )

    def test_patron_goes_up_at_once(self):
        uses = [self._use(self.today - timedelta(days=1))]
        self.assertFalse(self.card.library_tier_id)
        uses.append(self._use(self.today - timedelta(days=2)))
        self.assertEqual(self.card.library_tier_id, self.silver)
        self.assertEqual(self.amal.loyalty_tier_ids, self.silver)
        for days in (3, 4):
            self._use(self.today - timedelta(days=days))
        self.assertEqual(self.card.library_tier_id, self.gold)
        self.assertFalse(self.card.library_tier_until)

    def test_patron_goes_down_after_the_grace(self):
        uses = [self._use(self.today - timedelta(days=days)) for days in range(4)]
        uses[0].unlink()
        self.assertEqual(self.card.library_tier_id, self.gold)
        until = self.today + timedelta(days=30)
        self.assertEqual(self.card.library_tier_until, until)
        self.programme._library_night()
        self.assertEqual(self.card.library_tier_until, until, "It does not begin anew")
        self.card.library_tier_until = self.today - timedelta(days=1)
        self.programme._library_night()
        self.assertEqual(self.card.library_tier_id, self.silver)
        self.assertFalse(self.card.library_tier_until)

    def test_who_reaches_it_again_in_the_grace_keeps_it(self):
        uses = [self._use(self.today - timedelta(days=days)) for days in range(4)]
        uses[0].unlink()
        self._use(self.today - timedelta(days=9))
        self.assertEqual(self.card.library_tier_id, self.gold)
        self.assertFalse(self.card.library_tier_until)

    def test_spent_points_count_and_use_of_last_year_does_not(self):
        for days in (0, 1, 365, 366):
            self._use(self.today - timedelta(days=days))
        self.card._library_post(
            [
                {
                    "card_id": self.card.id,
                    "description": "A bag",
                    "library_kind": "redeemed",
                    "library_date": self.today,
                    "points": -4,
                }
            ]
        )
        self.programme._library_night()
        self.assertEqual(self.card.library_tier_id, self.silver)

    def test_tier_by_days_of_use(self):
        (self.silver + self.gold).basis = "days"
        self.silver.threshold, self.gold.threshold = 2, 3
        self._use(self.today)
        self._use(self.today, self.loan)
        self.assertFalse(self.card.library_tier_id)
        self._use(self.today - timedelta(days=1), self.loan)
        self.assertEqual(self.card.library_tier_id, self.silver)

    def test_segment_may_ask_for_a_tier(self):
        segment = self.env["library.segment"].create(
            {
                "name": "Silver",
                "domain": f"[('loyalty_tier_ids', 'in', [{self.silver.id}])]",
            }
        )
        for days in range(2):
            self._use(self.today - timedelta(days=days))
        found = self.env["library.patron"].search([("segment_ids", "in", segment.ids)])
        self.assertEqual(found, self.amal)
        none = self.env["library.patron"].search(
            [
                ("loyalty_tier_ids", "=", False),
                ("id", "in", (self.amal + self.bruno).ids),
            ]
        )
        self.assertEqual(none, self.bruno)
