from odoo.tests import HttpCase, TransactionCase, tagged

from odoo.addons.library_crm.tests.languages import SpeaksLanguages

from .common import LoyaltyCommon


@tagged("post_install", "-at_install")
class TestLoyaltyTranslation(SpeaksLanguages, TransactionCase):
    """What patrons read of points, rewards, challenges and badges, in the languages
    that come along."""

    addon = "library_crm_loyalty"
    spoken = (
        "arch_db:library_crm_loyalty.portal_",
        "arch_db:library_crm_loyalty.join_",
        "arch_db:library_crm_loyalty.library_challenge_certificate",
        "arch_db:library_crm_loyalty.library_loyalty_voucher",
        "mail.template,subject:",
        "mail.template,body_html:",
        "/controllers/",
        "/models/library_challenge_entry.py",
        "/models/library_challenge_log.py",
        "/models/library_loyalty_redemption.py",
        "/models/library_loyalty_reward.py",
        # What stands in the ledger behind a line, and what comes with the demo.
        "selection__loyalty_history__library_kind__",
        "model:library.badge,",
        "model:library.challenge,",
        "model:library.challenge.square,",
        "model:library.loyalty.reward,",
        "model:library.loyalty.rule,",
        "model:library.loyalty.tier,",
    )


@tagged("post_install", "-at_install")
class TestPointsInTheirLanguage(LoyaltyCommon, HttpCase):
    """``portal`` is the user of Amal, who reads Arabic."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("ar_001")
        cls.env.ref("base.module_library_crm_loyalty")._update_translations(["ar_001"])
        cls.portal.write(
            {"login": "amal_arabic", "password": "amal_arabic", "lang": "ar_001"}
        )
        cls.visit_rule.points = 50
        cls.env["library.loyalty.reward"].create(
            {"program_id": cls.programme.id, "name": "رحلة", "points": 500}
        )

    def setUp(self):
        super().setUp()
        self._use(0)
        self.authenticate("amal_arabic", "amal_arabic")

    def test_points_are_told_in_the_language_of_the_patron(self):
        page = self.url_open(f"/my/library/{self.amal.id}/points").text
        self.assertIn("frontend.rtl.", page)
        for shown in ("نقاطي", "من أين جاءت", "تنقص 450 نقطة."):
            self.assertIn(shown, page)
        self.assertNotIn("Where they came from", page)
