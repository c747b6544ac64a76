"""A name that is a program is shown as text on paper and in the portal, and what is
printed for one patron is printed for nobody else."""

from lxml import html

from odoo.fields import Command
from odoo.tests import HttpCase, new_test_user, tagged

from odoo.addons.library_crm_loyalty.tests.test_challenge import ChallengeCommon
from odoo.addons.library_crm_survey.tests.common import RoundCommon

EVIL = '<img src=x onerror="alert(1)">'


@tagged("post_install", "-at_install")
class TestNames(ChallengeCommon, RoundCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal.write({"login": "amal_portal", "password": "amal_portal"})
        cls.challenge = cls._create_challenge(target=1)
        cls.entry = cls.challenge._enrol(cls.amal)
        cls.env["library.service.usage"].create(
            {
                "patron_id": cls.amal.id,
                "service_id": cls.visit.id,
                "branch_id": cls.main.id,
            }
        )
        cls.challenge._refresh()
        cls.reward = cls.env["library.loyalty.reward"].create(
            {"program_id": cls.programme.id, "name": "A bag", "points": 10}
        )
        cls.card._library_post(
            [
                {
                    "card_id": cls.card.id,
                    "description": "For a test",
                    "library_kind": "manual",
                    "library_date": cls.monday,
                    "points": 50,
                }
            ]
        )
        cls.voucher = cls.reward._issue(cls.card)
        cls.kiosk = cls.env["library.survey.round"].create(
            {
                "name": "At the door",
                "survey_id": cls.survey.id,
                "company_id": cls.library.id,
                "kind": "kiosk",
                "branch_id": cls.main.id,
            }
        )

    def _get_papers(self):
        """What is printed: the report and its record."""
        return {
            "library_crm_loyalty.library_challenge_certificate": self.entry,
            "library_crm_loyalty.library_loyalty_voucher_report": self.voucher,
            "library_crm_survey.library_survey_poster_report": self.kiosk,
        }

    def assertShownAsText(self, text):
        self.assertIn("img src=x", text)
        self.assertFalse(html.fromstring(text).xpath("//img[@onerror]"))

    def test_name_that_is_a_program_is_printed_as_text(self):
        self.assertTrue(self.entry.finished_on)
        self.amal.partner_id.name = EVIL
        self.main.name = EVIL
        self.challenge.name = EVIL
        self.reward.name = EVIL
        for report, record in self._get_papers().items():
            content, _kind = (
                self.env["ir.actions.report"]
                .sudo()
                ._render_qweb_html(report, record.ids)
            )
            with self.subTest(report):
                self.assertShownAsText(content.decode())
        self.authenticate("amal_portal", "amal_portal")
        for page in (
            *("points", f"challenges/{self.challenge.id}"),
            *(f"challenges/{self.challenge.id}/certificate",),
            f"voucher/{self.voucher.id}",
        ):
            response = self.url_open(f"/my/library/{self.amal.id}/{page}")
            if response.headers["Content-Type"].startswith("text/html"):
                with self.subTest(page):
                    self.assertFalse(
                        html.fromstring(response.text).xpath("//img[@onerror]")
                    )

    def test_paper_of_one_patron_is_printed_for_nobody_else(self):
        """Neither by the portal's address nor by the address of the report."""
        stranger = new_test_user(
            self.env,
            "library_stranger",
            "base.group_portal",
            company_id=self.library.id,
            company_ids=[Command.set(self.library.ids)],
        )
        stranger.partner_id = self.bruno.partner_id
        for login in ("library_stranger", "library_employee", "library_marketing"):
            self.authenticate(login, login)
            for report in (
                "library_crm_loyalty.library_challenge_certificate",
                "library_crm_loyalty.library_loyalty_voucher_report",
            ):
                record = self._get_papers()[report]
                for kind in ("html", "text", "pdf"):
                    response = self.url_open(f"/report/{kind}/{report}/{record.id}")
                    with self.subTest(login, report=report, kind=kind):
                        self.assertNotIn("Amal Idris", response.text)
                        self.assertNotEqual(
                            response.headers["Content-Type"], "application/pdf"
                        )
            for page in (
                f"voucher/{self.voucher.id}",
                f"voucher/{self.voucher.id}/pdf",
                f"challenges/{self.challenge.id}/certificate",
            ):
                for patron in (self.amal, self.bruno):
                    response = self.url_open(
                        f"/my/library/{patron.id}/{page}", allow_redirects=False
                    )
                    with self.subTest(login, page=page, patron=patron.name):
                        self.assertEqual(response.status_code, 303)
