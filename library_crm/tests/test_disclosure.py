import re
from ast import literal_eval

from lxml import html

from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged

from .test_retention_rule import RetentionCommon


@tagged("post_install", "-at_install")
class TestDisclosure(RetentionCommon, HttpCase):
    """Everybody can read what a library holds about people, and for how long now."""

    def _open(self, path=None):
        self.env.flush_all()
        response = self.url_open(path or f"/library/privacy?library={self.library.id}")
        return response.status_code, html.fromstring(response.text)

    def _get_kept(self, page, kind):
        [article] = page.xpath(f"//article[@data-kind='{kind}']")
        [kept] = article.find_class("o_library_privacy_kept")
        return kept.text_content().strip()

    def test_page_tells_each_kind_with_purpose_ground_and_the_real_fields(self):
        status, page = self._open()
        self.assertEqual(status, 200)
        register = self.env["library.privacy.register"]
        kinds, bases = register._get_kinds(), register._get_bases()
        told = {kind for _model, _field, kind in register._get_entries()}
        self.assertEqual(
            {place.get("data-kind") for place in page.xpath("//article[@data-kind]")},
            told,
        )
        for name in told:
            with self.subTest(name):
                [article] = page.xpath(f"//article[@data-kind='{name}']")
                text = re.sub(r"\s+", " ", article.text_content())
                self.assertIn(kinds[name].purpose, text)
                self.assertIn(bases[kinds[name].basis], text)
        [use] = page.xpath("//article[@data-kind='use']")
        text = use.text_content()
        self.assertIn("desk, managers", text)
        self.assertNotIn("marketing", text)
        text = page.text_content()
        for label in ("Birth Date", "Card Number", "Guardian", "Phone", "Last Use"):
            self.assertIn(label, text)
        self.assertIn("Riverside Library", text)

    def test_page_tells_the_rules_as_they_are_now(self):
        self.assertIn("27 months", self._get_kept(self._open()[1], "use"))
        self.rules["usage"].write({"keep_number": 5, "keep_unit": "year"})
        self.assertIn("5 years", self._get_kept(self._open()[1], "use"))
        self.rules["usage"].active = False
        self.assertEqual(self._get_kept(self._open()[1], "use"), "Kept for ever.")

    def test_each_library_tells_its_own_rules(self):
        self.rules["usage"].keep_number = 30
        other = f"/library/privacy?library={self.other_library.id}"
        self.assertIn("27 months", self._get_kept(self._open(other)[1], "use"))

    def test_library_that_is_none_is_not_found(self):
        company = self.env["res.company"].create({"name": "No library"})
        for library in (company.id, 0, 10**12, "x", "-1", "%00"):
            with self.subTest(library):
                status, _page = self._open(f"/library/privacy?library={library}")
                self.assertEqual(status, 404)

    def test_page_names_nobody(self):
        _status, page = self._open()
        text = page.text_content()
        for name in ("Amal", "Bruno", "Mina Manager", "0042"):
            self.assertNotIn(name, text)

    def test_form_preferences_and_portal_lead_to_the_page(self):
        link = f"/library/privacy?library={self.library.id}"
        token = self.amal._get_link("preferences")
        for path in (token,):
            _status, page = self._open(path)
            self.assertTrue(page.xpath(f"//a[@href='{link}']"), path)

    def test_page_speaks_each_language_and_from_right_to_left(self):
        Register = self.env["library.privacy.register"]
        Rule = self.env["library.retention.rule"]
        for lang in ("ar_001", "de_DE", "es_ES", "fr_FR", "it_IT", "nl_NL"):
            self.env["res.lang"]._activate_lang(lang)
            told = Register.with_context(lang=lang)._get_kinds()
            for name, kind in Register._get_kinds().items():
                with self.subTest(lang, kind=name):
                    self.assertNotEqual(told[name].label, kind.label)
                    self.assertNotEqual(told[name].purpose, kind.purpose)
            rules = Rule.with_context(lang=lang)._get_for(self.library)
            for name, rule in self.rules.items():
                with self.subTest(lang, rule=name):
                    self.assertNotEqual(rules[name]._say_kept(), rule._say_kept())
        self.opener.cookies["frontend_lang"] = "ar_001"
        _status, page = self._open()
        self.assertEqual((page.get("lang"), page.get("dir")), ("ar-001", "rtl"))
        self.assertIn("من الأشهر", self._get_kept(page, "use"))

    # ------------------------------------------------------------
    # FOR THE AUTHORITY
    # ------------------------------------------------------------

    def test_record_has_a_line_for_each_field_and_is_the_managers(self):
        Entry = self.env["library.privacy.entry"]
        action = Entry.with_user(self.manager).action_open()
        entries = Entry.with_user(self.manager).search(literal_eval(action["domain"]))
        register = self.env["library.privacy.register"]
        self.assertEqual(len(entries), len(register._get_entries()))
        [birth] = entries.filtered(
            lambda line: line.name == "library.patron.birth_date"
        )
        self.assertEqual(birth.readers, "desk, managers")
        self.assertEqual(birth.category, "identity")
        self.assertEqual(birth.basis, "contract")
        self.assertIn("24 months", birth.kept)
        [use] = entries.filtered(lambda line: line.name == "library.service.usage.date")
        self.assertIn("27 months", use.kept)
        self.manager.group_ids += self.env.ref("base.group_allow_export")
        exported = entries.export_data(["category", "kind", "field_label", "kept"])
        self.assertEqual(len(exported["datas"]), len(entries))
        for role in (self.desk, self.marketing, self.portal):
            with self.subTest(role.login), self.assertRaises(AccessError):
                Entry.with_user(role).action_open()

    def test_record_can_be_printed(self):
        Entry = self.env["library.privacy.entry"].with_user(self.manager)
        entries = Entry.search(literal_eval(Entry.action_open()["domain"]))
        page, _kind = self.env["ir.actions.report"]._render_qweb_html(
            "library_crm.library_privacy_entry_report", entries.ids
        )
        self.assertIn("birth", page.decode().lower())
