import re

import polib

from odoo.tests import tagged
from odoo.tools import file_path

from .common import RoundCommon

LANGUAGES = ("ar", "de", "es", "fr", "it", "nl")
#: What whoever is asked reads: the pages of a survey and what is printed for them.
PAGES = ("question_gap", "survey_door", "survey_kiosk", "library_survey_poster")


@tagged("post_install", "-at_install")
class TestSurveyTranslation(RoundCommon):
    """What patrons read, in the languages that come along; see also the test of the
    templates."""

    def _get_entries(self, code):
        return polib.pofile(file_path(f"library_crm_survey/i18n/{code}.po"))

    def _assert_translated(self, texts):
        self.assertTrue(texts)
        for code in LANGUAGES:
            there = {entry.msgid for entry in self._get_entries(code) if entry.msgstr}
            for text in texts:
                with self.subTest(code, text=text[:80]):
                    self.assertIn(text, there)

    def test_pages_speak_each_language(self):
        translate = self.env["ir.ui.view"]._fields["arch_db"].get_trans_terms
        texts = set()
        for name in PAGES:
            view = self.env.ref(f"library_crm_survey.{name}")
            texts.update(translate(view.with_context(lang="en_US").arch_db))
        self._assert_translated(texts)
        self.assertIn("Begin", texts)

    def test_mails_speak_each_language(self):
        templates = self.env["mail.template"].search([])
        templates = templates.filtered(
            lambda template: template.get_external_id()[template.id].startswith(
                "library_crm_survey"
            )
        ).with_context(lang="en_US")
        self.assertEqual(len(templates), 2)
        self._assert_translated(
            {*templates.mapped("subject"), *map(str, templates.mapped("body_html"))}
        )

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

    def test_what_is_filled_in_survives_every_translation(self):
        filled_in = re.compile(r"%\(\w+\)s|%%|t-[\w-]+=\"[^\"]*\"|</?\w+")
        for code in LANGUAGES:
            for entry in self._get_entries(code):
                with self.subTest(code, source=entry.msgid[:80]):
                    self.assertTrue(entry.msgstr)
                    self.assertEqual(
                        sorted(filled_in.findall(entry.msgid)),
                        sorted(filled_in.findall(entry.msgstr)),
                    )

    def test_no_translation_is_of_a_text_that_is_gone(self):
        template = file_path("library_crm_survey/i18n/library_crm_survey.pot")
        there = {entry.msgid for entry in polib.pofile(template)}
        for code in LANGUAGES:
            with self.subTest(code):
                gone = {entry.msgid for entry in self._get_entries(code)} - there
                self.assertFalse(gone, "Odoo leaves them out: delete or renew them")
