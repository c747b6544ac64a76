from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import Form, tagged

from odoo.addons.library_crm.tests.common import LibraryCommon


@tagged("post_install", "-at_install")
class TestLoyaltyCard(LibraryCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.programme = cls._create_programme("Thanks", cls.library)
        cls.shared_programme = cls._create_programme("Everywhere", False)

    @classmethod
    def _create_programme(cls, name, company):
        return cls.env["loyalty.program"].create(
            {
                "name": name,
                "program_type": "loyalty",
                "company_id": company and company.id,
                "currency_id": cls.library.currency_id.id,
                "rule_ids": [Command.clear()],
                "reward_ids": [
                    Command.clear(),
                    Command.create({"required_points": 100, "description": "A bag"}),
                ],
            }
        )

    def _as(self, user, records):
        return records.with_user(user).with_context(
            allowed_company_ids=self.library.ids
        )

    def _create_card(self, partner, programme=None, points=0):
        return self.env["loyalty.card"].create(
            {
                "program_id": (programme or self.programme).id,
                "partner_id": partner.id,
                "points": points,
            }
        )

    def test_card_finds_its_patron(self):
        card = self._create_card(self.amal.partner_id)
        self.assertEqual(card.library_patron_id, self.amal)
        card.partner_id = self.bruno.partner_id
        self.assertEqual(card.library_patron_id, self.bruno)
        card.partner_id = False
        self.assertFalse(card.library_patron_id)

    def test_card_keeps_a_patron_who_is_archived(self):
        self.amal.active = False
        card = self._create_card(self.amal.partner_id)
        self.assertEqual(card.library_patron_id, self.amal)

    def test_card_of_another_library_has_no_patron(self):
        card = self._create_card(self.other_patron.partner_id)
        self.assertFalse(card.library_patron_id)

    def test_shared_programme_finds_the_patron_of_one_library_only(self):
        card = self._create_card(self.amal.partner_id, self.shared_programme)
        self.assertEqual(card.library_patron_id, self.amal)
        self.env["library.patron"].create(
            {
                "partner_id": self.amal.partner_id.id,
                "company_id": self.other_library.id,
                "branch_id": self.other_branch.id,
            }
        )
        self.assertFalse(card.library_patron_id)

    def test_card_follows_who_becomes_a_patron(self):
        contact = self.env["res.partner"].create({"name": "Newcomer"})
        card = self._create_card(contact)
        self.assertFalse(card.library_patron_id)
        patron = self.env["library.patron"].create(
            {
                "partner_id": contact.id,
                "company_id": self.library.id,
                "branch_id": self.main.id,
            }
        )
        self.assertEqual(card.library_patron_id, patron)

    def test_points_are_the_sum_of_running_programmes(self):
        self._create_card(self.amal.partner_id, points=30)
        card = self._create_card(self.amal.partner_id, points=12)
        patrons = self._as(self.desk, self.amal + self.bruno)
        self.assertEqual(self.amal.loyalty_points, 42)
        self.assertEqual(self.bruno.loyalty_points, 0)
        self.assertEqual(patrons[0].loyalty_points, 42)
        card.active = False
        self.env.invalidate_all()
        self.assertEqual(self.amal.loyalty_points, 30)
        ended = self._create_programme("Last summer", self.library)
        gifts = self._create_programme("Gift cards", self.library)
        gifts.program_type = "gift_card"
        for programme in ended + gifts:
            self._create_card(self.amal.partner_id, programme, points=500)
        ended.active = False
        self.env.invalidate_all()
        self.assertEqual(self.amal.loyalty_points, 30)

    def test_desk_reads_cards_of_own_branches_and_changes_none(self):
        card = self._create_card(self.amal.partner_id, points=10)
        north = self._create_card(self.bruno.partner_id)
        coupon = self._create_card(self.env["res.partner"].create({"name": "Guest"}))
        cards = self._as(self.desk, self.env["loyalty.card"])
        self.assertEqual(
            cards.search([("id", "in", (card + north + coupon).ids)]), card
        )
        self.assertEqual(
            self._as(self.desk, self.amal).action_view_loyalty_cards()["domain"],
            [("library_patron_id", "=", self.amal.id)],
        )
        with self.assertRaises(AccessError):
            self._as(self.desk, north).read(["points"])
        for records in (card, self.programme, self.programme.reward_ids):
            records = self._as(self.desk, records)
            self.assertTrue(records.has_access("read"))
            for operation in ("write", "create", "unlink"):
                with self.subTest(records._name, operation=operation):
                    self.assertFalse(records.has_access(operation))
        self.assertFalse(self._as(self.desk, card).user_may_change)
        self.assertTrue(self._as(self.manager, card).user_may_change)
        history = self.env["loyalty.history"].create(
            [
                {"card_id": each.id, "description": "A talk", "issued": 5}
                for each in card + north + coupon
            ]
        )
        self.assertEqual(
            self._as(self.desk, history).search([("id", "in", history.ids)]),
            history[0],
        )
        form = Form(self._as(self.desk, self.amal))
        self.assertEqual(form.loyalty_points, 10)

    def test_desk_opens_a_programme_and_changes_nothing_of_it(self):
        with Form(self._as(self.desk, self.programme)) as form:
            self.assertEqual(form.name, "Thanks")
        mails = self._as(self.desk, self.env["loyalty.mail"])
        for operation in ("write", "create", "unlink"):
            self.assertFalse(mails.has_access(operation), operation)

    def test_manager_sets_up_a_programme_and_gives_cards(self):
        programmes = self._as(self.manager, self.env["loyalty.program"])
        with Form(programmes.with_context(default_program_type="loyalty")) as form:
            form.name = "Summer"
        programme = form.record
        card = self._as(self.manager, self.env["loyalty.card"]).create(
            {"program_id": programme.id, "partner_id": self.amal.partner_id.id}
        )
        self.assertEqual(card.library_patron_id, self.amal)
        self._as(self.manager, self.env["loyalty.card.update.balance"]).create(
            {"card_id": card.id, "new_balance": 25, "description": "Helped at the fair"}
        ).action_update_card_point()
        self.assertEqual(self._as(self.manager, self.amal).loyalty_points, 25)

    def test_others_see_no_cards(self):
        card = self._create_card(self.amal.partner_id)
        for user in (self.marketing, self.employee, self.portal):
            with self.subTest(user.login), self.assertRaises(AccessError):
                self._as(user, card).read(["points"])

    def test_programme_writes_to_patrons_who_agreed_to_news(self):
        template = self.env["mail.template"].create(
            {
                "name": "Points",
                "model_id": self.env["ir.model"]._get_id("loyalty.card"),
                "subject": "Your points",
                "body_html": "<p>Thank you</p>",
                "use_default_to": True,
            }
        )
        self.programme.communication_plan_ids = [
            Command.create({"trigger": "create", "mail_template_id": template.id}),
            Command.create(
                {
                    "trigger": "points_reach",
                    "points": 50,
                    "mail_template_id": template.id,
                }
            ),
        ]
        news = self.env.ref("library_crm.library_consent_purpose_news")
        self.env["library.consent"]._record(self.amal, news)
        Mail = self.env["mail.mail"]
        cards = self.env["loyalty.card"]
        for patron in self.amal + self.bruno:
            cards += self._create_card(patron.partner_id)
        sent = Mail.search(
            [("model", "=", "loyalty.card"), ("res_id", "in", cards.ids)]
        )
        self.assertEqual(sent.mapped("res_id"), cards[:1].ids, "On creation")
        for card in cards:
            card.points = 60
        sent = (
            Mail.search([("model", "=", "loyalty.card"), ("res_id", "in", cards.ids)])
            - sent
        )
        self.assertEqual(sent.mapped("res_id"), cards[:1].ids, "On reaching points")
        self.env["library.consent"]._record(self.amal, news, state="withdrawn")
        self.assertEqual(sent.state, "cancel", "It waited in the queue")
