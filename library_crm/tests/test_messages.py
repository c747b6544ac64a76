from datetime import timedelta

from odoo import fields
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestMessages(LibraryCommon, HttpCase):
    """What somebody at the screen is told about bad input: the field is named, and
    nothing is half-saved."""

    def _refused_as_desk(self, model, values):
        """:return: what the screen says when the desk tries to save the values"""
        response = self.url_open(
            "/web/dataset/call_kw",
            json={
                "params": {
                    "model": model,
                    "method": "web_save",
                    "args": [[], values],
                    "kwargs": {"specification": {}},
                }
            },
        ).json()
        self.assertIn("error", response)
        return response["error"]["data"]["message"]

    @mute_logger("odoo.sql_db", "odoo.http")
    def test_bad_input_names_the_field_and_saves_nothing(self):
        self.authenticate("library_desk", "library_desk")
        today = fields.Date.today()
        patron = {"name": "Nobody Yet", "company_id": self.library.id}
        membership = {"patron_id": self.amal.id, "plan_id": self.plan.id}
        usage = {
            "patron_id": self.amal.id,
            "service_id": self.visit.id,
            "branch_id": self.main.id,
        }
        for model, values, message in [
            ("library.patron", {**patron, "card_number": "0042"}, "Card number: "),
            ("library.patron", {**patron, "birth_year": 84}, "Birth year: "),
            (
                "library.patron",
                {**patron, "birth_date": str(today + timedelta(days=2))},
                "Birth date: ",
            ),
            (
                "library.membership",
                {**membership, "date_start": "2026-05-01", "date_end": "2026-04-30"},
                "Last day: ",
            ),
            ("library.membership", {**membership, "fee": -1}, "Fee: "),
            ("library.service.usage", {**usage, "quantity": -1}, "Quantity: "),
            (
                "library.service.usage",
                {**usage, "date": str(today + timedelta(days=2))},
                "Date: ",
            ),
        ]:
            before = self.env[model].search_count([])
            contacts = self.env["res.partner"].search_count([])
            with self.subTest(model=model, values=values):
                self.assertIn(message, self._refused_as_desk(model, values))
                self.assertEqual(self.env[model].search_count([]), before)
                self.assertEqual(
                    self.env["res.partner"].search_count([]),
                    contacts,
                    "No contact without its patron",
                )
