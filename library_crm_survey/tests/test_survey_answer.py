from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import Form, tagged

from odoo.addons.library_crm.tests.common import LibraryCommon


@tagged("post_install", "-at_install")
class TestSurveyAnswer(LibraryCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.survey = cls._create_survey("How was your visit?", cls.library)
        cls.other_survey = cls._create_survey("At the hill", cls.other_library)

    @classmethod
    def _create_survey(cls, title, company):
        return cls.env["survey.survey"].create(
            {
                "title": title,
                "library_company_id": company.id,
                "question_and_page_ids": [
                    Command.create(
                        {
                            "title": "Your email",
                            "question_type": "char_box",
                            "validation_email": True,
                            "save_as_email": True,
                        }
                    )
                ],
            }
        )

    def _as(self, user, records):
        return records.with_user(user).with_context(
            allowed_company_ids=self.library.ids
        )

    def _answer(self, survey=None, **values):
        return self.env["survey.user_input"].create(
            {"survey_id": (survey or self.survey).id, "state": "done", **values}
        )

    def test_survey_belongs_to_the_library_unless_it_is_an_assessment(self):
        Survey = self.env["survey.survey"].with_company(self.library)
        self.assertEqual(
            Survey.create({"title": "Satisfaction"}).library_company_id, self.library
        )
        exam = Survey.create({"title": "Exam", "survey_type": "assessment"})
        self.assertFalse(exam.library_company_id)
        self.assertFalse(
            self._answer(exam, partner_id=self.amal.partner_id.id).library_patron_id
        )

    def test_answer_with_a_contact_finds_its_patron(self):
        answer = self._answer(partner_id=self.amal.partner_id.id)
        self.assertEqual(answer.library_patron_id, self.amal)
        answer.partner_id = self.bruno.partner_id
        self.assertEqual(answer.library_patron_id, self.bruno)

    def test_answer_with_a_contact_finds_an_archived_patron(self):
        self.amal.active = False
        answer = self._answer(partner_id=self.amal.partner_id.id)
        self.assertEqual(answer.library_patron_id, self.amal)

    def test_answer_with_an_email_finds_its_patron(self):
        answer = self._answer(email='"Amal" <AMAL.Idris@test.example.com>')
        self.assertEqual(answer.library_patron_id, self.amal)

    def test_email_given_in_a_question_finds_the_patron(self):
        answer = self._answer(state="in_progress")
        self.assertFalse(answer.library_patron_id)
        answer._save_lines(self.survey.question_ids, "bruno.silva@test.example.com")
        self.assertEqual(answer.library_patron_id, self.bruno)

    def test_email_of_two_patrons_is_nobodys(self):
        self.bruno.email = self.amal.email
        self.assertFalse(self._answer(email=self.amal.email).library_patron_id)

    def test_contact_that_is_no_patron_is_not_matched_by_email(self):
        visitor = self.env["res.partner"].create(
            {"name": "Visitor", "email": self.amal.email}
        )
        known, unknown = self.env["survey.user_input"].create(
            [
                {
                    "survey_id": self.survey.id,
                    "partner_id": partner.id,
                    "email": self.amal.email,
                }
                for partner in (visitor, visitor.browse())
            ]
        )
        self.assertFalse(known.library_patron_id)
        self.assertEqual(unknown.library_patron_id, self.amal)

    def test_anonymous_answer_is_nobodys(self):
        self.assertFalse(self._answer().library_patron_id)

    def test_test_entry_is_nobodys(self):
        answer = self._answer(partner_id=self.amal.partner_id.id, test_entry=True)
        self.assertFalse(answer.library_patron_id)

    def test_patron_of_another_library_is_not_matched(self):
        for values in (
            {"partner_id": self.amal.partner_id.id},
            {"email": self.amal.email},
        ):
            with self.subTest(values):
                answer = self._answer(self.other_survey, **values)
                self.assertFalse(answer.library_patron_id)

    def test_one_email_in_two_libraries_finds_the_patron_of_the_survey(self):
        self.other_patron.email = self.amal.email
        answers = self.env["survey.user_input"].create(
            [
                {"survey_id": survey.id, "email": self.amal.email}
                for survey in self.survey + self.other_survey
            ]
        )
        self.assertEqual(answers[0].library_patron_id, self.amal)
        self.assertEqual(answers[1].library_patron_id, self.other_patron)

    def test_contact_of_two_libraries_is_the_patron_of_the_survey(self):
        there = self.env["library.patron"].create(
            {
                "partner_id": self.amal.partner_id.id,
                "company_id": self.other_library.id,
                "branch_id": self.other_branch.id,
            }
        )
        answers = self._answer(partner_id=self.amal.partner_id.id) + self._answer(
            self.other_survey, partner_id=self.amal.partner_id.id
        )
        self.assertEqual(answers.library_patron_id, self.amal + there)
        self.assertEqual(answers[1].library_patron_id, there)

    def test_earlier_answers_of_a_contact_follow_who_becomes_a_patron(self):
        contact = self.env["res.partner"].create(
            {"name": "Newcomer", "email": "newcomer@test.example.com"}
        )
        known = self._answer(partner_id=contact.id)
        by_email = self._answer(email=contact.email)
        self.env.flush_all()
        patron = self.env["library.patron"].create(
            {
                "partner_id": contact.id,
                "company_id": self.library.id,
                "branch_id": self.main.id,
            }
        )
        self.assertEqual(known.library_patron_id, patron)
        self.assertFalse(by_email.library_patron_id)

    def test_many_answers_are_matched_in_one_go(self):
        """However many answers come in, patrons are looked for twice."""
        self.env.flush_all()
        answers = [
            {"survey_id": self.survey.id, "email": f"nobody{index}@test.example.com"}
            for index in range(20)
        ] + [
            {"survey_id": self.survey.id, "partner_id": patron.partner_id.id}
            for patron in (self.amal, self.bruno) * 10
        ]
        searches = []
        Patron = self.registry["library.patron"]
        search = Patron._search

        def counted(records, domain, *args, **kwargs):
            searches.append(domain)
            return search(records, domain, *args, **kwargs)

        self.patch(Patron, "_search", counted)
        created = self.env["survey.user_input"].create(answers)
        self.env.flush_all()
        self.assertEqual(len(created.filtered("library_patron_id")), 20)
        self.assertLessEqual(len(searches), 2)

    def test_desk_sees_that_a_patron_answered_but_not_what(self):
        answer = self._answer(partner_id=self.amal.partner_id.id)
        self._answer(partner_id=self.amal.partner_id.id, state="new")
        patron = self._as(self.desk, self.amal)
        self.assertEqual(patron.survey_input_count, 1)
        with self.assertRaises(AccessError):
            patron.read(["survey_input_ids"])
        with self.assertRaises(AccessError):
            self._as(self.desk, answer).read(["email"])
        with self.assertRaises(AccessError):
            self._as(self.employee, answer).read(["email"])
        with Form(patron) as form:
            self.assertNotIn("survey_input_ids", form._view["fields"])

    def test_manager_sees_the_answers_of_the_own_library(self):
        answer = self._answer(partner_id=self.amal.partner_id.id)
        other = self._answer(self.other_survey, email="chidi.okafor@test.example.com")
        self.assertEqual(other.library_patron_id, self.other_patron)
        patron = self._as(self.manager, self.amal)
        action = patron.action_view_survey_inputs()
        visible = self._as(self.manager, self.env["survey.user_input"])
        self.assertEqual(visible.search(action["domain"]), answer)
        self.assertFalse(visible.search([("id", "=", other.id)]))
        answer._save_lines(self.survey.question_ids, "amal.idris@test.example.com")
        other._save_lines(self.other_survey.question_ids, "chidi@test.example.com")
        for own, hidden in [
            (answer, other),
            (answer.user_input_line_ids, other.user_input_line_ids),
            (self.survey, self.other_survey),
        ]:
            with self.subTest(own._name):
                self._as(self.manager, own).check_access("read")
                self.assertTrue(hidden)
                self.assertFalse(self._as(self.manager, hidden).has_access("read"))

    def test_survey_user_without_a_role_in_the_library_sees_no_patron(self):
        answer = self._answer(partner_id=self.amal.partner_id.id)
        self.employee.group_ids += self.env.ref("survey.group_survey_user")
        answer = self._as(self.employee, answer)
        self.assertTrue(answer.read(["state"]))
        with self.assertRaises(AccessError):
            answer.read(["library_patron_id"])
