from datetime import timedelta
from unittest.mock import patch

from odoo.fields import Command, Domain
from odoo.tests import tagged

from odoo.addons.mail.tests.common import MailCase

from .test_challenge import ChallengeCommon


@tagged("post_install", "-at_install")
class TestMailAboutAChild(ChallengeCommon, MailCase):
    """Noor is a child with an address of her own and points that expire in a few days.
    Amal, her guardian, reads German; she agreed to news for Noor, not for herself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("de_DE")
        cls.amal.lang = "de_DE"
        cls.noor.email = "noor.idris@test.example.com"
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")
        cls.Consent = cls.env["library.consent"]
        cls.Consent._record(cls.noor, cls.news)
        cls.programme.library_expire_months = 12
        cls.templates = cls.env["mail.template"].union(
            *(
                cls.env.ref(f"library_crm_loyalty.mail_template_{name}")
                for name in ("points_expire", "voucher_ends", "challenge_finished")
            )
        )
        cls.templates.with_context(lang="de_DE").subject = "Aus der Bibliothek"
        cls.noor_card = cls._give_old_points(cls.noor)

    @classmethod
    def _give_old_points(cls, patron):
        card = cls._join(patron)
        cls._give(card, 80, cls.today - timedelta(days=360))
        return card

    def _warn(self):
        self.programme._library_warn(self.today)

    def _find_mails(self, records):
        return self.env["mail.mail"].search(
            [("model", "=", records._name), ("res_id", "in", records.ids)], order="id"
        )

    def _assert_told(self, mail, patron):
        self.assertEqual(mail.recipient_ids, self.amal.partner_id)
        self.assertFalse(mail.email_to)
        self.assertEqual(mail.subject, "Aus der Bibliothek")
        self.assertIn(self.amal.name, mail.body_html)
        self.assertIn(patron.name, mail.body_html)
        self.assertEqual(mail.state, "outgoing")

    def _leave(self, mails):
        with self.mock_mail_gateway():
            mails.send()
        return sorted(address for mail in self._mails for address in mail["email_to"])

    # ------------------------------------------------------------
    # WHO IS TOLD
    # ------------------------------------------------------------

    def test_points_of_a_child_that_expire_are_told_to_the_guardian_who_agreed(self):
        self._warn()
        mail = self._find_mails(self.noor_card)
        self._assert_told(mail, self.noor)
        self.assertEqual(self._leave(mail), [self.amal.email_formatted])

    def test_voucher_of_a_child_that_ends_is_told_to_the_guardian(self):
        bag = self.env["library.loyalty.reward"].create(
            {"program_id": self.programme.id, "name": "A bag", "points": 60}
        )
        bag.with_context(lang="de_DE").name = "Eine Tasche"
        voucher = bag._issue(self.noor_card)
        voucher.write(
            {
                "issued_on": self.today - timedelta(days=25),
                "expires_on": self.today + timedelta(days=5),
            }
        )
        voucher._warn(self.today)
        mail = self._find_mails(self.noor_card)
        self._assert_told(mail, self.noor)
        self.assertIn("Eine Tasche", mail.body_html)

    def test_programme_mails_of_odoo_reach_the_guardian_too(self):
        template = self.env.ref("loyalty.mail_template_loyalty_card")
        self.programme.communication_plan_ids = [
            Command.create(
                {
                    "trigger": "points_reach",
                    "points": 85,
                    "mail_template_id": template.id,
                }
            )
        ]
        self._give(self.noor_card, 10, self.today)
        mail = self._find_mails(self.noor_card)
        self.assertEqual(mail.recipient_ids, self.amal.partner_id)

    def test_two_children_of_one_guardian_are_each_told_of(self):
        sami = self.noor.copy({"name": "Sami Idris", "card_number": "0100"})
        self.Consent._record(sami, self.news)
        sami_card = self._give_old_points(sami)
        self._warn()
        for patron, card in ((self.noor, self.noor_card), (sami, sami_card)):
            self._assert_told(self._find_mails(card), patron)

    def test_grown_up_is_told_themselves(self):
        self.noor.birth_date = self.today - timedelta(days=9000)
        self._warn()
        mail = self._find_mails(self.noor_card)
        self.assertEqual(mail.recipient_ids, self.noor.partner_id)
        self.assertNotIn(self.amal.name, mail.body_html)

    # ------------------------------------------------------------
    # WHO IS NOT
    # ------------------------------------------------------------

    def test_guardian_who_withdrew_is_told_nothing(self):
        self.Consent._record(self.noor, self.news, state="withdrawn")
        self._warn()
        self.assertFalse(self._find_mails(self.noor_card))

    def test_guardian_who_agreed_for_herself_only_is_told_nothing(self):
        self.Consent._record(self.noor, self.news, state="withdrawn")
        self.Consent._record(self.amal, self.news)
        self._warn()
        self.assertFalse(self._find_mails(self.noor_card))

    def test_child_without_a_guardian_is_not_written_to(self):
        self.noor.guardian_id = False
        self._warn()
        self.assertFalse(self._find_mails(self.noor_card))

    def test_what_waits_is_taken_back_when_the_guardian_withdraws(self):
        sami = self.noor.copy({"name": "Sami Idris", "card_number": "0100"})
        self.Consent._record(sami, self.news)
        sami_card = self._give_old_points(sami)
        self._warn()
        self.Consent._record(self.noor, self.news, state="withdrawn")
        self.assertEqual(self._find_mails(self.noor_card).state, "cancel")
        self.assertEqual(self._find_mails(sami_card).state, "outgoing")

    def test_consent_is_asked_again_when_the_mail_leaves(self):
        self._warn()
        mail = self._find_mails(self.noor_card)
        with patch.object(type(self.Consent), "_recall", lambda rows: None):
            self.Consent._record(self.noor, self.news, state="withdrawn")
        self.assertFalse(self._leave(mail))
        self.assertEqual(mail.state, "cancel")

    def test_child_who_is_erased_takes_the_mail_along(self):
        challenge = self._create_challenge(goal_kind="minutes", target=30)
        entry = challenge._enrol(self.noor)
        self._log(entry, 40)
        self._warn()
        mails = self._find_mails(self.noor_card) + self._find_mails(entry)
        self.assertEqual(len(mails), 2)
        own = self.env["mail.mail"].create(
            {
                "recipient_ids": [Command.set(self.amal.partner_id.ids)],
                "subject": "Amal's own",
                "library_purpose_id": self.news.id,
            }
        )
        self.noor.unlink()
        self.assertFalse(self._leave(mails.exists()))
        self.assertEqual(own.state, "outgoing")

    def test_mail_that_goes_to_the_child_itself_does_not_leave(self):
        """Somebody wrote a template to the contact of the card."""
        template = self.templates[0].copy(
            {"use_default_to": False, "partner_to": "{{ object.partner_id.id }}"}
        )
        card = self.noor_card._filter_library_reachable(always=True)
        mail = self.env["mail.mail"].browse(
            template.with_context(card.env.context, points=5, day=self.today).send_mail(
                card.id
            )
        )
        self.assertEqual(mail.recipient_ids, self.noor.partner_id)
        self.assertFalse(self._leave(mail))
        self.assertEqual(mail.state, "cancel")

    # ------------------------------------------------------------
    # AT EVERY DOOR
    # ------------------------------------------------------------

    def test_composer_asks_a_card_as_its_patron(self):
        """Bruno has a card as well and agreed to nothing."""
        cards = self.noor_card + self._join(self.bruno)
        composer = (
            self.env["mail.compose.message"]
            .with_context(active_ids=cards.ids, active_model=cards._name)
            .create(
                {
                    "composition_mode": "mass_mail",
                    "model": cards._name,
                    "res_ids": repr(cards.ids),
                    "subject": "News",
                    "body": "<p>Hello</p>",
                    "force_send": False,
                }
            )
        )
        composer._action_send_mail()
        mail = self._find_mails(cards)
        self.assertEqual(mail.res_id, self.noor_card.id)
        self.assertEqual(mail.recipient_ids, self.amal.partner_id)
        self.Consent._record(self.noor, self.news, state="withdrawn")
        self.assertEqual(mail.state, "cancel")

    def test_mailing_asks_a_card_as_its_patron(self):
        cards = self.noor_card + self._join(self.bruno)
        domain = self.Consent._get_reachable_domain(cards._name, self.news)
        domain &= Domain("id", "in", cards.ids)
        self.assertEqual(cards.search(domain), self.noor_card)
        self.Consent._record(self.noor, self.news, state="withdrawn")
        self.assertFalse(cards.search(domain))

    def test_text_message_about_a_card_does_not_go_to_a_child(self):
        """It would go to the contact of the card, so that is asked; one to the patron
        goes to the phone of the guardian."""
        self.amal.phone = "+32 470 12 34 56"
        self.Consent._record(self.noor, self.news, channel="phone")

        def reachable(records):
            return self.Consent._filter_reachable(records, self.news, channel="phone")

        self.assertEqual(reachable(self.noor), self.noor)
        self.assertFalse(reachable(self.noor_card))

    # ------------------------------------------------------------
    # WHO FINISHES A CHALLENGE
    # ------------------------------------------------------------

    def test_who_finishes_a_challenge_is_told_once(self):
        challenge = self._create_challenge(goal_kind="minutes", target=30)
        entry = challenge._enrol(self.noor)
        self._log(entry, 20)
        self.assertFalse(self._find_mails(entry))
        self._log(entry, 20)
        mail = self._find_mails(entry)
        self._assert_told(mail, self.noor)
        self.assertIn(challenge.name, mail.body_html)
        self.assertIn(self.badge.name, mail.body_html)
        self._log(entry, 20, days_ago=1)
        challenge._refresh()
        self.assertEqual(self._find_mails(entry), mail)

    def test_who_finishes_and_did_not_agree_is_told_nothing(self):
        challenge = self._create_challenge(goal_kind="minutes", target=30)
        entry = challenge._enrol(self.bruno)
        self._log(entry, 40)
        self.assertTrue(entry.finished_on)
        self.assertFalse(self._find_mails(entry))

    def test_class_that_finishes_is_told_as_each_of_those_who_added(self):
        self.Consent._record(self.bruno, self.news)
        challenge = self._create_challenge(
            goal_kind="minutes", target=60, is_team_goal=True
        )
        team = self.env["library.challenge.team"].create(
            {"name": "Class 4b", "challenge_id": challenge.id}
        )
        entries = challenge._enrol(self.noor + self.bruno, team)
        self._log(entries[0], 40)
        self.assertFalse(self._find_mails(entries))
        self._log(entries[1], 40)
        self.assertEqual(
            self._find_mails(entries).recipient_ids,
            self.amal.partner_id + self.bruno.partner_id,
        )
