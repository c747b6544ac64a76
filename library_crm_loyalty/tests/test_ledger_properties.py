from contextlib import suppress
from datetime import date, timedelta

from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from odoo.exceptions import UserError
from odoo.tests import tagged

from odoo.addons.library_crm.tests.properties import EachExampleAlone, examples

from .common import LoyaltyCommon

#: Later than the classes are made ready, so that no line is of a day to come.
START = date(2040, 2, 29)
WHO = st.integers(0, 1)
POINTS = st.integers(1, 9)
WAITS = st.tuples(st.just("wait"), st.sampled_from([1, 30, 170, 365, 366]))
#: Days of points: just too young to expire, just old enough.
AGES = st.sampled_from([0, 1, 364, 365, 366, 367, 500])
NIGHT = st.tuples(st.just("night"))
#: What befalls the cards of Amal and of Noor, whom she guards. What is common comes
#: often, so that one thing meets the other.
STEPS = st.lists(
    st.one_of(
        WAITS,
        NIGHT,
        *[st.tuples(st.just("use"), WHO, st.sampled_from([0, 1, 200, 400]))] * 3,
        *[st.tuples(st.just("delete"), st.integers(0, 1))] * 2,
        st.tuples(st.just("hand"), WHO, st.integers(-5, 9).filter(bool)),
        *[st.tuples(st.just("redeem"), WHO)] * 3,
        st.tuples(st.sampled_from(["undo", "voucher_ends"]), st.integers(0, 3)),
        st.tuples(st.just("move"), WHO, st.integers(0, 9)),
        st.tuples(st.just("move_back"), st.integers(0, 3)),
    ),
    min_size=8,
    max_size=20,
)
#: What is given, of a day so many days ago; taken; and what of that is given back.
LOTS = st.lists(
    st.one_of(
        WAITS,
        *[NIGHT] * 2,
        *[st.tuples(st.just("give"), POINTS, AGES)] * 3,
        *[st.tuples(st.just("take"), POINTS)] * 2,
        st.tuples(st.just("give_back"), POINTS),
    ),
    min_size=4,
    max_size=15,
)


def a_year_before(day):
    if (day.month, day.day) == (2, 29):
        return date(day.year - 1, 2, 28)
    return day.replace(year=day.year - 1)


class Lots:
    """Points as they lie in a drawer: the oldest are taken first."""

    def __init__(self):
        self.given, self.taken, self.spent = [], 0, 0

    def left(self):
        taken, left = self.taken, []
        for day, points in sorted(self.given):
            eaten = min(points, taken)
            taken -= eaten
            left.append((day, points - eaten))
        return left

    def balance(self):
        return sum(points for _day, points in self.left())

    def throw_away(self, today):
        """What is older than a year."""
        self.taken += sum(
            points for day, points in self.left() if day < a_year_before(today)
        )


