"""What patrons do by themselves, on the website and in surveys, earns points."""

import re

from odoo.tests import HttpCase, tagged

from odoo.addons.library_crm_loyalty.tests.common import LoyaltyCommon
from odoo.addons.library_crm_survey.tests.common import RoundCommon


@tagged("post_install", "-at_install")
class TestOccasions(LoyaltyCommon, RoundCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.answering = cls._create_rule(name="An answer", event="survey", points=5)
        cls.interests = cls._create_rule(name="Interests", event="interests", points=15)
        cls._join(cls.bruno)

    def test_answers_earn_points_and_say_nothing_of_what_was_answered(self):
        for _time in range(2):
            self._answer(self.amal, score=0, text="Never again")
        self.assertEqual(self._lines(rule=self.answering), [("earned", 5)])
        occasion = self.env["library.loyalty.occasion"].search(
            [("patron_id", "=", self.amal.id)]
        )
        self.assertEqual(
            (occasion.event, occasion.key), ("survey", f"survey {self.survey.id}")
        )
        asking_round = self._make_round(self.amal, fatigue_days=0)
        asking_round.action_start()
        self._run_job()
        answer, _problem = asking_round._begin(
            self._get_voucher(asking_round, self.amal)
        )
        self._fill_in(answer)
        self.assertEqual(self._lines(rule=self.answering), [("earned", 5)] * 2)
        self._assert_balanced()

    def test_anonymous_and_typed_answers_earn_nothing(self):
        patrons = self._make_patrons(10)
        for patron in patrons:
            self._join(patron)
        asking_round = self._make_round(patrons, is_anonymous=True)
        asking_round.action_start()
        self._run_job()
        for patron in patrons:
            answer, _problem = asking_round._begin(
                self._get_voucher(asking_round, patron)
            )
            self._fill_in(answer)
        typed = self.survey._create_answer(email=self.amal.email, check_attempts=False)
        self._fill_in(typed)
        self.assertEqual(typed.library_patron_id, self.amal)
        self.assertFalse(self.programme.coupon_ids.history_ids)
        self.assertFalse(
            self.env["library.loyalty.occasion"].search(
                [("patron_id", "in", (patrons + self.amal).ids)]
            )
        )

    def test_interests_filled_in_on_the_website_earn_points_once(self):
        self.portal.write({"login": "amal_points", "password": "amal_points"})
        stories, maps = self.env["library.interest"].create(
            [{"name": "Points stories"}, {"name": "Points maps"}]
        )
        self.authenticate("amal_points", "amal_points")
        page = self.url_open("/my/account").text
        token = re.search(r'csrf_token: "([^"]+)"', page).group(1)
        for chosen, points in (([], 0), ([stories.id], 15), ([maps.id], 15)):
            response = self.url_open(
                f"/my/library/{self.amal.id}/interests",
                data={"csrf_token": token, "interest": chosen},
                allow_redirects=False,
            )
            self.assertIn("notice=interests_saved", response.headers["Location"])
            self.env.invalidate_all()
            self.assertEqual(self.card.points, points)
        self.assertEqual(self._lines(rule=self.interests), [("earned", 15)])
