from math import sqrt

from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import SurveyResultCommon

RESULT = "library.survey.result"


@tagged("post_install", "-at_install")
class TestSurveyResult(SurveyResultCommon):
    def _nps(self, **values):
        return self._figures(RESULT, "nps", **values)

    def _results(self, user=None):
        return self.env[RESULT].with_user(user or self.manager)

    # ------------------------------------------------------------
    # FIGURES
    # ------------------------------------------------------------

    def test_nps_is_promoters_less_detractors_in_percent(self):
        self._answer_scale(self.nps, [10, 9, 9, 9, 9, 9] + [8, 7] + [6, 0])
        [row] = self._figures(
            RESULT, "nps", "promoter_share", "detractor_share", "nps_answers"
        )
        self.assertEqual(row, (40, 60, 20, 10))

    def test_csat_is_the_share_of_four_and_five(self):
        self._answer_scale(self.csat, [5, 4, 4, 4, 3, 3, 2, 1, 1, 1])
        [row] = self._figures(RESULT, "csat", "csat_mean", "csat_answers")
        self.assertEqual(row, (40, 2.8, 10))

    def test_effort_and_outcome_are_means(self):
        self._answer_scale(self.effort, [1, 2] * 5)
        self._answer_scale(self.knowledge, [5] * 10)
        self._answer_scale(self.confidence, [4] * 30)
        self.assertEqual(
            self._figures(RESULT, "effort", "outcome", "outcome_answers"),
            [(1.5, 4.25, 40)],
        )
        self.assertEqual(
            dict(
                self._figures(
                    RESULT,
                    "outcome",
                    groupby=["outcome_kind"],
                    domain=[("metric", "=", "outcome")],
                )
            ),
            {"knowledge": 5, "confidence": 4},
        )

    def test_total_is_of_all_answers_and_no_mean_of_the_groups(self):
        self._answer_scale(self.nps, [10] * 10)
        self._answer_scale(self.nps, [0] * 30, library_branch_id=self.north.id)
        self.assertEqual(
            dict(self._nps(groupby=["branch_id"])), {self.main: 100, self.north: -100}
        )
        self.assertEqual(self._nps(), [(-50,)])

    def test_surveys_that_ask_different_things_stand_in_one_group(self):
        self._answer_scale(self.nps, [10] * 10)
        self._answer_scale(self.csat, [1] * 20)
        [row] = self._figures(RESULT, "__count", "nps", "csat", "effort")
        self.assertEqual(row, (30, 100, 0, False))

    def test_results_are_told_by_all_that_the_answer_says(self):
        segment = self.env["library.segment"].create(
            {"name": "Readers", "company_id": self.library.id}
        )
        self.round.segment_id = segment
        self._answer_scale(
            self.nps,
            [10] * 10,
            library_round_id=self.round.id,
            library_service_id=self.loan.id,
            library_category_id=self.adult.id,
        )
        for name, value in (
            ("round_id", self.round),
            ("segment_id", segment),
            ("branch_id", self.main),
            ("service_id", self.loan),
            ("patron_category_id", self.adult),
            ("survey_id", self.survey),
            ("question_id", self.nps),
            ("metric", "nps"),
        ):
            with self.subTest(name):
                [(group, nps)] = self._nps(groupby=[name])
                self.assertEqual((group, nps), (value, 100))

    def test_unfinished_answers_tests_and_other_surveys_do_not_count(self):
        self._answer_scale(self.nps, [10] * 10)
        self._answer_scale(self.nps, [0] * 10, state="in_progress")
        self._answer_scale(self.nps, [0] * 10, test_entry=True)
        exam = self._create_survey(self.library)
        exam.library_company_id = False
        self._answer_scale(exam.question_ids[0], [0] * 10, survey=exam)
        self.nps.copy({"library_metric": False})
        self.assertEqual(self._figures(RESULT, "nps", "__count"), [(100, 10)])

    # ------------------------------------------------------------
    # MARGINS
    # ------------------------------------------------------------

    def test_margin_of_nps_after_rocks(self):
        """60 promoters, 20 passives, 20 detractors, and ¾, 1½, ¾ added."""
        self._answer_scale(self.nps, [10] * 60 + [8] * 20 + [3] * 20)
        p, d = 60.75 / 103, 20.75 / 103
        expected = 100 * 1.96 * sqrt((p + d - (p - d) ** 2) / 103)
        [(margin,)] = self._figures(RESULT, "nps_margin")
        self.assertAlmostEqual(margin, expected, 6)
        self.assertAlmostEqual(margin, 15.5, 1)

    def test_margin_of_a_share_after_agresti_and_coull(self):
        self._answer_scale(self.csat, [5] * 30 + [1] * 10)
        p = 32 / 44
        [(margin,)] = self._figures(RESULT, "csat_margin")
        self.assertAlmostEqual(margin, 100 * 1.96 * sqrt(p * (1 - p) / 44), 6)

    def test_margin_of_a_mean(self):
        self._answer_scale(self.effort, [1] * 8 + [5] * 8)
        [(margin,)] = self._figures(RESULT, "effort_margin")
        self.assertAlmostEqual(margin, 1.96 * sqrt(4 * 16 / 15) / 4, 6)

    def test_ten_equal_answers_do_not_look_like_certainty(self):
        self._answer_scale(self.nps, [10] * 10)
        self._answer_scale(self.csat, [5] * 10)
        [margins] = self._figures(RESULT, "nps_margin", "csat_margin")
        self.assertTrue(all(margin > 10 for margin in margins))

    # ------------------------------------------------------------
    # NOBODY IS FOUND BY WHAT THEY SAID
    # ------------------------------------------------------------

    def test_figures_are_told_from_ten_answers_on(self):
        names = [name for name in self.env[RESULT]._figures if "answers" not in name]
        for question in (self.nps, self.csat, self.effort, self.knowledge):
            self._answer_scale(question, [4] * 9)
        self.assertEqual(self._figures(RESULT, *names), [(False,) * len(names)])
        for question in (self.nps, self.csat, self.effort, self.knowledge):
            self._answer_scale(question, [4])
        [row] = self._figures(RESULT, *names)
        self.assertNotIn(False, [value is not False for value in row])

    def test_groups_are_told_from_five_answers_on(self):
        self._answer_scale(self.nps, [10] * 4)
        self._answer_scale(self.nps, [10] * 5, library_branch_id=self.north.id)
        self.assertEqual(
            self._figures(RESULT, "__count", groupby=["branch_id"]), [(self.north, 5)]
        )
        self.assertEqual(
            self._figures(RESULT, "nps_answers", groupby=["branch_id"]),
            [(self.north, 5)],
        )

    def test_all_that_views_and_programs_ask_for_hides_small_groups(self):
        self._answer_scale(self.nps, [10] * 4)
        self._answer_scale(self.nps, [10] * 9, library_branch_id=self.north.id)
        results = self._results().with_context(allowed_company_ids=self.library.ids)
        domain = [("branch_id", "=", self.main.id)]
        specs = ["__count", "nps_answers:sum", "nps:avg", "nps_margin:avg"]
        self.assertEqual(results.formatted_read_group([], ["branch_id"], specs[2:]), [])
        [shown] = results.formatted_read_group([], ["branch_id"], specs)
        self.assertEqual([shown[spec] for spec in specs], [9, 9, False, False])
        total, by_branch, by_value = results.formatted_read_grouping_sets(
            domain, [[], ["branch_id"], ["value"]], specs
        )
        self.assertEqual([total[0][spec] for spec in specs], [0, False, False, False])
        self.assertEqual((by_branch, by_value), ([], []))
        self.assertEqual(results.search_count(domain), 0)
        self.assertEqual(results.search_count(domain, limit=1), 0)
        self.assertEqual(results.search_count([]), 13)
        self.assertEqual(results.search_count([], limit=1), 1)
        self.assertEqual(
            results.web_read_group(domain, ["branch_id"], ["nps:avg"])["groups"], []
        )

    def test_graph_draws_no_zero_where_a_figure_is_hidden(self):
        self._answer_scale(self.nps, [10] * 9)
        results = self._results().with_context(allowed_company_ids=self.library.ids)
        specs = ["__count", "nps:avg"]
        for groupby in ([], ["branch_id"], ["date:month"]):
            self.assertEqual(results.formatted_read_group([], groupby, specs), [])
        self._answer_scale(self.nps, [10])
        [total] = results.formatted_read_group([], [], specs)
        self.assertEqual(total["nps:avg"], 100)

    def test_one_answer_is_read_by_nobody(self):
        self._answer_scale(self.nps, [10] * 20)
        line = self.survey.user_input_ids[0].user_input_line_ids
        for user in (self.desk, self.marketing, self.manager):
            user.group_ids += self.env.ref("base.group_allow_export")
            results = self._results(user)
            for ask in (
                lambda results=results: results.search([]),
                lambda results=results: results.search_read([], ["value"]),
                lambda results=results: results.web_search_read([], {"value": {}}),
                lambda results=results: results.name_search(""),
                lambda results=results: results.browse(line.id).read(["value"]),
                lambda results=results: results.browse(line.id).value,
                lambda results=results: results.browse(line.id).export_data(["value"]),
            ):
                with self.assertRaises(AccessError):
                    ask()

    def test_no_other_sum_gets_around_the_figures(self):
        self._answer_scale(self.nps, [10] * 20)
        results = self._results()
        for spec in (
            "value:max",
            "value:sum",
            "value:array_agg",
            "id:array_agg",
            "id:recordset",
            "id:max",
            "nps:max",
            "nps:array_agg",
            "nps:sum",
            "branch_id:array_agg",
        ):
            with self.subTest(spec):
                with self.assertRaises(AccessError):
                    results._read_group([], ["branch_id"], [spec])
                with self.assertRaises(AccessError):
                    results._read_grouping_sets([], [["branch_id"]], [spec])
                with self.assertRaises(AccessError):
                    results._read_group([], ["branch_id"], order=spec)
                with self.assertRaises(AccessError):
                    results._read_group(
                        [], ["branch_id"], ["__count"], having=[(spec, ">", 1)]
                    )
        self.assertEqual(results._read_group([], ["id"], ["__count"]), [])

    def test_results_are_read_only_and_read_on_a_replica(self):
        self._answer_scale(self.nps, [10] * 20)
        self.env.flush_all()
        with self.env.cr.savepoint() as savepoint:
            self.env.cr.execute("SET LOCAL transaction_read_only = on")
            self.assertEqual(self._nps(), [(100,)])
            savepoint.rollback()
        for operation in ("write", "create", "unlink"):
            self.assertFalse(self._results().has_access(operation))

    # ------------------------------------------------------------
    # WHO SEES WHAT
    # ------------------------------------------------------------

    def test_desk_sees_its_branches_and_the_others_all(self):
        self._answer_scale(self.nps, [10] * 10)
        self._answer_scale(self.nps, [0] * 10, library_branch_id=self.north.id)
        both = {self.main: 100, self.north: -100}
        for user, expected in (
            (self.desk, {self.main: 100}),
            (self.marketing, both),
            (self.manager, both),
        ):
            found = self._nps(groupby=["branch_id"], user=user)
            self.assertEqual(dict(found), expected, user.login)

    def test_nobody_sees_another_library(self):
        there = self._create_survey(self.other_library)
        self._answer_scale(
            there.question_ids[0],
            [10] * 20,
            survey=there,
            library_branch_id=self.other_branch.id,
        )
        for user in (self.desk, self.marketing, self.manager):
            self.assertEqual(
                self._results(user)._read_group([], [], ["__count"]), [(0,)]
            )

    def test_results_follow_what_is_written_in_the_same_transaction(self):
        self._answer_scale(self.nps, [10] * 10)
        self.assertEqual(self._nps(), [(100,)])
        self.survey.user_input_ids.user_input_line_ids.value_scale = 0
        self.assertEqual(self._nps(), [(-100,)])
        self.survey.user_input_ids.library_branch_id = self.north
        self.assertEqual(dict(self._nps(groupby=["branch_id"])), {self.north: -100})
