from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import SurveyResultCommon

GAP = "library.survey.gap.result"
LEVELS = ("minimum", "desired", "perceived")


@tagged("post_install", "-at_install")
class TestSurveyGapResult(SurveyResultCommon):
    def _answer_gap(self, times, *lines, **values):
        for _time in range(times):
            self._answer(*(line for part in lines for line in part), **values)

    def test_gaps_of_a_published_study(self):
        """Minimum 6.23, desired 7.93, perceived 6.99: adequacy 0.76, superiority
        −0.94; here of a hundred whole ratings that have these means."""
        for number in range(100):
            self._answer(
                *self._rate(
                    self.friendly,
                    minimum=7 if number < 23 else 6,
                    desired=7 if number < 7 else 8,
                    perceived=6 if number < 1 else 7,
                )
            )
        [row] = self._figures(GAP, *LEVELS, "adequacy", "superiority", "answers")
        self.assertEqual(
            [round(value, 2) for value in row], [6.23, 7.93, 6.99, 0.76, -0.94, 100]
        )

    def test_gaps_by_item_and_dimension(self):
        self._answer_gap(
            10,
            self._rate(self.friendly, minimum=5, desired=7, perceived=8),
            self._rate(self.quiet, minimum=6, desired=9, perceived=4),
        )
        names = ("adequacy", "superiority")
        self.assertEqual(
            self._figures(GAP, *names, groupby=["dimension", "item_id"]),
            [("affect", self.friendly, 3, 1), ("place", self.quiet, -2, -5)],
        )
        self.assertEqual(self._figures(GAP, *names), [(0.5, -2)])

    def test_item_that_was_rated_by_half_is_not_in_the_means(self):
        self._answer_gap(10, self._rate(self.quiet, minimum=5, desired=7, perceived=8))
        self._answer_gap(10, self._rate(self.quiet, minimum=1, desired=9))
        self._answer_gap(10, self._rate(self.quiet, perceived=1))
        self.assertEqual(self._figures(GAP, *LEVELS, "answers"), [(5, 7, 8, 10)])

    def test_no_opinion_is_counted_and_not_in_the_means(self):
        self._answer_gap(10, self._rate(self.quiet, minimum=5, desired=7, perceived=8))
        self._answer_gap(6, self._rate(self.quiet))
        self.assertEqual(
            self._figures(GAP, "perceived", "answers", "no_opinion"), [(8, 10, 6)]
        )

    def test_inverted_ratings_are_counted(self):
        self._answer_gap(10, self._rate(self.quiet, minimum=5, desired=7, perceived=8))
        self._answer_gap(7, self._rate(self.quiet, minimum=8, desired=7, perceived=8))
        self._answer_gap(3, self._rate(self.quiet, minimum=7, desired=7, perceived=8))
        self.assertEqual(self._figures(GAP, "inverted", "answers"), [(7, 20)])

    def test_answers_that_were_set_aside_are_counted_and_not_in_the_means(self):
        both = [
            self._rate(item, minimum=5, desired=7, perceived=8)
            for item in (self.friendly, self.quiet)
        ]
        bad = [
            self._rate(item, minimum=9, desired=1, perceived=1)
            for item in (self.friendly, self.quiet)
        ]
        self._answer_gap(10, *both)
        self._answer_gap(6, *bad, library_set_aside="inverted")
        self._answer_gap(
            5,
            self._rate(self.friendly),
            self._rate(self.quiet),
            library_set_aside="no_opinion",
        )
        [row] = self._figures(
            GAP, *LEVELS, "answers", "inverted", "no_opinion", "set_aside"
        )
        self.assertEqual(row, (5, 7, 8, 20, 0, 0, 11))
        self.assertEqual(
            dict(
                self._figures(
                    GAP,
                    "set_aside",
                    groupby=["set_aside_reason"],
                    domain=[("set_aside_reason", "!=", False)],
                )
            ),
            {"inverted": 6, "no_opinion": 5},
        )

    def test_small_numbers_are_hidden(self):
        self._answer_gap(9, self._rate(self.quiet, minimum=5, desired=7, perceived=8))
        self._answer_gap(4, self._rate(self.friendly, minimum=1, desired=2))
        self._answer_gap(4, self._rate(self.friendly), library_set_aside="no_opinion")
        self.assertEqual(
            self._figures(GAP, *LEVELS, "adequacy", "superiority", "set_aside"),
            [(False,) * 6],
        )
        self.assertEqual(
            self._figures(GAP, "perceived", "answers", groupby=["item_id"]),
            [(self.quiet, False, 9)],
        )

    def test_one_rating_is_read_by_nobody(self):
        self._answer_gap(10, self._rate(self.quiet, minimum=5, desired=7, perceived=8))
        gaps = self.env[GAP].with_user(self.manager)
        with self.assertRaises(AccessError):
            gaps.search_read([], ["perceived"])
        for spec in ("perceived:max", "set_aside:array_agg", "item_id:array_agg"):
            with self.subTest(spec), self.assertRaises(AccessError):
                gaps._read_group([], ["branch_id"], [spec])

    def test_desk_sees_its_branches(self):
        rating = self._rate(self.quiet, minimum=5, desired=7, perceived=8)
        self._answer_gap(10, rating)
        self._answer_gap(10, rating, library_branch_id=self.north.id)
        for user, branches in (
            (self.desk, self.main),
            (self.marketing, self.main + self.north),
            (self.manager, self.main + self.north),
        ):
            found = self._figures(GAP, "perceived", groupby=["branch_id"], user=user)
            self.assertEqual([branch for branch, _mean in found], list(branches))
