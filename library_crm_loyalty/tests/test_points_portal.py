import re
from datetime import date

from odoo.tests import HttpCase, tagged

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestPointsPortal(LoyaltyCommon, HttpCase):
    """``portal`` is the user of Amal, who guards Noor (a child) and Omar (grown up)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal.write({"login": "amal_points", "password": "amal_points"})
        cls.noor, cls.omar = cls.env["library.patron"].create(
            [
                {
                    "name": name,
                    "branch_id": cls.main.id,
                    "company_id": cls.library.id,
                    "guardian_id": cls.amal.id,
                    "birth_date": born,
                    "enrolled_on": date(2020, 1, 1),
                }
                for name, born in (
                    ("Noor Idris", date(date.today().year - 8, 1, 1)),
                    ("Omar Idris", date(1999, 1, 1)),
                )
            ]
        )
        cls.visit_rule.points = 50
        cls.bag, cls.trip = cls.env["library.loyalty.reward"].create(
            [
                {"program_id": cls.programme.id, "name": name, "points": points}
                for name, points in (("A bag", 40), ("A trip", 500))
            ]
        )

    def setUp(self):
        super().setUp()
        self._use(0)
        self.authenticate("amal_points", "amal_points")

    def _get(self, patron, path="/points"):
        return self.url_open(f"/my/library/{patron.id}{path}", allow_redirects=False)

    def _post(self, patron, action, **values):
        page = self.url_open("/my/account")
        token = re.search(r'csrf_token: "([^"]+)"', page.text).group(1)
        return self.url_open(
            f"/my/library/{patron.id}/points/{action}",
            data={"csrf_token": token, **values},
            allow_redirects=False,
        )

    def _take(self, patron, reward, points):
        return self._post(patron, "get", reward=reward.id, points=points)

    def test_patron_sees_points_where_they_came_from_and_what_there_is(self):
        page = self._get(self.amal).text
        for shown in ("50 Points", "A visit", "+50", "A bag", "Yes, take the points"):
            self.assertIn(shown, page)
        self.assertIn("450 more points are needed", page)
        self.assertEqual(page.count("o_library_get"), 1)
        self.assertIn("50 Points", self._get(self.amal, "").text)

    def test_patron_gets_a_voucher_to_show(self):
        response = self._take(self.amal, self.bag, 50)
        voucher = self.amal.loyalty_redemption_ids
        self.assertTrue(
            response.headers["Location"].endswith(
                f"/my/library/{self.amal.id}/voucher/{voucher.id}"
            )
        )
        page = self._get(self.amal, f"/voucher/{voucher.id}")
        self.assertIn(voucher._get_code_shown(), page.text)
        self.assertEqual(page.text.count("data:image/png;base64,"), 2)
        self.assertEqual(page.headers["Cache-Control"], "no-store")
        self.assertNotIn(voucher.code, page.url)
        printed = self._get(self.amal, f"/voucher/{voucher.id}/pdf")
        self.assertEqual(printed.status_code, 200)
        self.assertIn("no-store", printed.headers["Cache-Control"])
        if printed.headers["Content-Type"] == "application/pdf":
            self.assertTrue(printed.content.startswith(b"%PDF"))
        else:
            self.assertIn(voucher._get_code_shown(), printed.text)
        self.assertEqual(self.card.points, 10)
        voucher._redeem()
        self.assertEqual(
            self._get(self.amal, f"/voucher/{voucher.id}").status_code,
            303,
            "What was handed over is no voucher",
        )

    def test_pressed_twice_takes_the_points_once(self):
        self.bag.points = 10
        self._take(self.amal, self.bag, 50)
        response = self._take(self.amal, self.bag, 50)
        self.assertIn("notice=changed", response.headers["Location"])
        self.assertEqual(self.card.points, 40)
        self.assertEqual(len(self.amal.loyalty_redemption_ids), 1)

    def test_what_can_not_be_had_takes_nothing(self):
        programme = self._create_library_programme(self.library)
        other = self.env["library.loyalty.reward"].create(
            {"program_id": programme.id, "name": "Elsewhere", "points": 1}
        )
        self.bag.write({"is_limited": True, "stock": 0})
        for reward in (self.trip, other, self.bag):
            response = self._take(self.amal, reward, 50)
            self.assertIn("notice=refused", response.headers["Location"])
        for reward, points in (("x", "50"), (str(2**70), ""), ("-1", "50")):
            self._post(self.amal, "get", reward=reward, points=points)
        self.assertEqual(self.card.points, 50)
        self.assertFalse(self.amal.loyalty_redemption_ids)

    def test_guardian_sees_a_child_and_nobody_else_by_changing_the_id(self):
        self._join(self.noor)
        self._use(0, patron=self.noor)
        for stranger in (self.bruno, self.omar, self.other_patron):
            card = self._join(
                stranger,
                self._create_library_programme(stranger.company_id),
            )
            reward = self.env["library.loyalty.reward"].create(
                {"program_id": card.program_id.id, "name": "A pen", "points": 1}
            )
            card._library_post(
                [
                    {
                        "card_id": card.id,
                        "description": "A secret visit",
                        "library_kind": "manual",
                        "library_date": self.monday,
                        "points": 70,
                    }
                ]
            )
            voucher = reward._issue(card)
            with self.subTest(stranger.complete_name):
                for path in ("/points", f"/voucher/{voucher.id}", "/points/page/2"):
                    response = self._get(stranger, path)
                    self.assertEqual(response.status_code, 303)
                    self.assertTrue(response.headers["Location"].endswith("/my"))
                self._take(stranger, reward, 69)
                self._post(stranger, "join", program=self.programme.id)
                self.assertEqual(card.points, 69)
                self.assertEqual(stranger.loyalty_card_ids, card)
                # Nor through one's own page.
                response = self._get(self.amal, f"/voucher/{voucher.id}")
                self.assertTrue(response.headers["Location"].endswith("/points"))
                self.assertNotIn("A secret visit", self._get(self.amal).text)
        page = self._get(self.noor)
        self.assertEqual(page.status_code, 200)
        self.assertIn("Noor Idris", page.text)
        self._take(self.noor, self.bag, 50)
        self.assertEqual(self.noor.loyalty_redemption_ids.reward_id, self.bag)
        self.assertEqual(self.card.points, 50, "Those of the guardian stay")

    def test_household_shares_no_points(self):
        """A child's card is the child's: what one has does not pay for another."""
        household = self.env["library.household"].create({"name": "Idris"})
        (self.amal + self.noor).household_id = household
        self._join(self.noor)
        response = self._take(self.noor, self.bag, 50)
        self.assertIn("notice=changed", response.headers["Location"])
        response = self._take(self.noor, self.bag, 0)
        self.assertIn("notice=refused", response.headers["Location"])
        self.assertEqual(self.card.points, 50)
        self.assertFalse(self.noor.loyalty_redemption_ids)

    def _hand(self, giver, receiver, amount, points):
        return self._post(
            giver, "give", receiver=receiver.id, amount=amount, points=points
        )

    def test_guardian_gives_points_to_a_child_and_back(self):
        self.assertNotIn("somebody of the family", self._get(self.amal).text)
        child = self._join(self.noor)
        self.assertIn("somebody of the family", self._get(self.amal).text)
        response = self._hand(self.amal, child, 30, 50)
        self.assertIn("notice=moved", response.headers["Location"])
        self.assertEqual((self.card.points, child.points), (20, 30))
        response = self._hand(self.amal, child, 30, 50)
        self.assertIn("notice=changed", response.headers["Location"], "Pressed twice")
        self._hand(self.noor, self.card, 10, 30)
        self.assertEqual((self.card.points, child.points), (30, 20))
        for amount in ("31", "-5", "0", "x", "٣", "", "9" * 40):
            response = self._hand(self.amal, child, amount, 30)
            self.assertIn("notice=not_given", response.headers["Location"], amount)
        self.assertEqual((self.card.points, child.points), (30, 20))
        self._assert_balanced()

    def test_points_go_to_and_come_from_nobody_else_by_changing_an_id(self):
        """Bruno lives in the household, and decides for himself."""
        household = self.env["library.household"].create({"name": "Idris"})
        (self.amal + self.noor + self.bruno).household_id = household
        child = self._join(self.noor)
        for stranger in (self.bruno, self.omar):
            card = self._join(stranger)
            self._give(card, 40, self.monday)
            self._hand(self.amal, card, 10, 50)
            self._hand(stranger, self.card, 10, 40)
            self.assertEqual(card.points, 40)
        self.assertEqual((self.card.points, child.points), (50, 0))
        self.assertNotIn(self.bruno.name, self._get(self.amal).text)

    def test_guardian_joins_for_a_child_who_can_not_alone(self):
        self.assertIn("Take part", self._get(self.noor, "").text)
        child = self.env["res.users"].create(
            {
                "name": "Noor",
                "login": "noor_points",
                "password": "noor_points",
                "partner_id": self.noor.partner_id.id,
                "group_ids": [(6, 0, self.env.ref("base.group_portal").ids)],
                "company_id": self.library.id,
                "company_ids": [(6, 0, self.library.ids)],
            }
        )
        self.authenticate("noor_points", "noor_points")
        self.assertNotIn("Take part", self._get(self.noor, "").text)
        self._post(self.noor, "join", program=self.programme.id)
        self.assertFalse(self.noor.loyalty_card_ids)
        self.authenticate("amal_points", "amal_points")
        self._post(self.noor, "join", program=self.programme.id)
        self.assertEqual(self.noor.loyalty_card_ids.program_id, self.programme)
        self.authenticate("noor_points", "noor_points")
        self.assertEqual(self._get(self.noor).status_code, 200)
        self._give(self.noor.loyalty_card_ids, 10, self.monday)
        self._hand(self.noor, self.card, 10, 10)
        self.assertEqual(self.card.points, 50, "Nor give away what is there")
        self.assertTrue(child)

    def test_friend_link_is_there_where_the_programme_thanks_for_it(self):
        self.assertNotIn("Bring a friend", self._get(self.amal).text)
        self._create_rule(event="referral", points=5, cap_program=50)
        page = self._get(self.amal).text
        self.assertIn("Bring a friend", page)
        self.assertIn(self.card.library_friend_code, page)
