from datetime import timedelta

from dateutil.relativedelta import relativedelta
from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestHouseholdPoints(LoyaltyCommon):
    """Amal has 100 points and guards Noor, who takes part too and has none. Bruno
    takes part and lives elsewhere."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = cls.programme._library_today()
        cls.noor = cls.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "card_number": "0099",
                "patron_category_id": cls.child.id,
                "branch_id": cls.main.id,
                "company_id": cls.library.id,
                "guardian_id": cls.amal.id,
                "birth_date": cls.today - timedelta(days=3000),
            }
        )
        cls.noor_card = cls._join(cls.noor)
        cls.bruno_card = cls._join(cls.bruno)
        cls._give(cls.card, 100, cls.today)

    def _points(self):
        return (self.card.points, self.noor_card.points)

    def _as_desk(self, records):
        return records.with_user(self.desk).with_context(
            allowed_company_ids=self.library.ids
        )

    def _moved(self, card):
        return card.history_ids.filtered(lambda line: line.library_kind == "moved")

    # Whose points a card is for

    def test_family_card_at_the_desk_earns_for_the_patron_of_the_card(self):
        """Bruno scans the library card of Amal: it is she who came."""
        self.bruno.household_id = self.amal.household_id = self.env[
            "library.household"
        ].create({"name": "Idris", "company_id": self.library.id})
        log = self._as_desk(self.env["library.usage.log"])
        found = self._as_desk(self.env["library.patron"]).name_search("0042")
        self.assertEqual([id_ for id_, _name in found], self.amal.ids)
        with Form(log.with_context(default_patron_id=found[0][0])) as form:
            form.service_id = self.visit
        form.record.action_log()
        self.assertEqual(self.card.points, 102)
        self.assertEqual(self.bruno_card.points, 0)

    def test_loyalty_card_is_of_one_patron(self):
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(IntegrityError),
            self.cr.savepoint(),
        ):
            self.card.partner_id = self.noor.partner_id
            self.card.flush_recordset()

    # Giving

    def test_points_given_in_a_household_are_two_lines_that_balance(self):
        self.card._library_give(self.noor_card, 30)
        self.assertEqual(self._points(), (70, 30))
        lines = self._moved(self.card) + self._moved(self.noor_card)
        self.assertEqual(lines.mapped("library_points"), [-30, 30])
        self.assertEqual(len(set(lines.mapped("library_key"))), 1)
        self._assert_balanced()

    def test_members_of_a_household_give_to_one_another(self):
        self.bruno.household_id = self.noor.household_id = self.env[
            "library.household"
        ].create({"name": "Silva", "company_id": self.library.id})
        self.assertEqual(
            self.noor_card._library_get_receivers().sorted("id"),
            (self.card + self.bruno_card).sorted("id"),
        )
        self.assertEqual(self.card._library_get_receivers(), self.noor_card)

    def test_siblings_give_to_one_another(self):
        sami = self.noor.copy({"name": "Sami Idris", "card_number": "0100"})
        card = self._join(sami)
        self._give(self.noor_card, 5, self.today)
        self.noor_card._library_give(card, 5)
        self.assertEqual(card.points, 5)

    def test_nobody_gives_what_is_not_there(self):
        for points in (101, 0, -5):
            with self.subTest(points=points), self.assertRaises(UserError):
                self.card._library_give(self.noor_card, points)
        self.assertEqual(self._points(), (100, 0))

    def test_strangers_other_programmes_and_libraries_get_nothing(self):
        other = self._create_library_programme(self.library)
        strangers = self.bruno_card + self.card + self._join(self.noor, other)
        for card in strangers:
            with (
                self.subTest(card.display_name),
                self.assertRaisesRegex(UserError, "same household"),
            ):
                self.card._library_give(card, 5)
        self.assertEqual(self._points(), (100, 0))

    def test_programme_may_not_let_households_share(self):
        self.programme.library_lets_give = False
        self.assertFalse(self.card.library_may_give)
        with self.assertRaises(UserError):
            self.card._library_give(self.noor_card, 5)

    def test_ended_programme_and_archived_card_move_no_points(self):
        self.noor_card.active = False
        with self.assertRaises(UserError):
            self.card._library_give(self.noor_card, 5)
        self.noor_card.active = True
        self.programme.date_to = self.today - timedelta(days=1)
        with self.assertRaises(UserError):
            self.card._library_give(self.noor_card, 5)

    def test_points_get_no_younger_by_being_given(self):
        """Given to and fro, they expire on the day on which they would have."""
        self.programme.library_expire_months = 12
        old = self.today - relativedelta(months=11)
        self._give(self.card, 40, old)
        self._give(self.card, -20, self.today)
        self.card._library_give(self.noor_card, 20)
        self.assertEqual(self._moved(self.noor_card).library_date, old)
        self.noor_card._library_give(self.card, 20)
        self.assertEqual(self._points(), (120, 0))
        self.programme._library_expire(self.today + relativedelta(months=2))
        self.assertEqual(self.card.points, 100, "The old twenty are gone")
        self._assert_balanced()

    def test_spent_points_are_the_oldest_so_what_is_given_is_younger(self):
        self.programme.library_expire_months = 12
        self._give(self.card, 40, self.today - relativedelta(months=11))
        self._give(self.card, -40, self.today)
        self.card._library_give(self.noor_card, 20)
        self.assertEqual(self._moved(self.noor_card).library_date, self.today)

    def test_given_points_reach_no_tier(self):
        self.env["library.loyalty.tier"].create(
            {"program_id": self.programme.id, "name": "Gold", "threshold": 50}
        )
        self.card._library_give(self.noor_card, 80)
        self.programme._library_night()
        self.assertTrue(self.card.library_tier_id, "Who earned them keeps the tier")
        self.assertFalse(self.noor_card.library_tier_id)

    def test_ledger_of_the_one_tells_no_name_of_the_other(self):
        self.card._library_give(self.noor_card, 30)
        told = str(self._moved(self.card).read()) + str(
            self._moved(self.card).mapped("display_name")
        )
        self.assertNotIn("Noor", told)
        self.noor.unlink()
        self.assertEqual(self.card.points, 70)
        self._assert_balanced()
        self.assertFalse(self._moved(self.card).library_is_undoable)
        with self.assertRaisesRegex(UserError, "any more"):
            self._moved(self.card)._undo_move("Too late")

    def test_two_who_turn_out_to_be_one_keep_the_sum(self):
        self.bruno.guardian_id = self.amal
        self.card._library_give(self.bruno_card, 30)
        self.env["base.partner.merge.automatic.wizard"]._merge(
            [self.bruno.partner_id.id, self.amal.partner_id.id], self.amal.partner_id
        )
        self.env.invalidate_all()
        self.assertEqual(self.card.points, 100)
        self.assertEqual(
            sorted(self._moved(self.card).mapped("library_points")), [-30, 30]
        )
        self._assert_balanced()

    # At the desk

    def _desk_gives(self, points, receiver=None):
        action = self._as_desk(self.card).action_library_give()
        wizard = self._as_desk(self.env["library.loyalty.give"]).with_context(
            **action["context"]
        )
        with Form(wizard) as form:
            form.receiver_id = receiver or self.noor
            form.points = points
        form.record.action_give()

    def test_desk_gives_for_a_household_and_undoes_it_with_a_reason(self):
        self.assertTrue(self._as_desk(self.card).library_may_give)
        self.assertFalse(self._as_desk(self.noor_card).library_may_give, "It has none")
        self._desk_gives(30)
        self.assertEqual(self._points(), (70, 30))
        line = self._moved(self.noor_card)
        self.assertEqual(line.create_uid, self.desk)
        action = self._as_desk(line).action_library_undo()
        undo = self._as_desk(self.env["library.loyalty.undo"]).with_context(
            **action["context"]
        )
        with self.assertRaisesRegex(UserError, "say why"):
            undo.create({"reason": " "}).action_undo()
        wizard = undo.create({"reason": "The wrong child"})
        self.assertEqual(wizard.points, 30)
        wizard.action_undo()
        self.assertEqual(self._points(), (100, 0))
        self.assertEqual(
            set(
                (self._moved(self.card) + self._moved(self.noor_card)).mapped(
                    "library_note"
                )
            ),
            {False, "The wrong child"},
        )
        self.assertFalse(any(self._moved(self.card).mapped("library_is_undoable")))
        with self.assertRaisesRegex(UserError, "any more"):
            undo.create({"reason": "Twice"}).action_undo()
        self._assert_balanced()

    def test_points_that_are_spent_are_not_given_back(self):
        self._desk_gives(30)
        self._give(self.noor_card, -10, self.today)
        with self.assertRaisesRegex(UserError, "has 20 points, 30 are needed"):
            self._moved(self.noor_card)._undo_move("The wrong child")
        self.assertEqual(self._points(), (70, 20))

    def test_desk_moves_no_points_of_patrons_it_does_not_see(self):
        """Bruno is at home in a branch that is not the desk's."""
        self.bruno.guardian_id = self.amal
        with self.assertRaises(AccessError):
            self._as_desk(self.env["library.loyalty.give"]).create(
                {
                    "card_id": self.card.id,
                    "receiver_id": self.bruno.id,
                    "points": 10,
                }
            ).action_give()
        self.card._library_give(self.bruno_card, 10)
        with self.assertRaises(AccessError):
            self._as_desk(self.env["library.loyalty.undo"]).create(
                {"line_id": self._moved(self.card).id, "reason": "No"}
            ).action_undo()
        self.assertEqual(self.bruno_card.points, 10)
