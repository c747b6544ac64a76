from odoo.tests import tagged

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestMergeAndErase(LoyaltyCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._create_rule(name="Welcome", event="joined", points=10)
        cls.card._library_reckon()
        cls.bag = cls.env["library.loyalty.reward"].create(
            {"program_id": cls.programme.id, "name": "A bag", "points": 10}
        )

    def _merge_contacts(self, kept, *others):
        self.env["base.partner.merge.automatic.wizard"]._merge(
            [partner.id for partner in (kept, *others)], kept
        )
        self.env.invalidate_all()

    # Merged

    def test_merged_patrons_have_one_card_and_what_a_person_gets_once_counts_once(self):
        other = self._join(self.bruno)
        self._use(0)
        self._use(1)
        self._use(1, patron=self.bruno)
        self._use(2, patron=self.bruno)
        self.assertEqual((self.card.points, other.points), (14, 14))
        voucher = self.bag._issue(other)
        self._merge_contacts(self.amal.partner_id, self.bruno.partner_id)
        self.assertFalse(self.bruno.exists())
        self.assertFalse(other.exists())
        self.assertEqual(self.amal.loyalty_card_ids, self.card)
        self.assertEqual(self.card.partner_id, self.amal.partner_id)
        # Three days with a visit, one welcome, one bag.
        self.assertEqual(self.card.points, 3 * 2 + 10 - 10)
        self.assertEqual((voucher.card_id, voucher.patron_id), (self.card, self.amal))
        self._assert_balanced()
        lines = self._lines()
        self.card._library_reckon()
        self.assertEqual(self._lines(), lines, "Nothing is left to be put right")
        voucher._undo("Two patrons were one")
        self.assertEqual(self.card.points, 16)

    def test_card_of_the_one_who_goes_stays_where_the_other_has_none(self):
        card = self._join(self.bruno)
        self._use(0, patron=self.bruno)
        self.card.active = False
        self._merge_contacts(self.amal.partner_id, self.bruno.partner_id)
        self.assertEqual(self.amal.loyalty_card_ids, card)
        self.assertEqual(card.partner_id, self.amal.partner_id)
        self.assertEqual(card.points, 12)
        self._use(5)
        self.assertEqual(card.points, 14, "And goes on")
        self._assert_balanced()

    def test_contact_who_is_no_patron_takes_over_the_patron_with_the_card(self):
        self._use(0)
        contact = self.env["res.partner"].create({"name": "A. Idris"})
        self._merge_contacts(contact, self.amal.partner_id)
        self.assertEqual(self.amal.partner_id, contact)
        self.assertEqual(self.card.partner_id, contact)
        self.assertEqual(self.card.library_patron_id, self.amal)
        self.assertEqual(self._lines(), [("earned", 10), ("earned", 2)])
        self._assert_balanced()

    def test_what_both_were_noted_for_happened_once(self):
        self._join(self.bruno)
        self._create_rule(name="Interests", event="interests", points=5)
        Occasion = self.env["library.loyalty.occasion"]
        Occasion._note(self.amal + self.bruno, "interests", "first")
        Occasion._note(self.bruno, "interests", "second")
        self._merge_contacts(self.amal.partner_id, self.bruno.partner_id)
        noted = Occasion.search([("patron_id", "=", self.amal.id)])
        self.assertEqual(sorted(noted.mapped("key")), ["first", "second"])
        self._assert_balanced()

    # Erased

    def test_ledger_of_an_erased_patron_stays_without_the_person(self):
        self.bag.write({"is_limited": True, "stock": 5})
        self._use(0)
        self._use(8)
        self.card._library_post(
            [
                {
                    "card_id": self.card.id,
                    "description": "Given by staff",
                    "library_kind": "manual",
                    "library_date": self.monday,
                    "library_note": "Amal carried the chairs",
                    "points": 30,
                }
            ]
        )
        handed_over = self.bag._issue(self.card)
        handed_over._redeem()
        undone = self.bag._issue(self.card)
        undone._undo("Amal has one already")
        waiting = self.bag._issue(self.card)
        code = waiting.code
        self.card.message_post(body="Amal asked about her points")
        before = (self.card.code, self.card.library_friend_code)
        given = sum(self.card.history_ids.mapped("issued"))
        contact = self.amal.partner_id
        redemptions = handed_over + undone + waiting
        self.amal.unlink()
        self.env.invalidate_all()

        lines = self.card.history_ids
        self.assertEqual(sum(lines.mapped("issued")), given, "The figures stay")
        self.assertEqual(self.card.points, 0)
        self._assert_balanced()
        self.assertEqual(redemptions.mapped("state"), ["redeemed", "undone", "expired"])
        self.assertEqual(self.bag.stock, 4)
        self.assertEqual(sum(redemptions.mapped("points")), 30)
        self.assertFalse(self.card.active)
        # No column of what is left leads to the person.
        everything = str((self.card + self.card).read()) + str(
            lines.read() + redemptions.read()
        )
        for trace in ("Amal", code, *before, str(self.monday)):
            self.assertNotIn(trace, everything)
        self.assertFalse(self.card.partner_id or self.card.library_patron_id)
        self.assertFalse(lines.library_usage_id)
        self.assertEqual({day.day for day in lines.mapped("library_date")}, {1})
        self.assertFalse(self.card.message_ids)
        self.assertTrue(contact.exists())
        self.programme._library_night()
        self.assertEqual(len(self.card.history_ids), len(lines), "It is at rest")
