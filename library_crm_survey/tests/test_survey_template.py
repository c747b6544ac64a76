import re

import polib

from odoo.tests import tagged
from odoo.tools import file_path, html2plaintext

from .common import SurveyCommon


@tagged("post_install", "-at_install")
class TestSurveyTemplates(SurveyCommon):
    """Surveys that come along: looked at, copied, never answered."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.templates = cls.env["survey.survey"]._get_library_templates()

    def _use(self, name):
        template = self.env.ref(f"library_crm_survey.survey_template_{name}")
        template = template.with_user(self.manager).with_company(self.library)
        return template.browse(template.action_use_template()["res_id"]).sudo()

    def test_every_template_makes_a_survey_of_the_library(self):
        self.assertEqual(len(self.templates), 7)
        for template in self.templates:
            with self.subTest(template.title):
                survey = self._use(
                    template.get_external_id()[template.id].split("_", 4)[4]
                )
                self.assertEqual(survey.title, template.title)
                self.assertEqual(survey.library_company_id, self.library)
                self.assertEqual(survey.user_id, self.manager)
                self.assertTrue(survey.active)
                self.assertFalse(survey.library_template)
                self.assertEqual(
                    survey.question_ids.mapped("library_metric"),
                    template.question_ids.mapped("library_metric"),
                )
                survey.check_validity()

    def test_templates_are_not_among_the_surveys(self):
        self.assertFalse(self.templates.filtered("active"))
        self.assertFalse(self.templates.library_company_id)
        action = self.env.ref("library_crm_survey.survey_survey_action")
        found = self.env["survey.survey"].search([("library_company_id", "!=", False)])
        self.assertFalse(found & self.templates)
        self.assertIn("library_company_id", action.domain)

    def test_where_there_is_no_survey_yet_the_templates_are_offered(self):
        Survey = self.env["survey.survey"].with_user(self.manager)
        data = Survey.get_survey_templates_data()
        titles = [template["title"] for template in data.values()]
        self.assertEqual(titles[:7], self.templates.mapped("title"))
        key = next(iter(data))
        action = Survey.action_load_survey_template_sample(key)
        self.assertEqual(Survey.browse(action["res_id"]).title, titles[0])

    def test_quality_has_three_dimensions(self):
        survey = self._use("quality")
        items = survey.question_ids.matrix_row_ids
        self.assertEqual(
            {
                dimension: len(of_dimension)
                for dimension, of_dimension in items.grouped(
                    "library_dimension"
                ).items()
            },
            {"affect": 8, "control": 7, "place": 7},
        )
        self.assertTrue(survey.users_can_go_back)

    def test_outcomes_are_the_four(self):
        for name in ("outcome", "outcome_followup"):
            survey = self._use(name)
            self.assertEqual(
                survey.question_ids.filtered("library_metric").mapped(
                    "library_outcome"
                ),
                ["knowledge", "confidence", "application", "awareness"],
            )

    def test_needs_offer_the_interests_of_the_library(self):
        self.env["library.interest"].create(
            [{"name": "Chess test"}, {"name": "Hidden test", "portal_published": False}]
        )
        question = self._use("needs").question_ids.filtered("library_offers_interests")
        chosen = question.suggested_answer_ids
        self.assertIn("Chess test", chosen.mapped("value"))
        self.assertNotIn("Hidden test", chosen.mapped("value"))
        self.assertEqual(
            chosen.mapped("value"), chosen.library_interest_id.mapped("name")
        )

    def test_what_patrons_read_is_translated(self):
        texts = self._get_texts()
        self.assertGreater(len(texts), 100)
        for code in ("ar", "de", "es", "fr", "it", "nl"):
            with self.subTest(code):
                file = polib.pofile(file_path(f"library_crm_survey/i18n/{code}.po"))
                translated = {
                    entry.msgid: entry.msgstr for entry in file if entry.msgstr
                }
                self.assertFalse(texts - translated.keys())
                for text, translation in translated.items():
                    self.assertEqual(
                        sorted(re.findall(r"%\(\w+\)s", text)),
                        sorted(re.findall(r"%\(\w+\)s", translation)),
                    )

    def _get_texts(self):
        """:return: all that somebody reads who answers one of the templates"""
        questions = self.templates.question_and_page_ids
        choices = questions.suggested_answer_ids + questions.matrix_row_ids
        messages = self.templates.mapped("description")
        messages += self.templates.mapped("description_done")
        return {
            *self.templates.mapped("title"),
            *questions.mapped("title"),
            *choices.mapped("value"),
            *(" ".join(html2plaintext(message).split()) for message in messages),
            *questions[0]._prepare_gap_labels().values(),
            *sum(questions[0]._prepare_scale_labels().values(), ()),
        } - {""}

    def test_copy_speaks_all_languages_of_the_template(self):
        self.env["res.lang"]._activate_lang("de_DE")
        template = self.env.ref("library_crm_survey.survey_template_nps")
        template.with_context(lang="de_DE").title = "Empfehlen Sie uns?"
        template.question_ids[0].with_context(lang="de_DE").title = "Wie gern?"
        survey = self._use("nps").with_context(lang="de_DE")
        self.assertEqual(survey.title, "Empfehlen Sie uns?")
        self.assertEqual(survey.question_ids[0].title, "Wie gern?")
        self.assertEqual(survey.with_context(lang="en_US").title, template.title)


@tagged("post_install", "-at_install")
class TestExitSurvey(SurveyCommon):
    """Amal agreed to surveys, Bruno did not; there is an exit survey."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["library.consent"]._record(
            cls.amal, cls.env.ref("library_crm.library_consent_purpose_survey")
        )
        cls.library.email = "library@test.example.com"
        cls.survey = cls._make_survey(cls.WHY, library_occasion="membership_cancelled")
        cls.memberships = cls._create_membership() + cls._create_membership(cls.bruno)
        cls.moved, cls.deceased, cls.plan_change = (
            cls.env.ref(f"library_crm.library_membership_reason_{name}")
            for name in ("moved", "deceased", "plan_change")
        )

    def _cancel(self, reason):
        self.memberships.with_user(self.manager).action_cancel(reason)
        return self.survey.user_input_ids

    def test_who_leaves_and_agreed_is_asked_why(self):
        answers = self._cancel(self.moved)
        self.assertEqual(answers.library_patron_id, self.amal)
        mail = self.env["mail.mail"].search(
            [("recipient_ids", "in", self.amal.partner_id.ids)], limit=1
        )
        self.assertEqual(mail.state, "outgoing")
        self.assertIn(answers.access_token, mail.body_html)
        self.assertIn("library@test.example.com", mail.email_from)

    def test_nobody_is_asked_about_those_who_died_or_changed_the_plan(self):
        self.assertFalse(self._cancel(self.deceased))
        self.memberships.state = "active"
        self.assertFalse(self._cancel(self.plan_change))

    def test_children_are_not_asked(self):
        """Not even where the guardian agreed to surveys for them."""
        self.amal.write({"birth_date": "2020-01-01", "guardian_id": self.bruno.id})
        self.assertTrue(self.amal.is_minor)
        self.assertFalse(self._cancel(self.moved))

    def test_who_was_asked_lately_leaves_in_peace(self):
        self._begin(self._make_survey(self.WHY))
        self.assertFalse(self._cancel(self.moved))
        self.assertEqual(set(self.memberships.mapped("state")), {"cancelled"})

    def test_closed_survey_is_not_sent(self):
        self.survey.active = False
        self.assertFalse(self._cancel(self.moved))

    def test_newest_version_is_sent(self):
        action = self.survey.action_new_version()
        new = self.survey.browse(action["res_id"])
        self.assertFalse(self._cancel(self.moved))
        self.assertEqual(new.user_input_ids.library_patron_id, self.amal)
