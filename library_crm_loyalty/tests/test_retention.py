from datetime import timedelta

from odoo import fields
from odoo.tests import tagged
from odoo.tools import SQL

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestRetention(LoyaltyCommon):
    """Use goes in time, and nobody loses points or a challenge by it."""

    def test_points_stay_when_the_use_that_earned_them_goes(self):
        for day in (0, 1, fields.Date.today() - timedelta(days=5)):
            self._use(day)
        self.assertEqual(self.card.points, 6)
        lines = self._lines()
        self.assertEqual(self._run_retention("usage"), {"usage": 2})
        self.programme._library_recompute(None)
        self.assertEqual(self._lines(), lines)
        self.assertEqual(self.card.points, 6)
        self.assertGreater(
            self.programme.library_settled_until, self.monday + timedelta(days=1)
        )
        self._assert_balanced()

    def test_use_that_was_just_loaded_earns_before_it_goes(self):
        self.env["library.service.usage"].insert_rows(
            SQL(
                "VALUES (%s, %s, %s, %s::date, 1, 'onsite', NULL::int, NULL)",
                *(self.amal.id, self.visit.id, self.main.id, self.monday),
            )
        )
        self.assertEqual(self.card.points, 0)
        self.assertEqual(self._run_retention("usage"), {"usage": 1})
        self.assertEqual(self.card.points, 2)

    def test_use_stays_as_long_as_a_challenge_counts_it(self):
        challenge = self.env["library.challenge"].create(
            {
                "name": "Three years",
                "company_id": self.library.id,
                "date_from": self.monday,
                "date_to": fields.Date.today() + timedelta(days=10),
            }
        )
        self._use(-7)
        self._use(0)
        self.assertEqual(self._run_retention("usage"), {"usage": 1})
        challenge.date_to = fields.Date.today() - timedelta(days=40)
        self.assertEqual(self._run_retention("usage"), {"usage": 1})

    def test_patron_who_has_points_left_is_held(self):
        self._use(0)
        self.amal.enrolled_on = self.monday
        self.env.flush_all()
        self.env.cr.execute("UPDATE library_patron SET create_date = '2020-01-01'")
        self.env.invalidate_all()
        rule = self.env["library.retention.rule"]._get_for(self.library)["patron"]
        self.assertIn("1 by points", rule.held_text)
        self._run_retention("patron")
        self.assertTrue(self.amal.exists())
        self.card.active = False
        self._run_retention("patron")
        self.assertFalse(self.amal.exists())
        self._assert_balanced()
