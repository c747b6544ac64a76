from odoo import fields
from odoo.tests import HttpCase, tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestTours(LibraryCommon, HttpCase):
    def test_first_hour_at_the_desk(self):
        self.env["library.service.usage"].create(
            {
                "patron_id": self.amal.id,
                "service_id": self.loan.id,
                "branch_id": self.main.id,
            }
        )
        self._create_membership(self.amal)
        self.env["library.patron"].create(
            {
                "name": "Rana Haddad-Silva",
                "email": "rana@test.example.com",
                "company_id": self.library.id,
                "branch_id": self.main.id,
            }
        )
        enquiry = self.env["crm.lead"].create(
            {
                "name": "A card for Rana",
                "contact_name": "Rana Haddad",
                "email_from": "rana@test.example.com",
                "library_request_kind": "joining",
                "library_branch_id": self.main.id,
                "company_id": self.library.id,
            }
        )
        self.start_tour(
            "/odoo/patrons", "library_desk_first_hour", login="library_desk"
        )

        uses = self.env["library.service.usage"].search(
            [("patron_id", "=", self.amal.id), ("date", "=", fields.Date.today())]
        )
        self.assertEqual(
            set(uses.service_id.mapped("code")), {"visit", "reference", "loan"}
        )
        request = self.amal.request_ids
        self.assertEqual(request.name, "Maps of the old harbour")
        self.assertEqual(
            request.stage_id, self.env.ref("library_crm.crm_stage_service_doing")
        )
        patron = enquiry.library_patron_id
        self.assertEqual(patron.card_number, "0078")
        self.assertEqual(patron.membership_state, "active")
        self.assertEqual(enquiry.won_status, "won")

    def test_desk_clicks_what_a_patron_agrees_to(self):
        self.start_tour(
            f"/odoo/patrons/{self.amal.id}",
            "library_consent_grid_tour",
            login="library_desk",
        )
        self.assertEqual(
            [
                (row.purpose_id.code, row.channel, row.state, row.source)
                for row in self.amal.consent_ids.sorted("id")
            ],
            [
                ("news", "email", "given", "desk"),
                ("survey", "phone", "given", "desk"),
                ("survey", "phone", "withdrawn", "desk"),
            ],
        )
        self.assertEqual(set(self.amal.consent_ids.user_id.ids), {self.desk.id})

    def test_source_is_set_up_from_a_sample_file(self):
        source = self.env["library.data.source"].create(
            {
                "name": "Evergreen",
                "format": "mapped_patrons",
                "company_id": self.library.id,
            }
        )
        self.start_tour(
            "/odoo/action-library_crm.library_data_source_action",
            "library_source_tour",
            login="library_manager",
        )
        maja = self.env["library.patron"].search(
            [("company_id", "=", self.library.id), ("card_number", "=", "0000501")]
        )
        self.assertEqual(maja.name, "Maja Lindqvist")
        self.assertEqual(source.load_ids.rows_refused, 1)

    def test_journey_is_drawn_step_by_step(self):
        self.start_tour(
            "/odoo/journeys", "library_journey_tour", login="library_marketing"
        )
        journey = self.env["library.journey"].search(
            [("name", "=", "Long time no see")]
        )
        question, call = journey.step_ids.sorted("id")
        self.assertEqual(question.kind, "condition")
        self.assertEqual((call.parent_id, call.branch), (question, "yes"))

    def test_segment_shows_the_dates_that_are_counted_from_today(self):
        """Odoo's editor takes each date for a fixed one and shows Invalid DateTime."""
        segment = self.env["library.segment"].create(
            {
                "name": "Expires soon",
                "company_id": self.library.id,
                "domain": "[('expiry_date', '>=', 'today'), "
                "('expiry_date', '<=', '+30d'), ('enrolled_on', '<', '-1y')]",
            }
        )
        self.browser_js(
            f"/odoo/action-library_crm.library_segment_action/{segment.id}",
            """
            const shown = [...document.querySelectorAll(".o_tree_editor input")].map(
                (input) => input.value
            );
            if (["today", "+30d", "-1y"].every((date) => shown.includes(date))) {
                console.log("test successful");
            } else {
                console.error(`shown: ${shown}`);
            }
            """,
            ready="document.querySelectorAll('.o_tree_editor input').length > 2",
            login="library_marketing",
        )
