import re

import polib

from odoo.tools.misc import file_path

LANGUAGES = ("ar", "de", "es", "fr", "it", "nl")


class SpeaksLanguages:
    """What patrons read of an addon, in the languages that come along. The tests of the
    addon take it up, and say which addon it is and what patrons read of it."""

    addon = None
    #: Parts of where a text comes from, as the template of translation tells it.
    spoken = ()
    #: Of those, what is for others.
    unspoken = ()

    def _get_entries(self, code):
        return polib.pofile(file_path(f"{self.addon}/i18n/{code}.po"))

    def _get_template(self):
        return polib.pofile(file_path(f"{self.addon}/i18n/{self.addon}.pot"))

    def _assert_translated(self, texts):
        self.assertTrue(texts)
        for code in LANGUAGES:
            there = {entry.msgid for entry in self._get_entries(code) if entry.msgstr}
            for text in texts:
                with self.subTest(code, text=text[:80]):
                    self.assertIn(text, there)

    def test_what_patrons_read_speaks_each_language(self):
        for part in self.spoken:
            texts = {
                entry.msgid
                for entry in self._get_template()
                for place, _line in entry.occurrences
                if part in place and not any(other in place for other in self.unspoken)
            }
            with self.subTest(part=part):
                self._assert_translated(texts)

    def test_labels_of_what_is_held_about_people_speak_each_language(self):
        """The public page tells them."""
        names = {
            f"field_{model._name.replace('.', '_')}__{field.name}"
            for model, field, _kind in self.env[
                "library.privacy.register"
            ]._get_entries()
        }
        self._assert_translated(
            {
                entry.msgid
                for entry in self._get_template()
                for place, _line in entry.occurrences
                if place.startswith("model:ir.model.fields,field_description:")
                and place.rpartition(".")[2] in names
            }
        )

    def test_what_is_filled_in_survives_every_translation(self):
        filled_in = re.compile(
            r"\{\{.*?\}\}|%\(\w+\)s|%s|%%|t-[\w-]+=\"[^\"]*\"|</?\w+"
        )
        for code in LANGUAGES:
            for entry in self._get_entries(code):
                with self.subTest(code, source=entry.msgid[:80]):
                    self.assertTrue(entry.msgstr)
                    self.assertEqual(
                        sorted(filled_in.findall(entry.msgid)),
                        sorted(filled_in.findall(entry.msgstr)),
                    )

    def test_no_translation_is_of_a_text_that_is_gone(self):
        there = {entry.msgid for entry in self._get_template()}
        for code in LANGUAGES:
            with self.subTest(code):
                gone = {entry.msgid for entry in self._get_entries(code)} - there
                self.assertFalse(gone, "Odoo leaves them out: delete or renew them")
