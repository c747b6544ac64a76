from odoo.exceptions import UserError
from odoo.tests import Form, tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestRequest(LibraryCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.acquisition = cls.env.ref("library_crm.crm_team_acquisition")
        cls.service = cls.env.ref("library_crm.crm_team_service")
        cls.win_back = cls.env.ref("library_crm.crm_team_win_back")

    def _request(self, kind="reference", **values):
        return (
            self.env["crm.lead"]
            .with_user(self.desk)
            .create({"name": kind, "library_request_kind": kind, **values})
        )

    def test_request_goes_to_the_team_whose_work_it_is(self):
        # Who works with leads makes leads, unless it is a request.
        self.desk.group_ids += self.env.ref("crm.group_use_lead")
        for kind, team in [
            ("joining", self.acquisition),
            ("win_back", self.win_back),
            ("renewal", self.service),
            ("reference", self.service),
            ("consultation", self.service),
            ("suggestion", self.service),
            ("complaint", self.service),
            ("outreach", self.service),
        ]:
            with self.subTest(kind=kind):
                request = self._request(kind)
                self.assertEqual(request.team_id, team)
                self.assertEqual(request.stage_id.team_ids, team)
                self.assertEqual(request.type, "opportunity")

    def test_request_changes_team_with_its_kind(self):
        request = self._request("reference")
        request.library_request_kind = "joining"
        self.assertEqual(request.team_id, self.acquisition)
        self.assertEqual(request.stage_id.team_ids, self.acquisition)

    def test_request_of_a_patron_takes_contact_and_branch_from_the_patron(self):
        request = self._request(library_patron_id=self.amal.id)
        self.assertEqual(request.partner_id, self.amal.partner_id)
        self.assertEqual(request.library_branch_id, self.main)
        self.assertEqual(self.amal.open_request_count, 1)
        request.action_set_won()
        self.amal.invalidate_recordset()
        self.assertEqual(self.amal.open_request_count, 0)
        self.assertEqual(self.amal.request_count, 1)

    def test_request_of_nobody_known_is_of_the_branch_where_the_desk_sits(self):
        self.assertEqual(self._request().library_branch_id, self.main)
        self.desk.library_branch_ids += self.north
        north = self._request(library_branch_id=self.north.id)
        self.assertEqual(north.library_branch_id, self.north)

    def test_board_of_a_team_shows_its_own_stages_only(self):
        self._request("reference")
        groups = (
            self.env["crm.lead"]
            .with_user(self.desk)
            .with_context(default_team_id=self.service.id, read_group_expand=True)
            .formatted_read_group(
                [("team_id", "=", self.service.id)], ["stage_id"], ["__count"]
            )
        )
        stages = self.env["crm.stage"].browse(
            group["stage_id"][0] for group in groups if group["stage_id"]
        )
        self.assertEqual(stages.team_ids, self.service)
        self.assertEqual(len(stages), 4)

    def test_sales_pipeline_keeps_its_stages(self):
        team = self.env["crm.team"].create({"name": "Sales of something else"})
        sale = self.env["crm.lead"].create(
            {"name": "A sale", "type": "opportunity", "team_id": team.id}
        )
        self.assertFalse(sale.stage_id.team_ids.filtered("library_purpose"))

    def test_desk_moves_a_request_to_its_end(self):
        request = self._request()
        done = self.env.ref("library_crm.crm_stage_service_done")
        request.stage_id = done
        self.assertEqual(request.won_status, "won")

    # ------------------------------------------------------------
    # FROM ENQUIRY TO PATRON
    # ------------------------------------------------------------

    def _make_patron(self, lead):
        return Form(
            self.env["library.lead.to.patron"]
            .with_user(self.desk)
            .with_context(**lead.action_library_make_patron()["context"])
        )

    def test_enquiry_becomes_a_patron_with_the_plan_of_the_category(self):
        lead = self._request(
            "joining",
            contact_name="Rana Haddad",
            email_from="rana.haddad@test.example.com",
            phone="+32 2 555 01 99",
            street="12 Test Lane",
            city="Riverside",
            library_branch_id=self.main.id,
        )
        form = self._make_patron(lead)
        self.assertEqual(form.action, "create")
        form.card_number = "0077"
        form.patron_category_id = self.adult
        action = form.save().action_apply()
        patron = self.env["library.patron"].browse(action["res_id"])
        self.assertRecordValues(
            patron,
            [
                {
                    "complete_name": "Rana Haddad",
                    "card_number": "0077",
                    "email": "rana.haddad@test.example.com",
                    "phone": "+32 2 555 01 99",
                    "street": "12 Test Lane",
                    "city": "Riverside",
                    "branch_id": self.main.id,
                    "membership_state": "active",
                }
            ],
        )
        self.assertEqual(patron.membership_id.plan_id, self.plan)
        self.assertEqual(lead.library_patron_id, patron)
        self.assertEqual(lead.partner_id, patron.partner_id)
        self.assertEqual(lead.won_status, "won")

    def test_paid_plan_waits_for_its_fee(self):
        self.adult.plan_id = self.paid_plan
        lead = self._request("joining", contact_name="Rana Haddad")
        form = self._make_patron(lead)
        form.patron_category_id = self.adult
        form.save().action_apply()
        self.assertEqual(lead.library_patron_id.membership_state, "draft")

    def test_duplicate_check_finds_the_same_email_phone_or_name(self):
        self.amal.phone = "+32 2 555 01 42"
        self.amal.flush_recordset()
        for values in (
            {"email_from": '"A. Idris" <Amal.Idris@Test.Example.com>'},
            {"phone": "+32 2 555 01 42"},
            {"contact_name": "amal idris"},
        ):
            with self.subTest(**values):
                lead = self._request("joining", **{"contact_name": "A.", **values})
                form = self._make_patron(lead)
                self.assertEqual(form.action, "link")
                self.assertEqual(form.patron_id, self.amal)
        lead = self._request("joining", contact_name="Nobody like that")
        self.assertFalse(lead._find_library_duplicates())

    def test_duplicate_of_another_library_is_not_shown(self):
        lead = self._request("joining", contact_name="Chidi Okafor")
        self.assertFalse(lead._find_library_duplicates())
        self.assertFalse(
            lead.sudo()._find_library_duplicates(), "Nor to who works in both"
        )

    def test_enquiry_is_linked_to_the_patron_that_it_turns_out_to_be(self):
        self.amal.action_archive()
        lead = self._request("joining", contact_name="Amal Idris")
        before = self.env["library.patron"].search_count([])
        self._make_patron(lead).save().action_apply()
        self.assertEqual(lead.library_patron_id, self.amal)
        self.assertTrue(self.amal.active, "The patron is back")
        self.assertEqual(self.env["library.patron"].search_count([]), before + 1)

    def test_enquiry_of_a_known_contact_makes_a_patron_of_that_contact(self):
        contact = self.env["res.partner"].create({"name": "Rana Haddad"})
        lead = self._request("joining", partner_id=contact.id)
        form = self._make_patron(lead)
        form.patron_category_id = self.adult
        form.save().action_apply()
        self.assertEqual(lead.library_patron_id.partner_id, contact)

    def test_patron_who_is_known_comes_before_one_of_the_same_name(self):
        twin = self.amal.copy({"name": "Amal Idris"})
        for patron in self.amal + twin:
            with self.subTest(patron=patron.id):
                lead = self._request(
                    "joining", contact_name="Amal Idris", library_patron_id=patron.id
                )
                self.assertEqual(self._make_patron(lead).patron_id, patron)

    def test_link_to_no_patron_is_refused(self):
        lead = self._request("joining", contact_name="Rana Haddad")
        dialogue = (
            self.env["library.lead.to.patron"]
            .with_user(self.desk)
            .create({"lead_id": lead.id, "action": "link"})
        )
        with self.assertRaisesRegex(UserError, "Patron: choose who it is"):
            dialogue.action_apply()
        self.assertEqual(lead.won_status, "pending")

    def test_enquiry_of_nobody_makes_no_patron(self):
        lead = self._request("joining")
        form = self._make_patron(lead)
        form.patron_category_id = self.adult
        with self.assertRaisesRegex(UserError, "Contact name"):
            form.save().action_apply()
        self.assertFalse(lead.library_patron_id)

    def test_renewal_request_renews_and_closes(self):
        self._create_membership(
            date_start="2024-02-01", date_end="2025-01-31", state="expired"
        )
        lead = self._request("renewal", library_patron_id=self.amal.id)
        lead.action_library_renew()
        self.assertEqual(self.amal.membership_state, "active")
        self.assertEqual(lead.won_status, "won")