@tagged("post_install", "-at_install")
class TestLedgerProperties(EachExampleAlone, LoyaltyCommon):
    """Whatever befalls a card, its points are the sum of its lines, and never below
    zero; the oldest are spent first, and expire first."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.programme.library_expire_months = 12
        cls.visit_rule.points = 4
        cls.bag = cls.env["library.loyalty.reward"].create(
            {"program_id": cls.programme.id, "name": "A bag", "points": 3}
        )
        cls.noor = cls.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "card_number": "0099",
                "company_id": cls.library.id,
                "guardian_id": cls.amal.id,
            }
        )
        cls.cards = cls.card + cls._join(cls.noor)

    def _tell(self, cards):
        """The lines, which only grow."""
        self.env.flush_all()
        return [
            (line.id, line.card_id.id, line.library_kind, line.library_points)
            for line in cards.history_ids.sorted("id")
        ]

    @given(STEPS)
    @examples(18)
    def test_points_are_the_sum_of_lines_and_never_below_zero(self, steps):
        self.today = START
        self.uses = self.env["library.service.usage"]
        self.vouchers = self.env["library.loyalty.redemption"]
        with freeze_time(START) as clock:
            for name, *values in steps:
                before, points = self._tell(self.cards), self.cards.mapped("points")
                if name == "wait":
                    self.today += timedelta(days=values[0])
                    clock.move_to(self.today)
                    continue
                is_refused = True
                with suppress(UserError), self.env.cr.savepoint():
                    getattr(self, f"_step_{name}")(*values)
                    is_refused = False
                after = self._tell(self.cards)
                self.assertEqual(after[: len(before)], before, "Lines are only added")
                if is_refused:
                    self.assertEqual(after, before, f"{name}: refused, and left a line")
                    self.assertEqual(self.cards.mapped("points"), points)
                self.env.invalidate_all()
                for card in self.cards:
                    lines = card.history_ids.mapped("library_points")
                    self.assertEqual(card.points, sum(lines), name)
                    self.assertGreaterEqual(card.points, 0, name)
                self._assert_balanced()

    def _step_night(self):
        self.programme._library_night()
        done = self._tell(self.cards)
        self.programme._library_night()
        self.assertEqual(self._tell(self.cards), done, "A second run finds nothing")

    def _step_use(self, who, days):
        patron = self.cards[who].library_patron_id
        self.uses += self._use(self.today - timedelta(days=days), patron=patron)

    def _step_delete(self, place):
        use = self.uses[place : place + 1]
        card = self.cards.filtered(lambda x: x.library_patron_id == use.patron_id)
        before = card.points
        self.uses -= use
        use.unlink()
        self.assertIn(before - card.points, range(5), "No more than it had given")

    def _step_hand(self, who, points):
        before = self.cards[who].points
        self._give(self.cards[who], points, self.today)
        self.assertEqual(self.cards[who].points, before + points)

    def _step_redeem(self, who):
        before = self.cards[who].points
        self.vouchers += self.bag._issue(self.cards[who])
        self.assertEqual(self.cards[who].points, before - 3)

    def _step_undo(self, place):
        voucher = self.vouchers[place : place + 1]
        if voucher:
            before = voucher.card_id.points
            voucher._undo("A mistake")
            self.assertEqual(voucher.card_id.points, before + 3)

    def _step_voucher_ends(self, place):
        voucher = self.vouchers[place : place + 1]
        voucher.filtered(lambda x: x.state == "issued")._expire()

    def _step_move(self, who, points):
        giver, receiver = self.cards[who], self.cards[1 - who]
        before = giver.points, receiver.points
        giver._library_give(receiver, points)
        after = giver.points, receiver.points
        self.assertEqual(after, (before[0] - points, before[1] + points))

    def _step_move_back(self, place):
        moved = self.cards.history_ids.sorted("id").filtered(
            lambda line: line.library_kind == "moved"
        )[place : place + 1]
        if moved:
            total = sum(self.cards.mapped("points"))
            moved._undo_move("A mistake")
            self.assertEqual(sum(self.cards.mapped("points")), total)

    # ------------------------------------------------------------
    # THE OLDEST FIRST
    # ------------------------------------------------------------

    def _live(self, card, steps):
        """Let the steps befall a card.

        :return: what ought to be left of its points
        :rtype: Lots
        """
        self.today, lots = START, Lots()
        with freeze_time(START) as clock:
            for name, *values in steps:
                if name == "wait":
                    self.today += timedelta(days=values[0])
                    clock.move_to(self.today)
                elif name == "night":
                    self.programme._library_night()
                    lots.throw_away(self.today)
                elif name == "give":
                    points, days = values
                    day = self.today - timedelta(days=days)
                    self._post_to(card, "manual", points, day)
                    lots.given.append((day, points))
                elif name == "take" and values[0] > lots.balance():
                    with self.assertRaises(UserError):
                        self._post_to(card, "redeemed", -values[0], self.today)
                elif name == "take":
                    self._post_to(card, "redeemed", -values[0], self.today)
                    lots.taken += values[0]
                    lots.spent += values[0]
                elif lots.spent:
                    points = min(values[0], lots.spent)
                    self._post_to(card, "undone", points, self.today)
                    lots.taken -= points
                    lots.spent -= points
                self.assertEqual(card.points, lots.balance(), name)
        return lots

    def _post_to(self, card, kind, points, day):
        card._library_post(
            [
                {
                    "card_id": card.id,
                    "description": "By hand",
                    "library_kind": kind,
                    "library_date": day,
                    "points": points,
                }
            ]
        )

    @given(LOTS)
    @examples(40)
    def test_oldest_points_are_spent_and_expire_first(self, steps):
        lots = self._live(self.card, steps)
        with freeze_time(self.today):
            left = [(day, points) for day, points in lots.left() if points]
            if left:
                self.assertEqual(self.card._library_oldest_day(), left[0][0])

    @given(LOTS, LOTS)
    @examples(12)
    def test_cards_of_one_person_add_up_and_expire_as_before(self, mine, others):
        other = self._join(self.bruno)
        night = [("night",)]
        one = self._live(self.card, mine + night)
        end = self.today
        # Of both cards on the same days.
        self.programme.library_reckoned_on = False
        two = self._live(other, others + night)
        self.today = max(end, self.today)
        with freeze_time(self.today):
            self.programme._library_night()
            for lots in (one, two):
                lots.throw_away(self.today)
            self.amal._merge(self.bruno)
            self.assertFalse(other.exists())
            self.assertEqual(self.card.points, one.balance() + two.balance())
            self._assert_balanced()
