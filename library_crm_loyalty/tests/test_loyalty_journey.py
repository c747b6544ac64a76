from datetime import date, timedelta

from freezegun import freeze_time
from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import SQL, mute_logger

from odoo.addons.library_crm.tests.test_journey import NOON, JourneyCommon

from .common import LoyaltyCommon
from .test_challenge import ChallengeCommon


class LoyaltyJourneyCommon(LoyaltyCommon, JourneyCommon):
    """Amal takes part in the programme, Bruno does not."""

    def _post(self, points, kind="manual", card=None):
        card = card or self.card
        card._library_post(
            [
                {
                    "card_id": card.id,
                    "description": "By hand",
                    "library_kind": kind,
                    "library_date": self.today,
                    "points": points,
                }
            ]
        )


@tagged("post_install", "-at_install")
class TestPointsTrigger(LoyaltyJourneyCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.journey.write(
            {
                "trigger": "points",
                "loyalty_program_id": cls.programme.id,
                "loyalty_points": 100,
            }
        )
        cls._make_step()

    def _occasion(self):
        return self._enrolment(self.amal).mapped("occasion")

    # Who enters

    def test_occasion_is_the_day_on_which_the_balance_first_reached_it(self):
        self._start()
        self._post(99)
        self.assertEqual(self._run(), [])
        with freeze_time(NOON + timedelta(days=2)):
            self._post(1)
        with freeze_time(NOON + timedelta(days=3)):
            self._post(50)
        self.assertEqual(
            self._run(NOON + timedelta(days=3)), [("Mail 1", "Amal Idris")]
        )
        self.assertEqual(self._occasion(), [self.today + timedelta(days=2)])

    def test_reached_again_after_spending_is_no_new_occasion(self):
        self._start()
        self._post(100)
        self._run()
        self._post(-80, "redeemed")
        with freeze_time(NOON + timedelta(days=1)):
            self._post(80)
        self.assertEqual(self._run(NOON + timedelta(days=1)), [])
        self.assertEqual(self._occasion(), [self.today])

    def test_late_use_does_not_move_the_day(self):
        self.visit_rule.points = 100
        self._start()
        self._use(self.today)
        self._run()
        with freeze_time(NOON + timedelta(days=1)):
            self._use(self.today - timedelta(days=4))
            self.assertEqual(self._run(NOON + timedelta(days=1)), [])
        self.assertEqual(self._occasion(), [self.today])

    def test_reached_before_the_start_only_when_asked_for(self):
        with freeze_time(NOON - timedelta(days=3)):
            self._post(120)
        self._start()
        self.assertEqual(self._run(), [])
        self.journey.includes_past = True
        self.assertEqual(self._run(), [("Mail 1", "Amal Idris")])

    def test_points_of_another_programme_do_not_count(self):
        other = self._create_library_programme(self.library)
        card = self._join(self.bruno, other)
        self._start()
        self._post(500, card=card)
        self.assertEqual(self._run(), [])

    # On the way

    def test_who_spends_the_points_stays(self):
        self.journey.step_ids.delay = 5
        self._start()
        self._post(100)
        self._run()
        self._post(-100, "redeemed")
        self.assertEqual(
            self._run(NOON + timedelta(days=5)), [("Mail 1", "Amal Idris")]
        )

    def test_who_gives_the_points_away_stays(self):
        self.bruno.guardian_id = self.amal
        receiver = self._join(self.bruno)
        self.journey.step_ids.delay = 5
        self._start()
        self._post(100)
        self._run()
        self.card._library_give(receiver, 100)
        self.assertEqual(
            self._run(NOON + timedelta(days=5)), [("Mail 1", "Amal Idris")]
        )

    def test_whose_points_are_corrected_leaves(self):
        self.journey.step_ids.delay = 5
        self.visit_rule.points = 100
        self._start()
        use = self._use(self.today)
        self._run()
        use.unlink()
        self.assertEqual(self._run(NOON + timedelta(days=5)), [])
        self.assertEqual(self._events(self.amal), [("Step 1", "exited", "occasion")])

    def test_forecast_counts_who_has_the_points(self):
        self.journey.step_ids.delay = 5
        self._start()
        self._post(100)
        action = self.journey.with_user(self.manager).action_forecast()
        rows = self.env["library.journey.forecast"].search(action["domain"])
        self.assertEqual(rows.patron_id, self.amal)

    # Who may know, and what is refused

    def test_marketing_learns_no_points_from_a_journey(self):
        self._start()
        self._post(100)
        self._run()
        enrolment = self._enrolment(self.amal)
        self.assertFalse(enrolment.with_user(self.marketing)._filtered_access("read"))
        with self.assertRaises(AccessError):
            self._make_journey().with_user(self.marketing).write(
                {"trigger": "points", "loyalty_program_id": self.programme.id}
            )
        view = "library_crm.library_journey_view_form"
        with Form(self._make_journey().with_user(self.marketing), view) as form:
            form.name = "Marketing opens and saves other journeys"

    def test_manager_sets_it_up(self):
        journeys = self.env["library.journey"].with_user(self.manager)
        journeys = journeys.with_context(allowed_company_ids=self.library.ids)
        with Form(journeys) as form:
            form.name = "A hundred"
            form.purpose_id = self.service
            form.trigger = "points"
            form.loyalty_program_id = self.programme
            form.loyalty_points = 50
        self.assertEqual(form.record.loyalty_points, 50)

    def test_trigger_without_programme_or_points_is_refused(self):
        with self.assertRaisesRegex(ValidationError, "which programme"):
            self._make_journey(trigger="points")
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(IntegrityError),
            self.cr.savepoint(),
        ):
            self.journey.loyalty_points = 0
            self.journey.flush_recordset()
        self._start()
        with self.assertRaisesRegex(UserError, "Duplicate the journey"):
            self.journey.loyalty_points = 20


