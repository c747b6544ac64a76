from datetime import date

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import SQL

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestErasure(LibraryCommon):
    """Who is erased, who is not, and what is said about it; that nothing is left is
    proved in ``tests/test_erasure.py``, across all addons."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Odoo does not delete a contact with a login of the portal; we do, of patrons.
        cls.portal.partner_id = cls.portal.partner_id.copy(
            {"name": "Nobody", "email": False}
        )
        cls.noor = cls.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "email": cls.amal.email,
                "company_id": cls.library.id,
                "branch_id": cls.main.id,
                "patron_category_id": cls.child.id,
                "birth_date": date(2019, 5, 23),
            }
        )

    def _erase(self, patrons, **options):
        return patrons.with_user(self.manager)._erase(**options)

    def _open(self, patrons, user=None):
        return Form(
            self.env["library.patron.erase"]
            .with_user(user or self.manager)
            .with_context(default_patron_ids=patrons.ids)
        )

    # ------------------------------------------------------------
    # FROM THE FORM
    # ------------------------------------------------------------

    def test_manager_sees_first_what_is_held_and_afterwards_what_was_done(self):
        self._create_membership()
        form = self._open(self.amal)
        wizard = form.save()
        self.assertIn("Membership", wizard.line_ids.mapped("what"))
        contact = self.amal.partner_id
        action = wizard.action_erase()
        self.assertFalse(self.amal.exists() or contact.exists())
        erasure = self.env["library.erasure"].browse(action["res_id"])
        self.assertEqual((erasure.patron_count, erasure.origin), (1, "staff"))
        self.assertNotIn("Amal", str(erasure.line_ids.read()))
        told = {line.what: line.reason for line in erasure.line_ids}
        self.assertFalse(told["Membership"], "What is removed needs no reason")
        self.assertEqual(action["target"], "main", "No way back to the page")
        with self.assertRaises(AccessError):
            erasure.with_user(self.manager).unlink()

    def test_desk_can_not_erase(self):
        with self.assertRaises(AccessError):
            self.amal.with_user(self.desk).unlink()
        with self.assertRaises(AccessError):
            self._open(self.amal, self.desk)

    def test_person_is_told_before_the_address_is_gone(self):
        erasure = self._erase(self.bruno, tell=True)
        mail = self.env["mail.mail"].search([("subject", "like", "was erased")])
        self.assertEqual(mail.email_to, "bruno.silva@test.example.com")
        self.assertTrue(mail.auto_delete, "And the mail goes when it is sent")
        self.assertFalse(mail.recipient_ids or mail.model)
        self.assertIn("Contact", mail.body_html)
        self.assertTrue(erasure.is_told)

    def test_erased_twice_is_erased_once(self):
        bruno = self.bruno
        self.assertEqual(self._erase(bruno).patron_count, 1)
        self.assertFalse(self._erase(bruno))

    # ------------------------------------------------------------
    # WHO NEEDS THE CONTACT
    # ------------------------------------------------------------

    def test_contact_stays_for_the_other_library(self):
        contact = self.bruno.partner_id
        other = self.env["library.patron"].create(
            {
                "partner_id": contact.id,
                "card_number": "H-1",
                "company_id": self.other_library.id,
                "branch_id": self.other_branch.id,
            }
        )
        erasure = self._erase(self.bruno)
        self.assertTrue(other.exists() and contact.exists())
        self.assertEqual(contact.email, "bruno.silva@test.example.com")
        line = erasure.line_ids.filtered(lambda line: line.what == "Contact")
        self.assertEqual((line.removed, line.kept), (0, 1))
        self.assertIn("another library", line.reason)

    def test_member_of_the_staff_stays_and_the_card_goes(self):
        patron = self.env["library.patron"].create(
            {"partner_id": self.desk.partner_id.id, "company_id": self.library.id}
        )
        erasure = self._erase(patron)
        self.assertTrue(self.desk.exists() and self.desk.active)
        self.assertFalse(patron.exists())
        line = erasure.line_ids.filtered(lambda line: line.what == "Contact")
        self.assertIn("staff", line.reason)

    def test_contact_of_a_company_or_a_deal_stays(self):
        for values, model in (
            ({"partner_id": self.amal.partner_id.id}, "crm.lead"),
            ({"partner_id": self.bruno.partner_id.id}, "res.company"),
        ):
            self.env[model].create({"name": "Needs the contact", **values})
        contacts = (self.amal + self.bruno).partner_id
        self._erase(self.amal + self.bruno)
        self.assertEqual(contacts.exists(), contacts)

    def test_what_a_family_shares_stays_for_the_others(self):
        blacklist = self.env["mail.blacklist"]._add(self.amal.email)
        contact = self.env["mailing.contact"].create(
            {"name": "Idris", "email": self.amal.email}
        )
        self._erase(self.noor)
        self.assertTrue(blacklist.exists() and contact.exists())
        self._erase(self.amal)
        self.assertFalse(blacklist.exists() or contact.exists())

    def test_login_of_the_portal_goes_along(self):
        login = new_test_user(
            self.env,
            "bruno_portal",
            "base.group_portal",
            partner_id=self.bruno.partner_id.id,
        )
        self._erase(self.bruno)
        self.assertFalse(login.exists())

    # ------------------------------------------------------------
    # CHILDREN
    # ------------------------------------------------------------

    def test_guardian_is_not_erased_before_somebody_else_looks_after_the_child(self):
        self.noor.guardian_id = self.amal
        with self.assertRaisesRegex(UserError, "guardian of Noor Idris"):
            self._erase(self.amal)
        form = self._open(self.amal)
        self.assertIn("Noor Idris", form.obstacle)
        form.new_guardian_id = self.bruno
        self.assertFalse(form.obstacle)
        form.save().action_erase()
        self.assertEqual(self.noor.guardian_id, self.bruno)

    def test_guardian_and_child_are_erased_together(self):
        self.noor.guardian_id = self.amal
        self.assertEqual(self._erase(self.amal + self.noor).patron_count, 2)

    # ------------------------------------------------------------
    # WHO OBJECTED IS REMEMBERED
    # ------------------------------------------------------------

    def test_objection_to_mail_outlives_the_person_as_a_digest(self):
        email = self.bruno.email
        self.env["mail.blacklist"]._add(email)
        self._erase(self.bruno)
        self.env.flush_all()
        [(rows,)] = self.env.execute_query(
            SQL("SELECT string_agg(t::text, '') FROM library_patron_tombstone t")
        )
        self.assertNotIn("bruno", rows)
        found = self.env["library.patron.tombstone"]._find_objections([email, "a@b.c"])
        self.assertEqual(found, {email})
        # Somebody has the address on a list still.
        contacts = self.env["mailing.contact"].create(
            [
                {"name": "B", "email": email},
                {"name": "C", "email": "c@test.example.com"},
            ]
        )
        mailing = self.env["mailing.mailing"].create(
            {
                "subject": "To a list",
                "body_html": "<p>News</p>",
                "mailing_model_id": self.env["ir.model"]._get_id("mailing.contact"),
                "mailing_domain": repr([("id", "in", contacts.ids)]),
            }
        )
        with self.enter_registry_test_mode():
            mailing.action_send_mail()
        traces = self.env["mailing.trace"].search(
            [("mass_mailing_id", "=", mailing.id)]
        )
        states = {trace.res_id: trace.trace_status for trace in traces}
        self.assertEqual(states[contacts[0].id], "cancel")
        self.assertNotEqual(states[contacts[1].id], "cancel")

    def test_who_did_not_object_is_not_remembered_by_address(self):
        email = self.bruno.email
        self._erase(self.bruno)
        self.assertFalse(self.env["library.patron.tombstone"]._find_objections([email]))

    # ------------------------------------------------------------
    # IN THE MIDDLE OF SOMETHING
    # ------------------------------------------------------------

    def test_mail_in_the_queue_is_not_sent(self):
        mails = self.env["mail.mail"].create(
            [
                {"subject": "One", "recipient_ids": self.bruno.partner_id.ids},
                {"subject": "Two", "email_to": self.bruno.email},
                {"subject": "Three", "email_to": self.amal.email},
            ]
        )
        self._erase(self.bruno)
        self.assertEqual(mails.exists(), mails[2])

    def test_letter_to_several_loses_one_reader(self):
        mail = self.env["mail.mail"].create(
            {
                "subject": "To both",
                "recipient_ids": (self.bruno + self.amal).partner_id.ids,
            }
        )
        self._erase(self.bruno)
        self.assertEqual(mail.recipient_ids, self.amal.partner_id)

    def test_refused_row_of_somebody_else_stays(self):
        source = self.env["library.data.source"].create(
            {"name": "Koha", "format": "koha_patrons", "company_id": self.library.id}
        )
        load = self.env["library.data.load"].create({"source_id": source.id})
        rows = self.env["library.data.refusal"].create(
            [
                {"load_id": load.id, "line": line, "reason": "…", "content": content}
                for line, content in enumerate(
                    (
                        '0043,"Silva, Bruno"',
                        "10043,Other",
                        'x,"BRUNO.SILVA@test.example.com"',
                    )
                )
            ]
        )
        self._erase(self.bruno)
        self.assertEqual(rows.exists(), rows[1])

    def test_segments_and_lists_go_on_without_the_person(self):
        segment = self.env["library.segment"].create(
            {
                "name": "Chosen",
                "kind": "list",
                "company_id": self.library.id,
                "listed_patron_ids": [Command.set((self.amal + self.bruno).ids)],
            }
        )
        self._erase(self.bruno)
        self.assertEqual(segment.listed_patron_ids, self.amal)
