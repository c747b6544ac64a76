import io
import json
import re
import zipfile
from datetime import date

from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.tests import HttpCase, new_test_user, tagged

from .common import LibraryCommon


def unpack(content):
    """:return: the files of a copy by name, as bytes"""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class PrivacyCommon(LibraryCommon):
    """``portal`` is the user of Amal, who guards Noor."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal.write({"login": "amal_portal", "password": "amal_portal"})
        cls.noor = cls.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "company_id": cls.library.id,
                "branch_id": cls.main.id,
                "patron_category_id": cls.child.id,
                "guardian_id": cls.amal.id,
                "birth_date": date(2019, 5, 23),
            }
        )
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")


@tagged("post_install", "-at_install")
class TestCopy(PrivacyCommon):
    """A copy of all that is held about one person, and about nobody else."""

    def _get_copy(self, patron):
        return unpack(patron.with_user(self.manager)._export_personal_data())

    def test_copy_is_for_machines_and_for_people_and_brings_the_files(self):
        self._create_membership()
        self.env["library.service.usage"].create(
            {
                "patron_id": self.amal.id,
                "service_id": self.visit.id,
                "branch_id": self.main.id,
                "date": "2024-03-04",
            }
        )
        self.env["ir.attachment"].create(
            {
                "name": "../a letter.txt",
                "raw": b"Dear library",
                "res_model": "library.patron",
                "res_id": self.amal.id,
            }
        )
        copy = self._get_copy(self.amal)
        told = json.loads(copy["data.json"])
        [patron] = told["models"]["library.patron"]["records"]
        self.assertEqual(patron["card_number"], "0042")
        self.assertEqual(patron["birth_date"], "1984-02-29")
        [use] = told["models"]["library.service.usage"]["records"]
        self.assertEqual((use["date"], use["service_id"]), ("2024-03-04", "Visit"))
        page = copy["index.html"].decode()
        for shown in ("Amal Idris", "0042", "Membership", "Riverside Library"):
            self.assertIn(shown, page)
        [name] = told["files"]
        self.assertEqual(copy[name], b"Dear library")
        self.assertNotIn("..", name)

    def test_others_are_not_in_it(self):
        household = self.env["library.household"].create(
            {"name": "Both", "company_id": self.library.id}
        )
        (self.amal + self.bruno).household_id = household
        self.amal.liaison_id = self.desk
        self.bruno.guardian_id = False
        self.amal.with_user(self.desk).message_post(
            body="Bruno Silva called for her, says Dana Desk", message_type="comment"
        )
        self.env["crm.lead"].create(
            {
                "name": "For the child",
                "library_request_kind": "consultation",
                "library_patron_id": self.noor.id,
                "partner_id": self.amal.partner_id.id,
            }
        )
        held = b"".join(self._get_copy(self.amal).values()).decode()
        self.assertIn("called for her", held)
        for other in ("Noor", "Bruno", "silva", "Dana", "For the child", "2019-05-23"):
            with self.subTest(other):
                self.assertNotIn(other, held)
        of_child = b"".join(self._get_copy(self.noor).values()).decode()
        self.assertIn("For the child", of_child)
        self.assertNotIn("amal.idris", of_child)

    def test_another_library_is_not_in_it(self):
        other = self.env["library.patron"].create(
            {
                "partner_id": self.amal.partner_id.id,
                "card_number": "H-77",
                "company_id": self.other_library.id,
                "branch_id": self.other_branch.id,
            }
        )
        held = b"".join(self._get_copy(self.amal).values()).decode()
        self.assertNotIn("H-77", held)
        self.assertIn("H-77", self._get_copy(other)["data.json"].decode())

    def test_secrets_are_not_in_it(self):
        self.amal.partner_id.signup_prepare()
        held = b"".join(self._get_copy(self.amal).values()).decode()
        self.assertNotRegex(
            held, r"(?i)\"[a-z_]*(password|token|digest|secret)[a-z_]*\""
        )

    def test_each_model_that_can_hold_the_person_is_in_it(self):
        """Found in another way: from the fields that are written down."""
        linked = (
            self.env["ir.model.fields"]
            .search(
                [
                    ("relation", "in", ["library.patron", "res.partner"]),
                    ("ttype", "in", ["many2one", "many2many"]),
                    ("store", "=", True),
                    ("name", "not in", ["create_uid", "write_uid"]),
                ]
            )
            .mapped("model")
        )
        held = {
            name
            for name in linked
            if name in self.env
            and self.env[name]._auto
            and not self.env[name]._abstract
            and not self.env[name]._transient
        }
        self.assertIn("library.membership", held)
        found = {name for name, _field, _comodel in self.amal._get_links()}
        self.assertEqual(held - found, set())
        self.assertLessEqual(
            set(self.amal._UNTOLD) - found, {"mail.mail", "res.device"}, "Gone: renew"
        )


@tagged("post_install", "-at_install")
class TestObject(PrivacyCommon):
    def test_objection_to_figures_forgets_them_at_once(self):
        visits = [
            {
                "patron_id": self.amal.id,
                "service_id": self.visit.id,
                "branch_id": self.main.id,
                "date": fields.Date.today() - relativedelta(days=days),
            }
            for days in (1, 8, 15)
        ]
        self.env["library.service.usage"].create(visits)
        segment = self.env["library.segment"].create(
            {
                "name": "Visitors",
                "company_id": self.library.id,
                "condition_ids": [
                    (0, 0, {"rule": "at_least", "amount": 1, "period_days": 90})
                ],
            }
        )
        never = self.env["library.segment"].create(
            {
                "name": "Never came",
                "company_id": self.library.id,
                "condition_ids": [(0, 0, {"rule": "never", "amount": 0})],
            }
        )
        Patron = self.env["library.patron"]
        self.assertTrue(self.amal.lifecycle)
        self.assertIn(self.amal, Patron.search(segment._get_domain()))
        self.amal.with_user(self.manager).action_object_profiling()
        self.assertFalse(self.amal.lifecycle or self.amal.cluster_id)
        self.assertFalse(self.amal.use_day_count)
        for of_use in (segment, never):
            self.assertNotIn(self.amal, Patron.search(of_use._get_domain()))
        self.assertTrue(self.amal._has_objected("profiling"))
        self.assertFalse(self.amal._has_objected("marketing"))

    def test_objection_to_mailings_is_in_the_ledger_once_and_stops_them(self):
        self.env["library.consent"]._record(self.amal, self.news)
        self.assertIn(self.news, self.amal.agreed_purpose_ids)
        self.assertTrue(self.amal._object("marketing"))
        self.assertFalse(self.amal._object("marketing"), "Said already")
        self.env.invalidate_all()
        self.assertFalse(self.amal.agreed_purpose_ids)
        self.assertTrue(self.amal._has_objected("marketing"))


@tagged("post_install", "-at_install")
class TestPortalPrivacy(PrivacyCommon, HttpCase):
    def _post(self, patron, action, **values):
        page = self.url_open("/my/account")
        token = re.search(r'csrf_token: "([^"]+)"', page.text).group(1)
        return self.url_open(
            f"/my/library/{patron.id}/privacy/{action}",
            data={"csrf_token": token, **values},
            allow_redirects=False,
        )

    def _notice(self, response):
        self.assertIn(response.status_code, (302, 303))
        return response.headers["Location"].partition("notice=")[2]

    def test_patron_gets_the_copy_with_the_password_only(self):
        self.authenticate("amal_portal", "amal_portal")
        refused = self._post(self.amal, "copy", password="wrong")
        self.assertEqual(self._notice(refused), "wrong_password")
        response = self._post(self.amal, "copy", password="amal_portal")
        self.assertEqual(response.headers["Content-Type"], "application/zip")
        self.assertIn("no-store", response.headers["Cache-Control"])
        self.assertIn("0042", unpack(response.content)["index.html"].decode())
        self.assertFalse(
            self.env["ir.attachment"].search([("mimetype", "=", "application/zip")]),
            "It is kept nowhere",
        )

    def test_guardian_has_the_rights_of_the_child_and_of_nobody_else(self):
        self.authenticate("amal_portal", "amal_portal")
        response = self._post(self.noor, "copy", password="amal_portal")
        self.assertIn("Noor", unpack(response.content)["data.json"].decode())
        for patron in (self.bruno, self.other_patron):
            response = self._post(patron, "copy", password="amal_portal")
            self.assertTrue(response.headers["Location"].endswith("/my"))
            self.assertEqual(
                self.url_open(
                    f"/my/library/{patron.id}/privacy", allow_redirects=False
                ).status_code,
                303,
            )

    def test_child_does_not_decide_alone_and_grown_up_does_not_need_the_guardian(self):
        user = new_test_user(
            self.env,
            "noor_portal",
            "base.group_portal",
            company_id=self.library.id,
            company_ids=[(6, 0, self.library.ids)],
        )
        user.partner_id = self.noor.partner_id
        self.authenticate("noor_portal", "noor_portal")
        response = self._post(self.noor, "erase", sure="1", password="noor_portal")
        self.assertTrue(response.headers["Location"].endswith("/my"))
        self.noor.birth_date = date(1990, 1, 1)
        self.noor.patron_category_id = self.adult
        response = self._post(self.noor, "erase", sure="1", password="noor_portal")
        self.assertEqual(self._notice(response), "erasure")
        self.authenticate("amal_portal", "amal_portal")
        response = self._post(self.noor, "copy", password="amal_portal")
        self.assertTrue(response.headers["Location"].endswith("/my"))

    def test_wish_to_be_erased_is_a_request_with_a_day_and_stops_mail_at_once(self):
        self.env["library.consent"]._record(self.amal, self.news)
        self.authenticate("amal_portal", "amal_portal")
        for values, notice in (
            ({"password": "amal_portal"}, "not_ticked"),
            ({"sure": "1", "password": "wrong"}, "wrong_password"),
            ({"sure": "1", "password": "amal_portal"}, "erasure"),
            ({"sure": "1", "password": "amal_portal"}, "erasure_open"),
        ):
            response = self._post(self.amal, "erase", **values)
            self.assertEqual(self._notice(response), notice)
        [request] = self.amal._get_open_privacy_requests("erasure")
        self.assertEqual(
            request.date_deadline, fields.Date.today() + relativedelta(months=1)
        )
        self.env.invalidate_all()
        self.assertFalse(self.amal.agreed_purpose_ids)
        self.assertTrue(self.amal._has_objected("profiling"))
        page = self.url_open(f"/my/library/{self.amal.id}/privacy").text
        self.assertIn("It erases the data by", page)
        # The manager confirms it, and says who looks after the child from now on.
        action = request.with_user(self.manager).action_library_erase()
        wizard = (
            self.env["library.patron.erase"]
            .with_user(self.manager)
            .with_context(**action["context"])
            .create({})
        )
        self.assertEqual(wizard.origin, "person")
        self.assertIn("Noor Idris", wizard.obstacle)
        wizard.new_guardian_id = self.bruno
        wizard.action_erase()
        self.assertEqual(self.noor.guardian_id, self.bruno)
        self.assertFalse(self.portal.exists())
        self.assertEqual(request.name, "Request of a patron who was erased")

    def test_correction_is_a_request_and_its_words_are_text(self):
        self.authenticate("amal_portal", "amal_portal")
        self.assertEqual(
            self._notice(self._post(self.amal, "correct", wish="  ")), "no_wish"
        )
        wish = "<script>alert(1)</script> I moved"
        self.assertEqual(
            self._notice(self._post(self.amal, "correct", wish=wish)), "corrected"
        )
        [request] = self.amal._get_open_privacy_requests("correction")
        self.assertIn("&lt;script&gt;", request.description)
        self.assertEqual(request.library_branch_id, self.main)
        self.assertFalse(request.with_user(self.marketing).has_access("read"))
        self.assertTrue(request.with_user(self.desk).has_access("write"))

    def test_patron_objects_with_one_click(self):
        self.authenticate("amal_portal", "amal_portal")
        response = self._post(self.amal, "object", kind="profiling")
        self.assertEqual(self._notice(response), "objected")
        self._post(self.amal, "object", kind="anything")
        rows = self.amal.consent_ids
        self.assertEqual(set(rows.mapped("source")), {"portal"})
        self.assertEqual(set(rows.purpose_id.mapped("kind")), {"profiling"})

    def test_link_in_a_mail_does_for_the_password_for_a_day(self):
        self.authenticate("amal_portal", "amal_portal")
        for _time in range(2):
            response = self._post(self.amal, "link")
            self.assertEqual(self._notice(response), "link_sent")
        mail = self.env["mail.mail"].search(
            [("subject", "=", "Your data at Riverside Library")]
        )
        self.assertEqual(len(mail), 1, "But not again and again")
        self.authenticate(None, None)
        link = re.search(r"/library_crm/privacy/[\w.-]+", mail.body_html).group()
        page = self.url_open(link).text
        self.assertIn("Noor Idris", page)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page).group(1)
        for patron, is_own in (
            (self.amal, True),
            (self.noor, True),
            (self.bruno, False),
        ):
            response = self.url_open(
                f"{link}/{patron.id}/copy", data={"csrf_token": token}
            )
            self.assertEqual(response.status_code, 200 if is_own else 404)
        self.assertEqual(self.url_open(f"{link}x").status_code, 404)
        self.amal.email = "amal.new@test.example.com"
        self.env.flush_all()
        self.assertEqual(self.url_open(link).status_code, 404, "The address is another")

    def test_only_a_manager_gives_out_a_copy_at_the_desk(self):
        for login, status in (("library_manager", 200), ("library_desk", 404)):
            self.authenticate(login, login)
            response = self.url_open(f"/library_crm/copy/{self.amal.id}")
            self.assertEqual(response.status_code, status, login)
        self.authenticate("library_manager", "library_manager")
        response = self.url_open(f"/library_crm/copy/{self.other_patron.id}")
        self.assertEqual(response.status_code, 404)
