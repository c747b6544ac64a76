import unittest

from odoo.tests import tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestPrivacyLookup(LibraryCommon):
    """Odoo's look-up of what is held about somebody (the addon ``privacy_lookup``,
    which ``tests/test_privacy_lookup.py`` installs) finds patrons, and to delete there
    is to erase."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if "privacy.lookup.wizard" not in cls.env:
            raise unittest.SkipTest("Only with the addon privacy_lookup")
        cls.portal.partner_id = cls.portal.partner_id.copy({"email": False})
        cls.portal.partner_id.name = "Nobody"
        cls.login = cls.env["res.users"].create(
            {
                "login": "bruno_portal",
                "partner_id": cls.bruno.partner_id.id,
                "group_ids": [(6, 0, cls.env.ref("base.group_portal").ids)],
            }
        )
        cls._create_membership(cls.bruno)
        cls.request = cls.env["crm.lead"].create(
            {
                "name": "A question of Bruno Silva",
                "library_request_kind": "reference",
                "library_patron_id": cls.bruno.id,
                "email_from": cls.bruno.email,
            }
        )
        cls.bruno.message_post(body="I am Bruno", author_id=cls.bruno.partner_id.id)
        cls.bruno.invalidate_recordset()

    def _look_up(self):
        wizard = self.env["privacy.lookup.wizard"].create(
            {"name": self.bruno.complete_name, "email": self.bruno.email}
        )
        wizard.action_lookup()
        return wizard.line_ids

    def test_patron_and_request_are_found(self):
        found = {(line.res_model, line.res_id) for line in self._look_up()}
        for record in (self.bruno, self.bruno.partner_id, self.request, self.login):
            with self.subTest(record._name):
                self.assertIn((record._name, record.id), found)

    def test_all_of_it_is_deleted_there_and_the_patron_erased(self):
        lines = self._look_up()
        self.assertGreater(len(lines), 3)
        lines.action_unlink_all()
        self.assertTrue(all(lines.mapped("is_unlinked")))
        self.assertFalse(self.bruno.exists() or self.login.exists())
        erasure = self.env["library.erasure"].search([], limit=1)
        self.assertEqual(erasure.origin, "contact")
        self.assertTrue(self.env["library.patron.tombstone"].search([], limit=1))

    def test_to_archive_there_archives_and_erases_nobody(self):
        # Odoo archives no contact with a login that works.
        self.login.active = False
        self._look_up().action_archive_all()
        self.assertTrue(self.bruno.exists())
        self.assertFalse(self.bruno.active)
