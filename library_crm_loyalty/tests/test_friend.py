import re
from datetime import date

from odoo.tests import HttpCase, tagged

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestFriend(LoyaltyCommon, HttpCase):
    """Amal brings Rana, who fills in the join form with the code."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["library.join.form"].search([]).is_open = False
        cls.form = cls.env["library.join.form"].create(
            {"company_id": cls.library.id, "is_open": True}
        )
        cls._create_rule(
            name="A friend joined", event="referral", points=30, cap_program=60
        ).since = False
        cls.code = cls.card.library_friend_code

    def _answer(self, **values):
        page = self.url_open(f"/library/join?library={self.library.id}")
        token = re.search(r'name="csrf_token"\s+value="([^"]+)"', page.text).group(1)
        return self.url_open(
            "/library/join",
            data={
                "csrf_token": token,
                "library": self.library.id,
                "step": "send",
                "who": "self",
                "birth_date": "1984-05-06",
                "zip": "97488",
                "name": "Rana Haddad",
                "email": "rana@test.example.com",
                "branch": self.main.id,
                **values,
            },
        )

    def _get_join(self):
        return self.env["library.join"].search(
            [("company_id", "=", self.library.id)], limit=1
        )

    def _become_patron(self, join, is_new=True, **values):
        join._confirm()
        patron = self.env["library.patron"].create(
            {
                "name": "Rana Haddad",
                "company_id": self.library.id,
                "branch_id": self.main.id,
                "birth_date": date(1984, 5, 6),
                "email": join.email_normalized,
                **values,
            }
        )
        join._complete(patron, is_new)
        return patron

    def test_link_carries_the_code_to_the_form(self):
        url = self.card._get_friend_url().replace(self.card.get_base_url(), "")
        self.assertIn(f'value="{self.code}"', self.url_open(url).text)
        page = self._answer(step="who", friend=self.code)
        self.assertIn("A friend's code", page.text.replace("&#39;", "'"))
        self.assertIn(f'value="{self.code}"', page.text)
        self.assertIn(
            f'value="{self.code}"', self._answer(step="change", friend=self.code).text
        )

    def test_form_does_not_ask_where_nobody_is_thanked(self):
        self.programme.library_rule_ids.filtered(
            lambda rule: rule.event == "referral"
        ).active = False
        page = self._answer(step="who")
        self.assertNotIn("library_join_friend", page.text)

    def test_friend_brings_points_once_there_is_a_patron(self):
        self._answer(friend=f" {self.code[:5].lower()}-{self.code[5:]} ")
        join = self._get_join()
        self.assertEqual(join.friend_code, self.code)
        self.assertEqual(self.card.points, 0, "Nobody has confirmed yet")
        patron = self._become_patron(join)
        self.assertEqual(self.card.points, 30)
        self.assertEqual(join.state, "done")
        self.assertFalse(join.friend_code, "It is forgotten")
        self.assertEqual(self.card.history_ids.description, "A friend joined")
        occasion = self.env["library.loyalty.occasion"].search(
            [("patron_id", "=", self.amal.id)]
        )
        self.assertNotIn(str(patron.id), occasion.key)
        self._assert_balanced()

    def test_who_has_a_card_already_is_no_new_friend(self):
        self._answer(friend=self.code)
        self._become_patron(self._get_join(), is_new=False)
        self.assertEqual(self.card.points, 0)

    def test_nobody_brings_themselves(self):
        self._answer(friend=self.code, email=self.amal.email)
        join = self._get_join()
        self._become_patron(join)
        self.assertEqual(self.card.points, 0)

    def test_unknown_code_is_told_and_nothing_is_lost(self):
        for code in ("ABCDEFGHJK", self.code[:-1], "<script>", "x" * 50):
            page = self._answer(friend=code)
            self.assertIn("library_join_friend_error", page.text)
            self.assertIn("Rana Haddad", page.text)
        self.assertFalse(self._get_join())

    def test_code_of_another_library_is_unknown_here(self):
        programme = self._create_library_programme(self.other_library)
        code = self._join(self.other_patron, programme).library_friend_code
        self.assertIn("library_join_friend_error", self._answer(friend=code).text)
