from odoo.tests import HttpCase, tagged

from .common import SurveyCommon


@tagged("post_install", "-at_install")
class TestSurveyRequests(SurveyCommon, HttpCase):
    """What comes to the routes of the survey without the page that belongs to it."""

    def setUp(self):
        super().setUp()
        self.survey = self._make_survey(self.NPS, self.WHY)
        self.nps, self.why = self.survey.question_ids
        self.answer = self._begin(self.survey)

    def _submit(self, score, why="", token=None, survey=None):
        token = token or self.answer.access_token
        survey = survey or self.survey
        _correct, result = self.make_jsonrpc_request(
            f"/survey/submit/{survey.access_token}/{token}",
            {str(self.nps.id): score, str(self.why.id): why},
        )
        return result

    def _get_scores(self):
        lines = self.survey.user_input_ids.user_input_line_ids
        return lines.filtered(lambda line: line.answer_type == "scale").mapped(
            "value_scale"
        )

    def test_answer_is_taken_once(self):
        self._submit("9", "Kind staff")
        self.assertEqual(self.answer.state, "done")
        result = self._submit("2", "Never mind")
        self.assertEqual(result, {"error": "unauthorized"})
        self.assertEqual(self._get_scores(), [9])

    def test_invitation_is_not_taken_a_second_time(self):
        self._submit("9")
        url = f"/survey/retry/{self.survey.access_token}/{self.answer.access_token}"
        self.assertNotIn("Take Again", self.url_open(url).text)
        self.assertEqual(self.survey.user_input_ids, self.answer)

    def test_nobody_answers_after_the_closing(self):
        self.survey.action_archive()
        self.assertEqual(self._submit("9"), {"error": "survey_closed"})
        self.assertFalse(self.answer.user_input_line_ids)

    def test_nobody_answers_after_the_deadline(self):
        self.answer.deadline = "2020-01-01 00:00:00"
        self.assertEqual(self._submit("9"), {"error": "answer_deadline"})
        self.assertFalse(self.answer.user_input_line_ids)

    def test_forged_token_is_refused(self):
        other = self._make_survey(self.NPS)
        for token, survey in [
            ("b1376400-14d4-4748-9ef6-344caaaaaaaa", self.survey),
            ("%", self.survey),
            (self.answer.access_token[:-1] + "_", self.survey),
            (self.answer.access_token, other),
        ]:
            with self.subTest(token):
                result = self._submit("9", token=token, survey=survey)
                self.assertIn(result["error"], ("token_wrong", "survey_wrong"))
        self.assertFalse(self._get_scores())
        page = self.url_open(f"/survey/start/{self.survey.access_token}")
        self.assertNotIn(self.nps.title, page.text)

    def test_eleven_on_the_scale_of_nps_is_refused(self):
        for score in ("11", "-1", "9.5", "many", ["9", "10"], {"9": "10"}):
            with self.subTest(score):
                result = self._submit(score)
                self.assertEqual(result["error"], "validation")
                self.assertIn("load the page again", result["fields"][str(self.nps.id)])
        self.assertEqual(self.answer.state, "in_progress")
        self.assertFalse(self._get_scores())

    def test_refused_page_can_be_put_right(self):
        self.assertEqual(self._submit("11", "Kind staff")["error"], "validation")
        self.assertFalse(self.answer.user_input_line_ids)
        self._submit("10", "Kind staff")
        self.assertEqual(self._get_scores(), [10])
        self.assertEqual(self.answer.state, "done")

    def test_zero_is_an_answer(self):
        self._submit("0")
        self.assertEqual(self._get_scores(), [0])
        self.assertEqual(self.answer.state, "done")

    def test_script_in_a_verbatim_is_text(self):
        script = "<script>alert('library')</script><img src=x onerror=alert(1)>"
        self._submit("9", script)
        line = self.answer.user_input_line_ids.filtered("value_text_box")
        self.assertEqual(line.value_text_box, script)
        self.authenticate(self.manager.login, self.manager.login)
        for url in (
            self.answer.get_print_url(),
            f"/survey/results/{self.survey.id}",
        ):
            with self.subTest(url):
                page = self.url_open(url)
                self.assertEqual(page.status_code, 200)
                self.assertIn("alert(", page.text)
                self.assertNotIn("<script>alert", page.text)
                self.assertNotIn("<img src=x", page.text)

    def test_script_in_an_item_is_text(self):
        script = "<script>alert('item')</script>"
        survey = self._make_survey(self._gap(script))
        answer = self._begin(survey)
        page = self.url_open(f"/survey/{survey.access_token}/{answer.access_token}")
        self.assertIn("alert(", page.text)
        self.assertNotIn("<script>alert", page.text)
        rating = {str(survey.question_ids.matrix_row_ids.id): {"minimum": "3"}}
        _correct, result = self.make_jsonrpc_request(
            f"/survey/submit/{survey.access_token}/{answer.access_token}",
            {str(survey.question_ids.id): rating},
        )
        # The page puts it into a text node.
        self.assertIn(script, result["fields"][str(survey.question_ids.id)])


