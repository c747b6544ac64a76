import re

from odoo.tests import tagged

from odoo.addons.library_crm.tests.languages import LANGUAGES, SpeaksLanguages

from .common import RoundCommon

#: What whoever is asked reads: the pages of a survey and what is printed for them.
PAGES = ("question_gap", "survey_door", "survey_kiosk", "library_survey_poster")


@tagged("post_install", "-at_install")
class TestSurveyTranslation(SpeaksLanguages, RoundCommon):
    """What patrons read, in the languages that come along; see also the test of the
    templates."""

    addon = "library_crm_survey"
    spoken = ("mail.template,subject:", "mail.template,body_html:")

    def test_pages_speak_each_language(self):
        translate = self.env["ir.ui.view"]._fields["arch_db"].get_trans_terms
        texts = set()
        for name in PAGES:
            view = self.env.ref(f"library_crm_survey.{name}")
            texts.update(translate(view.with_context(lang="en_US").arch_db))
        self._assert_translated(texts)
        self.assertIn("Begin", texts)

    def test_invitations_speak_each_language(self):
        """Of each paragraph but the name of the library, whatever the round."""
        languages = self.env["res.lang"].with_context(active_test=False)
        rounds = self._make_round(), self._make_round(is_anonymous=True)
        for code in LANGUAGES:
            lang = languages.search([("code", "=like", f"{code}_%")], limit=1)
            lang.active = True
            for asking_round in rounds:
                for is_reminder in (False, True):
                    english, translated = (
                        asking_round.with_context(lang=code)._prepare_mailing_values(
                            is_reminder
                        )
                        for code in ("en_US", lang.code)
                    )
                    with self.subTest(code, asking_round=asking_round.is_anonymous):
                        self.assertNotEqual(english["subject"], translated["subject"])
                        texts, others = (
                            re.findall(r">([^<>]*\w[^<>]*)<", values["body_html"])
                            for values in (english, translated)
                        )
                        self.assertEqual(len(texts), len(others))
                        self.assertEqual(len(texts), 4)
                        self.assertFalse(set(texts) & set(others))

    def test_survey_that_comes_with_the_demo_speaks_each_language(self):
        survey = self.env.ref("library_crm_survey.survey_visit", False)
        if not survey:
            self.skipTest("without demo data")
        survey = survey.with_context(lang="en_US")
        choices = survey.question_ids.suggested_answer_ids
        self._assert_translated(
            {
                survey.title,
                *survey.question_ids.mapped("title"),
                *choices.mapped("value"),
            }
        )
