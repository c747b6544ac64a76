from datetime import date, datetime, timedelta
from unittest.mock import patch

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from odoo.addons.mass_mailing.tests.common import MassMailCommon

from ..models.library_journey import get_lift
from .common import LibraryCommon

NOON = datetime(2026, 5, 20, 12, 0)


class JourneyCommon(LibraryCommon, MassMailCommon):
    """A journey for patrons who joined, in a library in UTC, on a day in May at
    noon."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.service = cls.env.ref("library_crm.library_consent_purpose_service")
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")
        cls.library.resource_calendar_id.tz = "UTC"
        cls.library.library_weekly_cap = 0
        cls.startClassPatcher(freeze_time(NOON))
        cls.today = NOON.date()
        cls.env["library.journey"].search([]).active = False
        cls.journey = cls._make_journey()

    @classmethod
    def _make_journey(cls, **values):
        return cls.env["library.journey"].create(
            {
                "name": "Welcome",
                "company_id": cls.library.id,
                "purpose_id": cls.service.id,
                "user_id": cls.manager.id,
                **values,
            }
        )

    @classmethod
    def _make_step(cls, journey=None, after=None, **values):
        journey = journey or cls.journey
        number = len(journey.step_ids) + 1
        values = {
            "name": f"Step {number}",
            "journey_id": journey.id,
            "parent_id": after.id if after else False,
            "version": journey.edited_version,
            **values,
        }
        if values.get("kind", "mail") == "mail" and "mailing_id" not in values:
            values["mailing_id"] = cls._make_mailing(f"Mail {number}").id
        return cls.env["library.journey.step"].create(values)

    @classmethod
    def _make_mailing(cls, subject, **values):
        return cls.env["mailing.mailing"].create(
            {
                "subject": subject,
                "body_html": '<p>Dear <t t-out="object.name"/>, '
                '<t t-out="object.mailing_cards"/></p>',
                "mailing_model_id": cls.env["ir.model"]._get_id("library.patron"),
                **values,
            }
        )

    @classmethod
    def _make_patron(cls, name, **values):
        return cls.env["library.patron"].create(
            {
                "name": name,
                "email": f"{name.split()[0].lower()}@test.example.com",
                "company_id": cls.library.id,
                "branch_id": cls.main.id,
                "enrolled_on": cls.today,
                **values,
            }
        )

    def _start(self, journey=None):
        (journey or self.journey).action_start()

    def _run(self, at=None):
        """Run the job, at a moment.

        :return: subjects and receivers of the mails that were put into the queue
        """
        before = self.env["mail.mail"].search([], order="id desc", limit=1).id or 0
        self.env.flush_all()
        with freeze_time(at or fields.Datetime.now()), self.enter_registry_test_mode():
            self.env.ref("library_crm.ir_cron_run_journeys").method_direct_trigger()
        self.env.invalidate_all()
        mails = self.env["mail.mail"].search([("id", ">", before)], order="id")
        return [(mail.subject, mail.recipient_ids.name) for mail in mails]

    def _enrolment(self, patron, journey=None):
        return self.env["library.journey.enrolment"].search(
            [
                ("patron_id", "=", patron.id),
                ("journey_id", "=", (journey or self.journey).id),
            ]
        )

    def _events(self, patron, journey=None):
        return [
            (event.step_id.name, event.what, event.reason)
            for event in self._enrolment(patron, journey).event_ids.sorted("id")
        ]

    def _agree(self, patrons, state="given"):
        self.env["library.consent"].create(
            [
                {"patron_id": patron.id, "purpose_id": self.news.id, "state": state}
                for patron in patrons
            ]
        )


@tagged("post_install", "-at_install")
class TestJourney(JourneyCommon):
    # ------------------------------------------------------------
    # WHO ENTERS
    # ------------------------------------------------------------

    def _entrants(self, trigger, **values):
        """Names and occasions of who enters a journey with a trigger."""
        journey = self._make_journey(trigger=trigger, **values)
        self._make_step(journey, delay=400)
        self._start(journey)
        self._run()
        return {
            (enrolment.patron_id.name, str(enrolment.occasion))
            for enrolment in self.env["library.journey.enrolment"].search(
                [("journey_id", "=", journey.id)]
            )
        }

    def test_joined_from_the_start_on(self):
        self._make_patron("New Today")
        self._make_patron("New Yesterday", enrolled_on=date(2026, 5, 19))
        self.assertEqual(self._entrants("joined"), {("New Today", "2026-05-20")})

    def test_joined_before_only_when_asked_for(self):
        names = {name for name, _day in self._entrants("joined", includes_past=True)}
        self.assertEqual(names, {"Amal Idris", "Bruno Silva"})

    def test_card_expires_in_some_days(self):
        self._create_membership(self.amal, date_end=date(2026, 6, 19))
        self._create_membership(self.bruno, date_end=date(2026, 6, 20))
        self.assertEqual(
            self._entrants("expiry", trigger_days=30), {("Amal Idris", "2026-06-19")}
        )

    def test_not_used_for_some_days(self):
        for patron, day in (
            (self.amal, date(2026, 2, 19)),  # 90 days ago
            (self.bruno, date(2026, 2, 18)),  # 91: it was so before the start
        ):
            self.env["library.service.usage"].create(
                {
                    "patron_id": patron.id,
                    "service_id": self.visit.id,
                    "branch_id": self.main.id,
                    "date": day,
                }
            )
        self.assertEqual(
            self._entrants("unused", trigger_days=90), {("Amal Idris", "2026-05-20")}
        )

    def test_birthday_also_on_the_29th_of_february(self):
        self._make_patron("May", birth_date=date(1990, 5, 20))
        self._make_patron("Not", birth_date=date(1990, 5, 22))
        self.assertEqual(self._entrants("birthday"), {("May", "2026-05-20")})
        with freeze_time(datetime(2027, 2, 28, 12)):
            self.assertIn(("Amal Idris", "2027-02-28"), self._entrants("birthday"))

    def test_anniversary_of_joining(self):
        self.amal.enrolled_on = date(2021, 5, 23)
        self._make_patron("Newborn")
        self.assertEqual(
            self._entrants("anniversary", trigger_days=3),
            {("Amal Idris", "2026-05-23")},
        )

    def test_outgrows_the_category(self):
        self.child.write({"age_max": 12, "next_category_id": self.adult.id})
        of_child = {"patron_category_id": self.child.id}
        self._make_patron("Grown", birth_date=date(2013, 5, 20), **of_child)
        self._make_patron("Small", birth_date=date(2013, 5, 21), **of_child)
        self.assertEqual(self._entrants("outgrow"), {("Grown", "2026-05-20")})

    def test_first_use_of_a_service(self):
        for patron, service, day in (
            (self.amal, self.loan, date(2020, 1, 5)),
            (self.amal, self.loan, date(2026, 5, 20)),
            (self.bruno, self.visit, date(2020, 1, 5)),
            (self.bruno, self.loan, date(2026, 5, 20)),
        ):
            self.env["library.service.usage"].create(
                {
                    "patron_id": patron.id,
                    "service_id": service.id,
                    "branch_id": self.main.id,
                    "date": day,
                }
            )
        self.assertEqual(
            self._entrants("first_use", service_id=self.loan.id),
            {("Bruno Silva", "2026-05-20")},
        )

    def test_matches_a_choice_of_patrons_once_or_again(self):
        domain = repr([("card_number", "=", "0042")])
        for reentry, times in (("once", 1), ("after", 2)):
            journey = self._make_journey(
                trigger="domain",
                patron_domain=domain,
                reentry=reentry,
                reentry_days=10,
            )
            self._make_step(journey)
            self._start(journey)
            self.assertEqual(self._run(), [("Mail 1", "Amal Idris")])
            self.assertEqual(self._run(NOON + timedelta(days=9)), [])
            again = self._run(NOON + timedelta(days=11))
            with self.subTest(reentry=reentry):
                self.assertEqual(len(again), times - 1, "The same mail comes again")
                self.assertEqual(len(self._enrolment(self.amal, journey)), times)
            journey.action_close()
        with self.assertRaises(ValidationError):
            journey.reentry = "occasion"

    def test_entering_a_segment_is_an_occasion(self):
        segment = self.env["library.segment"].create(
            {
                "name": "Reachable by phone",
                "company_id": self.library.id,
                "domain": repr([("phone", "!=", False)]),
            }
        )
        self.journey.write(
            {
                "trigger": "domain",
                "reentry": "once",
                "patron_domain": repr([("segment_ids", "in", segment.ids)]),
            }
        )
        self._make_step()
        ines = self._make_patron("Ines")
        self._start()
        self.assertEqual(self._run(), [])
        ines.phone = "+1 555 0100"
        self.assertEqual(self._run(NOON + timedelta(days=1)), [("Mail 1", "Ines")])
        self.assertEqual(self._run(NOON + timedelta(days=2)), [], "only once")

    def test_only_patrons_of_the_choice_and_of_the_library_enter(self):
        self.journey.patron_domain = repr([("branch_id", "=", self.main.id)])
        self._make_step()
        here = self._make_patron("Here")
        self._make_patron("There", branch_id=self.north.id)
        self.other_patron.enrolled_on = self.today
        self._start()
        self.assertEqual(self._run(), [("Mail 1", here.name)])

    # ------------------------------------------------------------
    # STEPS
    # ------------------------------------------------------------

    def test_steps_follow_each_other_after_their_waits(self):
        first = self._make_step()
        second = self._make_step(after=first, delay=7)
        self._make_step(after=second, delay=2, delay_unit="weeks")
        ines = self._make_patron("Ines")
        self._start()
        self.assertEqual(self._run(), [("Mail 1", "Ines")])
        self.assertEqual(self._run(NOON + timedelta(days=6)), [])
        self.assertEqual(self._run(NOON + timedelta(days=7)), [("Mail 2", "Ines")])
        self.assertEqual(self._run(NOON + timedelta(days=7)), [])
        self.assertEqual(self._run(NOON + timedelta(days=21)), [("Mail 3", "Ines")])
        self.assertEqual(self._enrolment(ines).state, "done")
        self.assertEqual(
            self._events(ines),
            [(f"Step {number}", "sent", False) for number in (1, 2, 3)],
        )

    def test_steps_around_a_day_and_those_that_come_too_late(self):
        journey = self._make_journey(trigger="expiry", trigger_days=30)
        step = None
        for days in (-30, -7, 7):
            step = self._make_step(journey, after=step, delay=days, timing="occasion")
        self._create_membership(self.amal, date_end=date(2026, 6, 9))  # in 20 days
        self._start(journey)
        self.assertEqual(self._run(), [], "The mail 30 days before comes too late")
        self.assertEqual(
            self._run(datetime(2026, 6, 2, 7, 59)), [], "Not before the morning"
        )
        self.assertEqual(
            self._run(datetime(2026, 6, 2, 8, 0)), [("Mail 2", "Amal Idris")]
        )
        self.assertEqual(
            self._run(datetime(2026, 6, 16, 8, 0)), [("Mail 3", "Amal Idris")]
        )
        self.assertEqual(
            self._events(self.amal, journey),
            [
                ("Step 1", "skipped", "late"),
                ("Step 2", "sent", False),
                ("Step 3", "sent", False),
            ],
        )

    def test_question_parts_the_way(self):
        question = self._make_step(
            kind="condition", domain=repr([("phone", "!=", False)])
        )
        self._make_step(after=question, branch="yes")
        self._make_step(after=question, branch="no")
        self._make_patron("With", phone="+1 555 0100")
        self._make_patron("Without")
        self._start()
        self.assertEqual(
            sorted(self._run()), [("Mail 2", "With"), ("Mail 3", "Without")]
        )

    def test_task_for_the_liaison_and_request(self):
        task = self._make_step(kind="activity", note="Call and say hello")
        self._make_step(after=task, kind="request", request_kind="win_back")
        ines = self._make_patron("Ines", liaison_id=self.desk.id)
        self._start()
        self._run()
        activity = ines.activity_ids
        self.assertEqual(activity.user_id, self.desk)
        self.assertEqual(activity.summary, "Step 1")
        self.assertEqual(ines.request_ids.library_request_kind, "win_back")
        self.assertEqual(ines.request_ids.library_branch_id, self.main)
        self.assertEqual(self._enrolment(ines).state, "done")

    def test_step_put_between_two_pushes_the_second_down(self):
        first = self._make_step()
        third = self._make_step(after=first)
        second = self._make_step(after=first)
        self.assertEqual(third.parent_id, second)
        second.action_remove()
        self.assertEqual(third.parent_id, first)

    def test_question_taken_out_keeps_its_yes(self):
        first = self._make_step()
        last = self._make_step(after=first)
        question = self._make_step(after=first, kind="condition", domain="[(1,'=',1)]")
        self.assertEqual((last.parent_id, last.branch), (question, "yes"))
        other = self._make_step(after=question, branch="no")
        question.action_remove()
        self.assertEqual((last.parent_id, last.branch), (first, False))
        self.assertFalse(other.exists())

    def test_journey_that_is_not_complete_does_not_start(self):
        with self.assertRaisesRegex(UserError, "has no step yet"):
            self._start()
        step = self._make_step(mailing_id=False)
        with self.assertRaisesRegex(UserError, "its mail has no text yet"):
            self._start()
        step.write({"kind": "condition"})
        with self.assertRaisesRegex(UserError, "the question is missing"):
            self._start()

    # ------------------------------------------------------------
    # ASKED AGAIN AT THE MOMENT OF THE STEP
    # ------------------------------------------------------------

    def test_who_renewed_a_minute_before_gets_no_reminder(self):
        journey = self._make_journey(trigger="expiry", trigger_days=30)
        self._make_step(journey, delay=-7, timing="occasion")
        for patron in (self.amal, self.bruno):
            self._create_membership(patron, date_end=date(2026, 6, 19))
        self._start(journey)
        self._run()
        moment = datetime(2026, 6, 12, 8, 1)
        with freeze_time(moment - timedelta(minutes=1)):
            self.amal.action_renew_membership()
        self.assertEqual(self._run(moment), [("Mail 1", "Bruno Silva")])
        self.assertEqual(
            self._events(self.amal, journey), [("Step 1", "exited", "occasion")]
        )

    def test_who_came_back_is_not_won_back(self):
        journey = self._make_journey(trigger="unused", trigger_days=90)
        self._make_step(journey, delay=1)
        self.amal.enrolled_on = self.today - timedelta(days=90)
        self._start(journey)
        self._run()
        self.env["library.service.usage"].create(
            {
                "patron_id": self.amal.id,
                "service_id": self.visit.id,
                "branch_id": self.main.id,
            }
        )
        self.assertEqual(self._run(NOON + timedelta(days=1)), [])
        self.assertEqual(self._enrolment(self.amal, journey).state, "exited")

    def test_leave_when_is_asked_at_each_step(self):
        self.journey.exit_domain = repr([("phone", "!=", False)])
        first = self._make_step()
        self._make_step(after=first, delay=1)
        ines = self._make_patron("Ines")
        self._start()
        self.assertEqual(self._run(), [("Mail 1", "Ines")])
        ines.phone = "+1 555 0100"
        self.assertEqual(self._run(NOON + timedelta(days=1)), [])
        self.assertEqual(self._events(ines)[1:], [("Step 2", "exited", "wish")])

    def test_consent_is_asked_at_each_step(self):
        self.journey.purpose_id = self.news
        step = None
        for _number in range(3):
            step = self._make_step(after=step, delay=1)
        ines = self._make_patron("Ines")
        self._agree(ines)
        self._start()
        self._run()
        self.assertEqual(self._run(NOON + timedelta(days=1)), [("Mail 1", "Ines")])
        self._agree(ines, "withdrawn")
        self.assertEqual(self._run(NOON + timedelta(days=2)), [])
        self._agree(ines)
        self.assertEqual(self._run(NOON + timedelta(days=3)), [("Mail 3", "Ines")])
        self.assertEqual(
            self._events(ines),
            [
                ("Step 1", "sent", False),
                ("Step 2", "skipped", "no_consent"),
                ("Step 3", "sent", False),
            ],
        )

    def test_who_can_not_be_reached_is_left_out_and_goes_on(self):
        first = self._make_step()
        self._make_step(after=first, kind="activity", delay=1)
        nowhere = self._make_patron("Nowhere", email=False)
        blocked = self._make_patron("Blocked")
        self.env["mail.blacklist"]._add(blocked.email)
        self._start()
        self.assertEqual(self._run(), [])
        self.assertEqual(self._events(nowhere), [("Step 1", "skipped", "no_address")])
        self.assertEqual(self._events(blocked), [("Step 1", "skipped", "blacklisted")])
        self._run(NOON + timedelta(days=1))
        self.assertTrue(nowhere.activity_ids)

    def test_archived_patron_leaves(self):
        self._make_step(delay=1)
        ines = self._make_patron("Ines")
        self._start()
        self._run()
        ines.active = False
        self.assertEqual(self._run(NOON + timedelta(days=1)), [])
        self.assertEqual(self._events(ines), [("Step 1", "exited", "archived")])

    def test_erased_patron_is_taken_off_the_way_and_stays_counted(self):
        self._make_step()
        ines = self._make_patron("Ines")
        self._start()
        self._run()
        mail = self.env["mail.mail"].search([("res_id", "=", ines.id)], limit=1)
        self.assertEqual(mail.state, "outgoing")
        enrolment = self._enrolment(ines)
        ines.unlink()
        self.assertFalse(enrolment.patron_id)
        self.assertFalse(mail.exists())
        self.assertEqual(self._run(NOON + timedelta(days=1)), [])
        self.assertEqual(self.journey.sent_count, 1)

    def test_merged_patron_is_on_the_journey_once(self):
        first = self._make_step()
        self._make_step(after=first, delay=1)
        kept, other = self._make_patron("Ines"), self._make_patron("Ines Twin")
        third = self._make_patron("Ines Old", enrolled_on=self.today)
        self._start()
        self.assertEqual(len(self._run()), 3)
        kept.sudo()._merge(other + third)
        self.assertEqual(len(self._enrolment(kept)), 1)
        self.assertEqual(self._run(NOON + timedelta(days=1)), [("Mail 2", "Ines")])

    def test_merged_patron_goes_on_where_only_the_other_was(self):
        first = self._make_step()
        self._make_step(after=first, delay=1)
        other = self._make_patron("Ines Twin")
        self._start()
        self._run()
        self.amal.sudo()._merge(other)
        self.assertEqual(
            self._run(NOON + timedelta(days=1)), [("Mail 2", "Amal Idris")]
        )

    # ------------------------------------------------------------
    # QUIET HOURS, CAP, HOUSEHOLDS
    # ------------------------------------------------------------

    def test_quiet_hours_are_those_of_the_branch_where_the_patron_is_now(self):
        def calendar(zone):
            return self.env["resource.calendar"].create({"name": zone, "tz": zone}).id

        self.main.resource_calendar_id = calendar("Asia/Tokyo")  # 21:00
        self.north.resource_calendar_id = calendar("America/New_York")  # 8:00
        self._make_step()
        east = self._make_patron("East")
        self._make_patron("West", branch_id=self.north.id)
        self._start()
        self.assertEqual(self._run(), [("Mail 1", "West")])
        self.assertEqual(
            self._enrolment(east).due_at, datetime(2026, 5, 20, 23, 0), "8:00 in Tokyo"
        )
        east.branch_id = self.north
        self.assertEqual(self._run(datetime(2026, 5, 20, 23, 1)), [("Mail 1", "East")])

    def test_quiet_hours_within_a_day(self):
        self.journey.write({"quiet_from": 11, "quiet_to": 14.5})
        self._make_step()
        ines = self._make_patron("Ines")
        self._start()
        self.assertEqual(self._run(), [])
        self.assertEqual(self._enrolment(ines).due_at, datetime(2026, 5, 20, 14, 30))

    def test_cap_puts_off_what_is_too_much_in_a_week(self):
        self.library.library_weekly_cap = 2
        self.journey.purpose_id = self.news
        self.journey.quiet_from = self.journey.quiet_to = 0
        step = None
        for _number in range(3):
            step = self._make_step(after=step)
        ines = self._make_patron("Ines")
        self._agree(ines)
        self._start()
        now = fields.Datetime.now()
        sent = self._run()
        traces = self.env["mailing.trace"].search([("res_id", "=", ines.id)])
        self.env.cr.execute(
            "UPDATE mailing_trace SET create_date = %s WHERE id = ANY(%s)",
            [now, traces.ids],
        )
        self.assertEqual([subject for subject, _name in sent], ["Mail 1", "Mail 2"])
        enrolment = self._enrolment(ines)
        self.assertEqual(enrolment.due_at, now + timedelta(days=7))
        self.assertEqual(
            self._run(NOON + timedelta(days=7, minutes=1)), [("Mail 3", "Ines")]
        )

    def test_mail_to_the_household_counts_for_each_whom_it_names(self):
        self.library.library_weekly_cap = 1
        self.journey.write({"purpose_id": self.news.id, "groups_households": True})
        self._make_step(after=self._make_step(), delay=3)
        rana = self._make_patron("Rana Haddad")
        child = self._make_patron("Sami Haddad", email=False, guardian_id=rana.id)
        self._agree(rana + child)
        self._start()
        self._run_each_day(7)
        self.assertEqual(len(self._sent(self.journey)[0]), 2, "the first, to both")
        self.assertEqual(
            self._run(NOON + timedelta(days=7)), [("Mail 2", "Rana Haddad")]
        )

    def test_household_gets_one_mail_that_names_the_cards(self):
        self.journey.groups_households = True
        self._make_step()
        rana = self._make_patron("Rana Haddad", card_number="0009001")
        children = [
            self._make_patron(name, email=False, card_number=card, guardian_id=rana.id)
            for name, card in (("Sami Haddad", "0009002"), ("Lina Haddad", "0009003"))
        ]
        household = self.env["library.household"].create(
            {"name": "Haddad", "company_id": self.library.id}
        )
        (rana + children[0] + children[1]).household_id = household
        alone = self._make_patron("Alone")
        self._start()
        self.assertEqual(
            sorted(self._run()), [("Mail 1", "Alone"), ("Mail 1", "Rana Haddad")]
        )
        mail = self.env["mail.mail"].search([("res_id", "=", rana.id)], limit=1)
        for text in ("Rana (…9001)", "Sami (…9002)", "Lina (…9003)"):
            self.assertIn(text, mail.body_html)
        event = self._enrolment(children[0]).event_ids
        self.assertEqual((event.what, event.with_patron_id), ("sent", rana))
        self.assertFalse(self._enrolment(alone).event_ids.with_patron_id)

    def test_child_without_address_is_written_to_at_the_guardian(self):
        self._make_step()
        self._make_patron(
            "Noor Idris", email=False, card_number="0009004", guardian_id=self.amal.id
        )
        self._start()
        self.assertEqual(self._run(), [("Mail 1", "Amal Idris")])
        mail = self.env["mail.mail"].search([], order="id desc", limit=1)
        self.assertIn("Noor (…9004)", mail.body_html)

    # ------------------------------------------------------------
    # WORDINGS
    # ------------------------------------------------------------

    def test_half_of_the_patrons_get_the_second_mail(self):
        step = self._make_step(mailing_b_id=self._make_mailing("Mail B").id)
        for number in range(40):
            self._make_patron(f"P{number}")
        self._start()
        subjects = [subject for subject, _name in self._run()]
        self.assertTrue(8 < subjects.count("Mail B") < 32, subjects.count("Mail B"))
        self.assertEqual(len(subjects), 40)
        self.assertIn(f"of {subjects.count('Mail B')}.", step.comparison)

    def test_patron_gets_the_mail_in_their_language(self):
        self.env["res.lang"]._activate_lang("de_DE")
        step = self._make_step()
        self._make_mailing(
            "Willkommen",
            library_original_id=step.mailing_id.id,
            library_lang="de_DE",
        )
        self._make_patron("Jana", lang="de_DE")
        self._make_patron("Ines")
        self._start()
        self.assertEqual(
            sorted(self._run()), [("Mail 1", "Ines"), ("Willkommen", "Jana")]
        )

    def test_guardian_is_written_to_in_the_language_of_the_guardian(self):
        self.env["res.lang"]._activate_lang("de_DE")
        step = self._make_step()
        self._make_mailing(
            "Willkommen",
            library_original_id=step.mailing_id.id,
            library_lang="de_DE",
        )
        self.amal.lang = "de_DE"
        self._make_patron("Noor Idris", email=False, guardian_id=self.amal.id)
        self._start()
        self.assertEqual(self._run(), [("Willkommen", "Amal Idris")])

    # ------------------------------------------------------------
    # STATES AND VERSIONS
    # ------------------------------------------------------------

    def test_paused_journey_sends_nothing_and_goes_on_later(self):
        self._make_step()
        self._make_patron("Ines")
        self._start()
        self.journey.action_pause()
        self.assertEqual(self._run(), [])
        self._start()
        self.assertEqual(self._run(), [("Mail 1", "Ines")])

    def test_closed_journey_lets_those_on_the_way_finish(self):
        first = self._make_step()
        self._make_step(after=first, delay=1)
        self._make_patron("Ines")
        self._start()
        self._run()
        self.journey.action_close()
        late = self._make_patron("Late")
        self.assertEqual(self._run(NOON + timedelta(days=1)), [("Mail 2", "Ines")])
        self.assertFalse(self._enrolment(late))

    def test_patron_finishes_the_version_they_started(self):
        first = self._make_step()
        self._make_step(after=first, delay=1)
        self._make_patron("Before")
        self._start()
        self._run()
        with self.assertRaisesRegex(UserError, "Begin a new version"):
            first.delay = 3
        self.journey.action_new_version()
        new = self.journey._get_steps(2)
        self.assertEqual(new.mapped("name"), ["Step 1", "Step 2"])
        self.assertFalse(new.mailing_id & self.journey._get_steps(1).mailing_id)
        new[1].mailing_id.subject = "New Mail 2"
        self.journey.action_use_version()
        self._make_patron("After")
        self.assertEqual(
            sorted(self._run(NOON + timedelta(hours=1))), [("Mail 1", "After")]
        )
        self.assertEqual(
            sorted(self._run(NOON + timedelta(days=1, hours=1))),
            [("Mail 2", "Before"), ("New Mail 2", "After")],
        )

    def test_copy_has_the_same_steps_with_mails_of_its_own(self):
        question = self._make_step(kind="condition", domain="[('id', '>', 0)]")
        self._make_step(after=question, branch="no", delay=3)
        self._start()
        copied = self.journey.copy()
        self.assertEqual((copied.name, copied.state), ("Welcome (copy)", "draft"))
        mail = copied.step_ids.filtered("parent_id")
        self.assertEqual((mail.branch, mail.delay), ("no", 3))
        self.assertEqual(mail.parent_id.domain, question.domain)
        self.assertEqual(mail.mailing_id.library_journey_id, copied)
        self.assertEqual(mail.mailing_id.subject, "Mail 2")

    def test_new_version_is_not_entered_before_it_is_put_to_use(self):
        self._make_step()
        self._start()
        self.journey.action_new_version()
        self.journey._get_steps(2).mailing_id.subject = "New"
        self._make_patron("Ines")
        self.assertEqual(self._run(), [("Mail 1", "Ines")])
        self.journey.action_discard_version()
        self.assertEqual(self.journey.edited_version, 1)
        self.assertFalse(self.journey._get_steps(2))

    @mute_logger(
        "odoo.addons.mail.models.mail_render_mixin",
        "odoo.addons.library_crm.models.library_journey",
    )
    def test_journey_with_a_broken_mail_stops_alone_and_says_why(self):
        step = self._make_step()
        step.mailing_id.body_html = '<p>Dear <t t-out="object.nothing_like_it"/></p>'
        other = self._make_journey(name="Other")
        self._make_step(other)
        self._make_patron("Ines")
        self._start()
        self._start(other)
        self.assertEqual(self._run(), [("Mail 1", "Ines")])
        self.assertEqual((self.journey.state, other.state), ("paused", "running"))
        self.assertIn("nothing_like_it", self.journey.problem)

    def test_mail_of_a_journey_is_sent_by_nothing_else(self):
        mailing = self._make_step().mailing_id
        for way in (
            mailing.action_launch,
            mailing.action_put_in_queue,
            lambda: mailing.write({"state": "sending"}),
        ):
            with self.assertRaises(ValidationError):
                way()
        self._make_patron("Ines")
        self._start()
        self._run()
        self.assertEqual(mailing.state, "draft")

    # ------------------------------------------------------------
    # HOLD-OUT
    # ------------------------------------------------------------

    def test_held_out_go_the_same_way_and_get_nothing(self):
        self.journey.hold_out_percent = 50
        first = self._make_step()
        self._make_step(after=first, kind="activity")
        patrons = self.env["library.patron"].concat(
            *(self._make_patron(f"P{number}") for number in range(40))
        )
        self._start()
        sent = [mail for mail in self._run() if mail[0] == "Mail 1"]
        enrolments = self.env["library.journey.enrolment"].search(
            [("journey_id", "=", self.journey.id)]
        )
        held = enrolments.filtered(lambda one: one.arm == "held_out")
        self.assertTrue(8 < len(held) < 32, len(held))
        self.assertEqual(len(sent), 40 - len(held))
        self.assertEqual(set(held.event_ids.mapped("what")), {"held_out"})
        self.assertFalse(held.patron_id.activity_ids)
        self.assertEqual(set(enrolments.mapped("state")), {"done"})
        self.assertTrue(all(enrolments.mapped("first_at")))
        again = self._make_journey(hold_out_percent=50)
        in_arm = self.env.execute_query(
            SQL(
                "SELECT id FROM library_patron patron "
                "WHERE id = ANY(%s) AND %s = 'held_out'",
                patrons.ids,
                self.journey._sql_arm(),
            )
        )
        self.assertEqual({number for (number,) in in_arm}, set(held.patron_id.ids))
        self.assertNotEqual(again._sql_arm(), self.journey._sql_arm())

    def test_lift_with_its_interval_against_figures_of_a_textbook(self):
        # Wald by hand: 60/200 - 40/200; se = sqrt(.3*.7/200 + .2*.8/200) = 0.0430
        lift, low, high = get_lift(60, 200, 40, 200)
        self.assertAlmostEqual(lift, 0.1)
        self.assertAlmostEqual(low, 0.1 - 1.96 * 0.0430116, places=5)
        self.assertAlmostEqual(high, 0.1 + 1.96 * 0.0430116, places=5)

    def test_lift_is_not_told_where_there_are_too_few(self):
        for figures in ((20, 40, 10, 29), (4, 40, 10, 40), (36, 40, 10, 40)):
            with self.subTest(figures=figures):
                self.assertIsNone(get_lift(*figures))
        self.assertTrue(get_lift(5, 30, 25, 30))

    def test_outcome_is_a_use_within_30_days_after_the_first_mail(self):
        self._make_step()
        self.journey.hold_out_percent = 1
        used, late, never = (
            self._make_patron(name) for name in ("Used", "Late", "Never")
        )
        self._start()
        self._run()
        enrolments = self.env["library.journey.enrolment"].search(
            [("journey_id", "=", self.journey.id)]
        )
        enrolments.write({"arm": "treated"})
        with freeze_time(NOON + timedelta(days=70)):
            for patron, days in ((used, 30), (late, 31), (never, 0)):
                self.env["library.service.usage"].create(
                    {
                        "patron_id": patron.id,
                        "service_id": self.visit.id,
                        "branch_id": self.main.id,
                        "date": self.today + timedelta(days=days),
                    }
                )
            self.assertEqual(
                self.journey._get_outcomes(), {self.journey.id: (1, 3, 0, 0)}
            )
            self.assertIn("Too few to tell: 1 of 3", self.journey.lift_text)
        with freeze_time(NOON + timedelta(days=30)):
            self.assertEqual(self.journey._get_outcomes(), {})

    # ------------------------------------------------------------
    # NUMBERS, FORECAST, TEST
    # ------------------------------------------------------------

    def test_picture_shows_the_numbers_of_each_step(self):
        first = self._make_step()
        self._make_step(after=first, delay=1)
        ines, _omar = self._make_patron("Ines"), self._make_patron("Omar")
        self._make_patron("Nowhere", email=False)
        self._start()
        self._run()
        trace = self._enrolment(ines).event_ids.trace_id
        trace.set_opened()
        trace.set_clicked()
        picture = self.journey.with_user(self.marketing).get_picture()
        numbers = [
            {number["name"]: number["value"] for number in step["numbers"]}
            for step in picture["steps"]
        ]
        self.assertEqual(
            numbers[0],
            {
                "waiting": 0,
                "sent": 2,
                "opened": 1,
                "clicked": 1,
                "skipped": 1,
                "exited": 0,
            },
        )
        self.assertEqual(numbers[1]["waiting"], 3)
        self.assertEqual(self.journey.sent_count, 2)
        self.assertEqual(self.journey.opened_count, 1)

    def _forecast(self, journey):
        """Who would be written to, when and what, and the sentence about it."""
        action = journey.action_forecast()
        rows = self.env["library.journey.forecast"].search(action["domain"])
        return action["name"], sorted(
            (row.patron_id.name, row.step_id.name, str(row.date)) for row in rows
        )

    def test_forecast_tells_whom_it_would_write_to_and_writes_to_nobody(self):
        journey = self._make_journey(trigger="expiry", trigger_days=30)
        first = self._make_step(journey, delay=-30, timing="occasion")
        question = self._make_step(
            journey,
            after=first,
            kind="condition",
            domain=repr([("phone", "!=", False)]),
        )
        self._make_step(
            journey, after=question, branch="no", delay=-7, timing="occasion"
        )
        self._create_membership(self.amal, date_end=date(2026, 6, 19))
        self._create_membership(self.bruno, date_end=date(2026, 7, 10))
        for name, values in (
            ("Far", {"date_end": date(2026, 8, 1)}),
            ("Called", {"date_end": date(2026, 6, 20)}),
        ):
            self._create_membership(self._make_patron(name), **values)
        self.env["library.patron"].search([("name", "=", "Called")]).phone = "+1 55"
        before = self.env["mail.mail"].search_count([])
        sentence, rows = self._forecast(journey)
        self.assertEqual(
            rows,
            [
                ("Amal Idris", "Step 1", "2026-05-20"),
                ("Amal Idris", "Step 3", "2026-06-12"),
                ("Bruno Silva", "Step 1", "2026-06-10"),
                ("Called", "Step 1", "2026-05-21"),
            ],
        )
        self.assertIn("would write to 3 people (4 messages) in the next 30", sentence)
        self.assertEqual(self.env["mail.mail"].search_count([]), before)
        self.assertFalse(self._enrolment(self.amal, journey))
        # The same people when they are on the way already.
        self._start(journey)
        self._run()
        self.assertEqual(
            self._forecast(journey)[1],
            [
                ("Amal Idris", "Step 3", "2026-06-12"),
                ("Bruno Silva", "Step 1", "2026-06-10"),
                ("Called", "Step 1", "2026-05-21"),
            ],
        )

    def _run_each_day(self, days):
        """Run the job at noon of each day, as it would send; the mails are of that
        day."""
        newest = self.env["mailing.trace"].search([], order="id desc", limit=1).id or 0
        for day in range(days):
            moment = NOON + timedelta(days=day)
            self._run(moment)
            traces = self.env["mailing.trace"].search([("id", ">", newest)])
            if traces:
                self.env.cr.execute(
                    "UPDATE mailing_trace SET create_date = %s WHERE id = ANY(%s)",
                    [moment, traces.ids],
                )
                newest = max(traces.ids)
                self.env.invalidate_all()

    def _sent(self, journey):
        events = self.env["library.journey.event"].search(
            [("enrolment_id.journey_id", "=", journey.id), ("what", "=", "sent")]
        )
        return sorted(
            (event.patron_id.name, event.step_id.name, str(event.date.date()))
            for event in events
        ), len(events.trace_id)

    def test_forecast_is_what_the_job_sends_when_the_days_come(self):
        self.library.library_weekly_cap = 1
        journey = self._make_journey(
            trigger="expiry",
            trigger_days=30,
            purpose_id=self.news.id,
            groups_households=True,
            exit_domain=repr([("phone", "!=", False)]),
        )
        first = self._make_step(journey, delay=-30, timing="occasion")
        # Three days after a mail: too soon for the limit of one a week.
        second = self._make_step(journey, after=first, delay=3)
        self._make_step(journey, after=second, delay=-14, timing="occasion")

        def make(name, date_end, **values):
            patron = self._make_patron(name, **values)
            self._create_membership(patron, date_end=date_end)
            return patron

        soon, later = date(2026, 6, 19), date(2026, 7, 10)
        rana = make("Rana Haddad", soon)
        child = make("Sami Haddad", soon, email=False, guardian_id=rana.id)
        (rana + child).household_id = self.env["library.household"].create(
            {"name": "Haddad", "company_id": self.library.id}
        )
        agreed = rana + child + make("Later", later) + make("Soon", soon)
        blocked = make("Blocked", soon)
        self.env["mail.blacklist"]._add(blocked.email)
        written = make("Written to", soon)
        lost = make("No Address", soon, email=False)
        called = make("Called", soon, phone="+1 555 0100")
        self._agree(agreed + blocked + written + lost + called)
        make("Did not agree", soon)
        mailing = self._make_mailing("News")
        trace = self.env["mailing.trace"].create(
            {
                "mass_mailing_id": mailing.id,
                "model": "library.patron",
                "res_id": written.id,
                "email": written.email,
                "trace_status": "sent",
            }
        )
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE mailing_trace SET create_date = %s WHERE id = %s",
            [NOON - timedelta(days=1), trace.id],
        )
        sentence, rows = self._forecast(journey)
        self._start(journey)
        self._run_each_day(30)
        sent, mails = self._sent(journey)
        self.assertEqual(rows, sent)
        self.assertIn(f"to {len({row[0] for row in sent})} people", sentence)
        self.assertIn(f"({mails} messages)", sentence)
        # It is not for want of mails: each way of sending or not has been there.
        self.assertEqual(
            {row[0] for row in sent}, set((agreed + written).mapped("name"))
        )
        self.assertIn(("Soon", "Step 2", "2026-05-27"), sent, "put off by the limit")
        self.assertNotIn("Step 1", [row[1] for row in sent if row[0] == "Written to"])
        self.assertLess(mails, len(sent), "the child is named in the mail to Rana")

    def test_forecast_leaves_out_whom_the_card_was_renewed_of_since(self):
        journey = self._make_journey(trigger="expiry", trigger_days=30)
        step = self._make_step(journey, delay=-30, timing="occasion")
        self._make_step(journey, after=step, delay=-14, timing="occasion")
        membership = self._create_membership(self.amal, date_end=date(2026, 6, 19))
        self._start(journey)
        self._run()
        self.assertEqual(
            self._forecast(journey)[1], [("Amal Idris", "Step 2", "2026-06-05")]
        )
        membership.date_end = date(2027, 6, 19)
        self.assertEqual(self._forecast(journey)[1], [])

    def test_forecast_counts_one_mail_to_an_address_that_two_share(self):
        self._make_step()
        for _number in range(2):
            self._make_patron("Twin", email="twins@test.example.com")
        sentence, rows = self._forecast(self.journey)
        self._start()
        self._run()
        self.assertEqual((rows, 1), self._sent(self.journey))
        self.assertIn("to 1 people (1 messages)", sentence)

    def test_test_sends_the_mails_of_one_patron_to_oneself(self):
        first = self._make_step()
        self._make_step(after=first, delay=7)
        test = (
            self.env["library.journey.test"]
            .with_user(self.marketing)
            .create(
                {
                    "journey_id": self.journey.id,
                    "patron_id": self.amal.id,
                    "email": "mara@test.example.com",
                }
            )
        )
        with self.mock_mail_gateway():
            test.action_send()
        self.assertEqual(
            [(mail["subject"], mail["email_to"]) for mail in self._mails],
            [
                ("[TEST] Mail 1", ["mara@test.example.com"]),
                ("[TEST] Mail 2", ["mara@test.example.com"]),
            ],
        )
        self.assertIn("Amal Idris", self._mails[0]["body"])
        self.assertFalse(self._enrolment(self.amal))
        self.assertFalse(self.amal.mailing_trace_count)

    # ------------------------------------------------------------
    # FAILURES OF THE MAIL SERVER
    # ------------------------------------------------------------

    def test_mail_that_was_not_taken_is_tried_again_with_a_limit(self):
        self._make_step()
        ines = self._make_patron("Ines")
        self._start()
        self._run()
        event = self._enrolment(ines).event_ids
        mail = event.trace_id.mail_mail_id
        failure = {
            "state": "exception",
            "failure_type": "mail_smtp",
            "failure_reason": "Connection refused",
        }
        for attempt in range(event._RETRIES):
            mail.write(failure)
            self._run()
            self.assertEqual(event.attempts, attempt + 1)
            self.assertEqual(mail.state, "outgoing")
            self.assertEqual(
                mail.scheduled_date, NOON + timedelta(minutes=10 * 2**attempt)
            )
        mail.write(failure)
        self._run()
        self.assertEqual((event.what, event.failure), ("failed", "Connection refused"))
        self.assertEqual(self.journey.failed_count, 1)
        self.assertEqual(mail.state, "exception")

    def test_mail_refused_for_good_is_not_tried_again(self):
        self._make_step()
        ines = self._make_patron("Ines")
        self._start()
        self._run()
        event = self._enrolment(ines).event_ids
        event.trace_id.mail_mail_id.write(
            {
                "state": "exception",
                "failure_type": "unknown",
                "failure_reason": "SMTPRecipientsRefused: {'a@b': (550, b'no such')}",
            }
        )
        self._run()
        self.assertEqual((event.what, event.attempts), ("failed", 0))

    def test_mail_that_was_deleted_for_its_address_shows_as_failed(self):
        self._make_step()
        ines = self._make_patron("Ines")
        self._start()
        self._run()
        event = self._enrolment(ines).event_ids
        event.trace_id.set_failed(failure_type="mail_email_invalid")
        event.trace_id.mail_mail_id.unlink()
        self._run()
        self.assertEqual((event.what, event.failure), ("failed", "mail_email_invalid"))

    # ------------------------------------------------------------
    # WHAT MARKETING MAY NOT KNOW
    # ------------------------------------------------------------

    def test_marketing_learns_no_birthday_from_a_journey(self):
        journey = self._make_journey(name="Birthday", trigger="birthday")
        self._make_step(journey)
        patron = self._make_patron("May", birth_date=date(1990, 5, 20))
        self._start(journey)
        self._run()
        enrolment = self._enrolment(patron, journey)
        trace = enrolment.event_ids.trace_id
        for records in (enrolment, enrolment.event_ids, trace):
            with self.subTest(model=records._name):
                self.assertFalse(
                    records.with_user(self.marketing)._filtered_access("read")
                )
                records.with_user(self.manager).check_access("read")
        self.assertEqual(patron.with_user(self.marketing).journey_count, 0)
        self.assertEqual(journey.with_user(self.marketing).sent_count, 1)
        action = journey.with_user(self.marketing).action_forecast()
        self.assertEqual(action["tag"], "display_notification")
        with self.assertRaises(AccessError):
            self.journey.with_user(self.marketing).trigger = "birthday"

    def test_journey_whose_choice_asks_for_a_birth_date_shows_marketing_no_names(self):
        self._make_step()
        ines = self._make_patron("Ines", birth_date=date(1990, 5, 20))
        for domain, is_private in (
            ([("branch_id", "=", self.main.id)], False),
            ([("guardian_id.birth_date", "!=", False)], True),
            ([("branch_id", "=", self.main.id), ("birth_year", "=", 1990)], True),
        ):
            self.journey.patron_domain = repr(domain)
            self.assertEqual(self.journey.is_private, is_private)
        self._start()
        self._run()
        self.assertFalse(
            self._enrolment(ines).with_user(self.marketing)._filtered_access("read")
        )

    def test_marketing_can_not_ask_for_a_birth_date_through_a_journey(self):
        guess = repr([("birth_date", "=", "1984-02-29")])
        journey = self.journey.with_user(self.marketing)
        step = self._make_step().with_user(self.marketing)
        for record, name in (
            (journey, "patron_domain"),
            (journey, "exit_domain"),
            (step, "domain"),
        ):
            with self.subTest(field=name), self.assertRaises(AccessError):
                record[name] = guess

    def test_desk_takes_a_patron_out(self):
        self._make_step(delay=1)
        ines = self._make_patron("Ines")
        self._start()
        self._run()
        self._enrolment(ines).with_user(self.desk).action_take_out()
        self.assertEqual(self._run(NOON + timedelta(days=1)), [])
        self.assertEqual(self._events(ines), [("Step 1", "exited", "staff")])

    # ------------------------------------------------------------
    # THE DATABASE'S WORD
    # ------------------------------------------------------------

    @mute_logger("odoo.addons.library_crm.models.library_journey")
    def test_batch_that_breaks_leaves_neither_mail_nor_row(self):
        self._make_step()
        ines = self._make_patron("Ines")
        self._start()
        Enrolment = type(self.env["library.journey.enrolment"])
        with patch.object(Enrolment, "_pass", side_effect=ValueError("power cut")):
            self.assertEqual(self._run(), [])
        self.assertFalse(self._enrolment(ines).event_ids)
        self._start()
        self.assertEqual(self._run(), [("Mail 1", "Ines")])
