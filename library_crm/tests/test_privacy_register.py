from unittest.mock import patch

from odoo import fields
from odoo.fields import NO_ACCESS
from odoo.tests import tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestPrivacyRegister(LibraryCommon):
    """Of each field that holds something about a person it is said why."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.register = cls.env["library.privacy.register"]

    def _get_told(self):
        return {
            (model._name, field.name): kind
            for model, field, kind in self.register._get_entries()
        }

    def test_each_stored_field_is_told_of(self):
        self.assertEqual(self.register._find_undeclared(), [])

    def test_a_field_added_without_a_word_is_found(self):
        for model_name, field in (
            ("library.patron", fields.Char()),
            ("res.partner", fields.Char()),
            ("crm.lead", fields.Text()),
            ("library.service", fields.Many2one("res.partner")),
            ("library.cost", fields.Many2many("library.patron")),
        ):
            with self.subTest(model_name):
                self._add(model_name, "favourite_book", field)
                self.assertIn(
                    f"{model_name}.favourite_book", self.register._find_undeclared()
                )

    def _add(self, model_name, name, field):
        """Give a model one field more, as an addon would; for the test only."""
        field.name = name
        field._module = "library_crm_more"
        field.comodel_name = field._args__.get("comodel_name")
        added = patch.dict(type(self.env[model_name])._fields__, {name: field})
        added.start()
        self.addCleanup(added.stop)

    def test_what_holds_a_person_is_among_it(self):
        told = self._get_told()
        for place, kind in (
            (("library.patron", "birth_date"), "identity"),
            (("res.partner", "email"), "contact"),
            (("library.service.usage", "patron_id"), "use"),
            (("library.consent", "patron_id"), "consent"),
            (("mailing.trace", "email"), "mailing"),
            (("library.segment", "listed_patron_ids"), "mailing"),
            (("library.data.refusal", "content"), "load"),
            (("library.branch", "manager_id"), "staff"),
        ):
            self.assertEqual(told.get(place), kind, place)
        self.assertNotIn(("library.service.usage.month", "quantity"), told)
        self.assertNotIn(("library.service", "name"), told)

    def test_each_kind_has_a_category_a_purpose_and_a_legal_ground(self):
        categories = self.register._get_categories()
        bases = self.register._get_bases()
        for name, kind in self.register._get_kinds().items():
            with self.subTest(name):
                self.assertTrue(kind.label and kind.purpose)
                if kind.category:
                    self.assertIn(kind.category, categories)
                    self.assertIn(kind.basis, bases)
                    self.assertTrue(kind.rule or kind.kept)

    def test_who_sees_a_field_is_what_the_access_rights_say(self):
        def readers(model_name, name):
            model = self.env[model_name]
            return self.register._get_readers()(model, model._fields[name])

        roles = self.register._get_roles()
        desk = roles["library_crm.group_library_user"]
        marketing = roles["library_crm.group_library_marketing"]
        manager = roles["library_crm.group_library_manager"]
        patron = roles["base.group_portal"]
        self.assertEqual(readers("library.patron", "birth_date"), [desk, manager])
        self.assertEqual(
            readers("library.patron", "card_number"),
            [desk, marketing, manager, patron],
        )
        self.assertEqual(readers("library.service.usage", "date"), [desk, manager])
        self.assertEqual(readers("mail.message", "body"), [desk, manager])
        self.assertEqual(readers("library.patron.row", "digest"), [])
        self.assertEqual(readers("library.patron.tombstone", "card_digest"), [])
        self.assertEqual(
            self.env["library.patron"]._fields["preferences_asked_at"].groups, NO_ACCESS
        )