@tagged("post_install", "-at_install")
class TestChallengeTrigger(LoyaltyJourneyCommon, ChallengeCommon):
    """Two challenges of 30 minutes; the journey is for the first one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.challenge, cls.other = (
            cls._create_challenge(name=name, goal_kind="minutes", target=30)
            for name in ("Summer", "Winter")
        )
        cls.journey.write({"trigger": "challenge", "challenge_id": cls.challenge.id})
        cls._make_step()

    def _finish(self, challenge, patron):
        entry = challenge._enrol(patron)
        self._log(entry, 30)
        return entry

    def test_who_finishes_the_challenge_enters(self):
        self._start()
        self._finish(self.challenge, self.amal)
        self._finish(self.other, self.bruno)
        self._run()
        self.assertEqual(self._enrolment(self.amal).mapped("occasion"), [self.today])
        self.assertFalse(self._enrolment(self.bruno), "It was another challenge")

    def test_any_challenge_will_do_where_none_is_named(self):
        self.journey.challenge_id = False
        self._start()
        self._finish(self.challenge, self.amal)
        self._finish(self.other, self.amal)
        self._finish(self.other, self.bruno)
        self._run()
        for patron in self.amal + self.bruno:
            self.assertEqual(len(self._enrolment(patron)), 1)

    def test_finished_before_the_start_only_when_asked_for(self):
        entry = self._finish(self.challenge, self.amal)
        entry.sudo().finished_on = self.today - timedelta(days=3)
        self._start()
        self._run()
        self.assertFalse(self._enrolment(self.amal))
        self.journey.includes_past = True
        self._run()
        self.assertTrue(self._enrolment(self.amal))

    def test_who_takes_no_part_any_more_leaves(self):
        self.journey.step_ids.delay = 5
        self._start()
        entry = self._finish(self.challenge, self.amal)
        self._run()
        self.assertEqual(self._enrolment(self.amal).state, "active")
        entry.unlink()
        self._run(NOON + timedelta(days=5))
        self.assertEqual(self._events(self.amal), [("Step 1", "exited", "occasion")])

    def test_marketing_learns_no_names_from_it(self):
        self._start()
        self._finish(self.challenge, self.amal)
        self._run()
        enrolment = self._enrolment(self.amal)
        self.assertFalse(enrolment.with_user(self.marketing)._filtered_access("read"))

    def test_challenge_with_a_journey_stays(self):
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(IntegrityError),
            self.cr.savepoint(),
        ):
            self.challenge.unlink()


@tagged("post_install", "-at_install")
class TestPointsStep(LoyaltyJourneyCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.amal.enrolled_on = cls.bruno.enrolled_on = cls.today
        cls.step = cls._make_step(
            kind="points",
            loyalty_program_id=cls.programme.id,
            loyalty_points=25,
            loyalty_text="Welcome",
        )

    def test_who_takes_part_gets_points_and_the_others_go_on(self):
        self._make_step(after=self.step)
        self._start()
        self.assertEqual(
            sorted(self._run()), [("Mail 2", "Amal Idris"), ("Mail 2", "Bruno Silva")]
        )
        line = self.card.history_ids
        self.assertEqual((line.issued, line.library_kind), (25, "journey"))
        self.assertEqual((line.description, line.library_date), ("Welcome", self.today))
        self.assertEqual(self.card.points, 25)
        self.assertEqual(self._events(self.amal)[0], ("Step 1", "done", False))
        self.assertEqual(self._events(self.bruno)[0], ("Step 1", "skipped", "no_card"))
        self._assert_balanced()

    def test_nobody_gets_them_twice(self):
        self._start()
        self._run()
        self._run(NOON + timedelta(days=1))
        self.assertEqual(self._lines(), [("journey", 25)])
        # Even where the event of a step was lost: the ledger knows.
        enrolment = self._enrolment(self.amal)
        enrolment.event_ids.unlink()
        enrolment.write({"state": "active", "step_id": self.step.id, "due_at": NOON})
        self._run(NOON + timedelta(days=2))
        self.assertEqual(self._lines(), [("journey", 25)])
        self.assertEqual(self._events(self.amal), [("Step 1", "done", False)])
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(IntegrityError),
            self.cr.savepoint(),
        ):
            self.card._library_post(
                [
                    {
                        "card_id": self.card.id,
                        "description": "Twice",
                        "library_kind": "journey",
                        "library_key": self.card.history_ids.library_key,
                        "library_date": self.today,
                        "points": 25,
                    }
                ]
            )

    def test_who_enters_again_gets_them_again(self):
        self.journey.write({"reentry": "after", "reentry_days": 10})
        self._start()
        self._run()
        self.amal.enrolled_on = self.today + timedelta(days=20)
        self._run(NOON + timedelta(days=20))
        self.assertEqual(self._lines(), [("journey", 25), ("journey", 25)])

    def test_held_out_patrons_get_none(self):
        self.journey.hold_out_percent = 90
        self.patch(
            self.env.registry["library.journey"], "_sql_dice", lambda *args: SQL("0")
        )
        self._start()
        self._run()
        self.assertEqual(self._events(self.amal), [("Step 1", "held_out", False)])
        self.assertFalse(self.card.history_ids)

    def test_archived_card_and_ended_programme_give_none(self):
        self._start()
        self.programme.date_to = self.today - timedelta(days=1)
        self._run()
        self.assertEqual(
            self._events(self.amal), [("Step 1", "skipped", "programme_over")]
        )
        self.programme.date_to = False
        self.card.active = False
        noor = self._make_patron("Noor Haddad")
        card = self._join(noor)
        card.active = False
        self._run(NOON + timedelta(hours=1))
        self.assertEqual(self._events(noor), [("Step 1", "skipped", "no_card")])
        self.assertFalse((card + self.card).history_ids)

    def test_points_count_for_tiers_at_once_and_expire(self):
        silver = self.env["library.loyalty.tier"].create(
            {"program_id": self.programme.id, "name": "Silver", "threshold": 20}
        )
        self.programme.library_expire_months = 12
        self._start()
        self._run()
        self.assertEqual(self.card.library_tier_id, silver)
        self.programme._library_night()
        self.assertEqual(self._lines(), [("journey", 25)])
        with freeze_time(NOON + timedelta(days=400)):
            self.programme._library_night()
        self.assertEqual(self._lines(), [("journey", 25), ("expired", -25)])

    def test_picture_and_start_say_what_it_gives(self):
        picture = self.step._get_picture()
        self.assertEqual(picture["detail"], "+25 · Thank you")
        self.programme.date_to = self.today - timedelta(days=1)
        with self.assertRaisesRegex(UserError, "not running"):
            self._start()

    def test_manager_lets_a_journey_give_points_and_marketing_does_not(self):
        as_marketing = self.step.with_user(self.marketing)
        with self.assertRaisesRegex(AccessError, "a manager can"):
            as_marketing.loyalty_points = 500
        as_marketing.delay = 2
        step = self._make_step(after=self.step).with_user(self.marketing)
        with self.assertRaisesRegex(AccessError, "a manager can"):
            step.kind = "points"
        step.with_user(self.manager).write(
            {"kind": "points", "loyalty_program_id": self.programme.id}
        )

    def test_when_loyalty_is_uninstalled_patrons_go_on(self):
        self._make_step(after=self.step)
        self._start()
        self.step._pass_over()
        self.assertEqual(len(self._run()), 2)
        self.assertFalse(self.card.history_ids)


@tagged("post_install", "-at_install")
class TestOccasions(LoyaltyCommon):
    def test_interests_that_a_patron_fills_in_earn_once(self):
        rule = self._create_rule(event="interests", points=15)
        for _time in range(2):
            self.amal.sudo()._note_occasion("interests")
        self.assertEqual(self._lines(rule=rule), [("earned", 15)])
        self._assert_balanced()

    def test_answer_to_a_survey_earns_once_for_each_that_is_asked(self):
        rule = self._create_rule(event="survey", points=5)
        for key in ("survey 1", "survey 1", "survey 2"):
            self.amal.sudo()._note_occasion("survey", key, date(2024, 5, 1))
        self.assertEqual(self._lines(rule=rule), [("earned", 5), ("earned", 5)])

    def test_of_who_takes_no_part_nothing_is_kept(self):
        (self.amal + self.bruno).sudo()._note_occasion("survey", "survey 1")
        noted = self.env["library.loyalty.occasion"].search([("key", "=", "survey 1")])
        self.assertEqual(noted.patron_id, self.amal)
