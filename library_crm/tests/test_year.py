import re
from datetime import date, timedelta

from lxml import html

from odoo import fields
from odoo.fields import Command
from odoo.tests import HttpCase, tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestYear(LibraryCommon, HttpCase):
    """A household's year: Amal guards Noor, and Tariq, who is grown up."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal.write({"login": "amal_portal", "password": "amal_portal"})
        values = {
            "company_id": cls.library.id,
            "branch_id": cls.main.id,
            "guardian_id": cls.amal.id,
        }
        cls.noor, cls.tariq = cls.env["library.patron"].create(
            [
                {
                    **values,
                    "name": "Noor Idris",
                    "birth_date": date(2019, 5, 23),
                    "patron_category_id": cls.child.id,
                },
                {**values, "name": "Tariq Idris", "birth_date": date(2001, 5, 23)},
            ]
        )
        cls.table = cls.env["library.value.table"].create(
            {
                "name": "Prices of the town",
                "year": 2025,
                "currency_id": cls.library.currency_id.id,
                "line_ids": [
                    Command.create(
                        {
                            "name": "Book",
                            "service_id": cls.loan.id,
                            "audience": audience,
                            "unit_value": price,
                        }
                    )
                    for audience, price in ((False, 20), ("child", 8))
                ],
            }
        )
        cls.library.library_value_table_id = cls.table
        cls.today = fields.Date.context_today(cls.amal)
        for patron, service, days, quantity in (
            (cls.amal, cls.loan, 10, 3),
            (cls.amal, cls.visit, 10, 2),
            (cls.noor, cls.loan, 20, 5),
            (cls.tariq, cls.loan, 20, 100),
            (cls.bruno, cls.loan, 20, 1000),
            (cls.amal, cls.loan, 400, 50),
        ):
            cls.env["library.service.usage"].create(
                {
                    "patron_id": patron.id,
                    "service_id": service.id,
                    "branch_id": cls.main.id,
                    "date": cls.today - timedelta(days=days),
                    "quantity": quantity,
                }
            )

    def _get_rows(self, page):
        """The cells of the table of a page."""
        return [
            [" ".join(cell.text_content().split()) for cell in row]
            for row in html.fromstring(page.text).xpath("//tbody/tr")
        ]

    def test_guardian_sees_the_household_and_what_it_was_worth(self):
        self.authenticate("amal_portal", "amal_portal")
        page = self.url_open("/my/library/year")
        rows = self._get_rows(page)
        self.assertEqual([row[:2] for row in rows], [["Lending", "8"], ["Visits", "2"]])
        self.assertIn("100.00", rows[0][2])  # 3 × 20 + 5 × 8
        self.assertEqual(rows[1][2], "—")
        self.assertIn("Prices of the town", page.text)
        self.assertIn("Noor Idris", page.text)

    def test_use_of_another_adult_is_not_shown(self):
        self.authenticate("amal_portal", "amal_portal")
        self.assertNotIn("Tariq", self.url_open("/my/library/year").text)

    def test_without_a_table_uses_are_told_and_no_value(self):
        self.library.library_value_table_id = False
        self.authenticate("amal_portal", "amal_portal")
        page = self.url_open("/my/library/year")
        self.assertEqual(self._get_rows(page), [["Lending", "8"], ["Visits", "2"]])
        self.assertNotIn("Prices:", page.text)

    def test_minor_with_a_login_sees_the_own_year(self):
        self.portal.partner_id = self.noor.partner_id
        self.authenticate("amal_portal", "amal_portal")
        [row] = self._get_rows(self.url_open("/my/library/year"))
        self.assertEqual(row[:2], ["Lending", "5"])

    def test_who_is_no_patron_sees_no_figures(self):
        self.portal.partner_id = self.env["res.partner"].create({"name": "Nobody"})
        self.authenticate("amal_portal", "amal_portal")
        page = self.url_open("/my/library/year")
        self.assertEqual(self._get_rows(page), [])
        self.assertIn("not registered", page.text)

    def test_year_with_a_leap_day_is_twelve_months(self):
        self.env["library.service.usage"].create(
            [
                {
                    "patron_id": self.bruno.id,
                    "service_id": self.loan.id,
                    "branch_id": self.main.id,
                    "date": day,
                }
                for day in (date(2023, 2, 27), date(2023, 2, 28), date(2024, 2, 28))
            ]
        )
        year = self.env["library.value.table"]._read_year(self.bruno, date(2024, 2, 29))
        self.assertEqual(year["rows"], [("lending", 2, 40.0)])
        self.assertEqual(
            (year["since"], year["until"]), (date(2023, 2, 28), date(2024, 2, 28))
        )

    def test_link_of_a_mail_opens_the_page_and_a_forged_one_does_not(self):
        link = self.amal._get_link("year")
        page = self.url_open(link)
        self.assertEqual(self._get_rows(page)[0][:2], ["Lending", "8"])
        self.assertEqual(page.headers["Cache-Control"], "no-store")
        self.assertEqual(self.url_open(f"{link}x").status_code, 404)
        preferences = self.amal._get_link("preferences").rpartition("/")[2]
        forged = self.url_open(f"/library_crm/year/{preferences}")
        self.assertEqual(forged.status_code, 404)

    def test_year_mail_goes_to_who_agreed_and_holds_a_link_and_no_figure(self):
        news = self.env.ref("library_crm.library_consent_purpose_news")
        self.env["library.consent"].create(
            {"patron_id": self.amal.id, "purpose_id": news.id, "state": "given"}
        )
        mailing = self.env.ref("library_crm.mailing_mailing_year").copy(
            {"user_id": self.marketing.id}
        )
        patrons = self.amal | self.bruno
        mailing.mailing_domain = [("id", "in", patrons.ids)]
        mailing.with_context(force_send=False).action_send_mail(patrons.ids)
        queued = self.env["mail.mail"].search(
            [("mailing_id", "=", mailing.id), ("state", "=", "outgoing")]
        )
        self.assertEqual(queued.mapped("res_id"), self.amal.ids)
        body = queued._prepare_outgoing_list()[0]["body"]
        [link] = re.findall(r'href="[^"]*(/library_crm/year/[^"]+)"', body)
        self.assertNotIn("Lending", body)
        self.assertEqual(self._get_rows(self.url_open(link))[0][:2], ["Lending", "8"])