@tagged("post_install", "-at_install")
class TestErasedPatron(SurveyCommon):
    """An answer of somebody who was erased counts, and tells nobody who it was."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.survey = cls._make_survey(
            cls.NPS,
            cls.WHY,
            cls.CALL,
            cls._gap("Staff are kind"),
            {"title": "Your email", "question_type": "char_box"},
            {"title": "Born on", "question_type": "date"},
        )

    def _answer(self, patron):
        call, gap = self.survey.question_ids[2:4]
        answer = self._begin(self.survey, patron)
        self._finish(
            answer,
            "9",
            f"I am {patron.name}",
            call.suggested_answer_ids[0].id,
            {
                str(gap.matrix_row_ids.id): {
                    "minimum": 3,
                    "desired": 8,
                    "perceived": 5,
                }
            },
            patron.email,
            "1984-02-29",
        )
        answer.message_post(body=f"{patron.name} has participated")
        answer.activity_schedule(summary="Call", user_id=self.manager.id)
        return answer

    def test_answers_stay_as_counts(self):
        answer = self._answer(self.amal)
        self.assertEqual(answer.library_patron_id, self.amal)
        self.assertTrue(answer.library_may_call)
        self.amal.with_user(self.manager).unlink()
        self.assertEqual(answer.exists().state, "done")
        self.assertEqual(
            answer.user_input_line_ids.filtered("value_scale").mapped("value_scale"),
            [9, 3, 8, 5],
        )
        self.assertEqual(answer.library_answered_on.day, 1)

    def test_nothing_tells_who_it_was(self):
        partner, patron = self.amal.partner_id, self.amal
        answer, kept = self._answer(patron), self._answer(self.bruno)
        token, name = answer.access_token, patron.name
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE survey_user_input SET create_uid = %s WHERE id = %s",
            [self.portal.id, answer.id],
        )
        patron.unlink()
        self.env.flush_all()
        self.env.invalidate_all()
        for field in ("partner_id", "email", "nickname", "invite_token", "deadline"):
            self.assertFalse(answer[field], field)
        self.assertFalse(answer.library_patron_id)
        self.assertEqual((answer.start_datetime.day, answer.end_datetime.day), (1, 1))
        self.assertFalse(answer.library_may_call)
        self.assertFalse(answer.activity_ids)
        self.assertFalse(answer.message_follower_ids)
        self.assertNotEqual(answer.access_token, token)
        rows = self._find_rows(answer)
        for trace in (name, "amal.idris", token, "1984"):
            self.assertNotIn(trace, rows)
        for records in (answer, answer.user_input_line_ids):
            self.assertEqual(
                records.create_uid + records.write_uid, self.env.ref("base.user_root")
            )
            self.assertEqual({record.create_date.day for record in records}, {1})
        self.assertTrue(partner.exists())
        self.assertEqual(kept.library_patron_id, self.bruno)
        self.assertIn("I am Bruno Silva", self._find_rows(kept))

    def _find_rows(self, answer):
        """:return: the rows of the database about an answer, as text"""
        self.env.cr.execute(
            """
            SELECT row_to_json(i)::text FROM survey_user_input i WHERE id = %(id)s
            UNION ALL
            SELECT row_to_json(l)::text FROM survey_user_input_line l
            WHERE user_input_id = %(id)s
            UNION ALL
            SELECT row_to_json(m)::text FROM mail_message m
            WHERE model = 'survey.user_input' AND res_id = %(id)s
            """,
            {"id": answer.id},
        )
        return "\n".join(row for (row,) in self.env.cr.fetchall())

    def test_what_was_not_finished_is_deleted(self):
        invited = self.survey._create_answer(partner=self.amal.partner_id)
        begun = self._begin(self.survey)
        self.amal.unlink()
        self.assertFalse((invited + begun).exists())

    def test_merged_patron_keeps_the_answers(self):
        answer = self._answer(self.amal)
        self.env["base.partner.merge.automatic.wizard"].with_user(self.env.user)._merge(
            (self.amal + self.bruno).partner_id.ids, self.bruno.partner_id
        )
        self.env.invalidate_all()
        self.assertEqual(answer.library_patron_id, self.bruno)
        self.assertTrue(answer.user_input_line_ids.filtered("value_text_box"))


@tagged("post_install", "-at_install")
class TestAgreements(SurveyCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.chess, cls.garden = cls.env["library.interest"].create(
            [{"name": "Chess test"}, {"name": "Garden test"}]
        )
        cls.survey = cls._make_survey(
            {
                "title": "What interests you?",
                "question_type": "multiple_choice",
            },
            {
                "title": "May we note it?",
                "question_type": "simple_choice",
                "library_is_interest_consent": True,
            },
            cls.CALL,
        )
        cls.topics, cls.note, cls.call = cls.survey.question_ids
        Choice = cls.env["survey.question.answer"]
        cls.chess_choice, cls.garden_choice, cls.other_choice = Choice.create(
            [
                {
                    "question_id": cls.topics.id,
                    "value": interest.name or "Other",
                    "library_interest_id": interest.id,
                }
                for interest in (cls.chess, cls.garden, cls.chess.browse())
            ]
        )
        cls.yes, cls.no = Choice.create(
            [{"question_id": cls.note.id, "value": value} for value in ("Yes", "No")]
        )
        cls.amal.interest_ids = cls.garden

    def _answer(self, consent, call=0, answer=None):
        return self._finish(
            answer or self._begin(self.survey),
            [str(self.chess_choice.id), str(self.other_choice.id)],
            consent.id,
            self.call.suggested_answer_ids[call].id,
        )

    def test_chosen_interests_are_noted_for_who_agrees(self):
        self._answer(self.yes)
        self.assertEqual(self.amal.interest_ids, self.chess + self.garden)

    def test_nothing_is_noted_for_who_does_not_agree(self):
        self._answer(self.no)
        self.assertEqual(self.amal.interest_ids, self.garden)

    def test_typed_address_changes_nobodys_interests(self):
        answer = self.survey._create_answer(email=self.amal.email, check_attempts=False)
        self.assertEqual(answer.library_patron_id, self.amal)
        self._answer(self.yes, answer=answer)
        self.assertEqual(self.amal.interest_ids, self.garden)

    def test_only_who_says_so_may_be_called(self):
        self.assertTrue(self._answer(self.no, call=0).library_may_call)
        self.assertFalse(self._answer(self.no, call=1).library_may_call)
