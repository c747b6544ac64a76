from contextlib import contextmanager
from datetime import date, timedelta

from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import LoyaltyCommon


class ChallengeCommon(LoyaltyCommon):
    """A challenge of the last ten days and the next ten, with a badge. Amal guards
    Noor, who is a child."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = fields.Date.today()
        cls.noor = cls.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "card_number": "0099",
                "patron_category_id": cls.child.id,
                "branch_id": cls.main.id,
                "company_id": cls.library.id,
                "guardian_id": cls.amal.id,
                "birth_date": cls.today - timedelta(days=3000),
            }
        )
        cls.badge = cls.env["library.badge"].create(
            {"name": "Bookworm", "company_id": cls.library.id}
        )

    @classmethod
    def _create_challenge(cls, **values):
        if values.get("goal_kind") != "bingo":
            values.setdefault("target", 2)
        return cls.env["library.challenge"].create(
            {
                "name": "Summer",
                "company_id": cls.library.id,
                "date_from": cls.today - timedelta(days=10),
                "date_to": cls.today + timedelta(days=10),
                "portal_published": True,
                "badge_id": cls.badge.id,
                **values,
            }
        )

    @classmethod
    def _create_bingo(cls, **values):
        return cls._create_challenge(
            goal_kind="bingo",
            square_ids=[
                Command.create(
                    {
                        "name": f"Square {place}",
                        "sequence": place,
                        "service_id": place == 8 and cls.visit.id,
                    }
                )
                for place in range(9)
            ],
            **values,
        )

    def _log(self, entry, minutes=0, days_ago=0, **values):
        return self.env["library.challenge.log"].create(
            {
                "entry_id": entry.id,
                "minutes": minutes,
                "date": self.today - timedelta(days=days_ago),
                **values,
            }
        )

    def _use_ago(self, days_ago, *args, **values):
        return self._use(self.today - timedelta(days=days_ago), *args, **values)

    def _badges(self, patron):
        return patron.badge_award_ids.badge_id

    @contextmanager
    def _refused(self, message="."):
        with self.assertRaises(UserError) as caught:
            yield
        self.assertRegex(str(caught.exception), message)


@tagged("post_install", "-at_install")
class TestChallenge(ChallengeCommon):
    # Use

    def test_use_counts_at_once_and_only_what_the_challenge_asks_for(self):
        challenge = self._create_challenge(
            goal_kind="uses",
            target=10,
            service_category="visit",
            branch_ids=[Command.set(self.main.ids)],
        )
        self._use_ago(3)
        entry = challenge._enrol(self.amal)
        self.assertEqual(entry.progress, 1, "Use from the first day on counts")
        use = self._use_ago(1, quantity=4)
        self.assertEqual(entry.progress, 5)
        self._use_ago(1, self.loan)
        self._use_ago(1, branch_id=self.north.id)
        self._use_ago(11)
        self._use_ago(1, patron=self.bruno)
        self.assertEqual((entry.progress, entry.percent), (5, 50))
        use.quantity = 2
        self.assertEqual(entry.progress, 3)
        use.patron_id = self.bruno
        self.assertEqual(entry.progress, 1)

    def test_days_count_once_however_often_somebody_comes(self):
        entry = self._create_challenge(target=3)._enrol(self.amal)
        for days_ago in (2, 2, 1):
            self._use_ago(days_ago)
        self.assertEqual(entry.progress, 2)
        self.assertFalse(entry.finished_on)

    def test_whoever_gets_there_has_the_badge_once_for_good(self):
        challenge = self._create_challenge()
        entry = challenge._enrol(self.noor)
        uses = self._use_ago(2, patron=self.noor) + self._use_ago(1, patron=self.noor)
        self.assertEqual(entry.finished_on, self.today)
        self.assertEqual(self._badges(self.noor), self.badge)
        self.assertEqual(self.noor.badge_award_ids.challenge_id, challenge)
        self.assertFalse(self.noor.partner_id.user_ids, "It needs no login")
        uses.unlink()
        self.assertEqual((entry.progress, entry.finished_on), (0, self.today))
        self._use_ago(2, patron=self.noor)
        self._use_ago(1, patron=self.noor)
        again = self._create_challenge(name="Again", target=1)._enrol(self.noor)
        self.assertTrue(again.finished_on)
        challenge.active = False
        self.assertEqual(self._badges(self.noor), self.badge)
        self.assertEqual(len(self.noor.badge_award_ids), 1)

    def test_night_reckons_loaded_use_in_one_statement_a_challenge(self):
        challenge = self._create_challenge()
        entries = challenge._enrol(self.amal + self.bruno + self.noor)
        for patron in (self.amal, self.bruno):
            for days_ago in (1, 2):
                self.env.cr.execute(
                    "INSERT INTO library_service_usage (patron_id, service_id,"
                    " branch_id, date, quantity) VALUES (%s, %s, %s, %s, 1)",
                    [
                        *(patron.id, self.visit.id, self.main.id),
                        self.today - timedelta(days=days_ago),
                    ],
                )
        self.assertFalse(any(entries.mapped("progress")))
        cron = self.env.ref("library_crm_loyalty.ir_cron_refresh_challenges")
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(
            [entry.progress for entry in entries.sorted("id")],
            [{self.amal: 2, self.bruno: 2}.get(e.patron_id, 0) for e in entries],
        )
        self.assertEqual(
            self.badge.award_ids.patron_id, self.amal + self.bruno, "And not Noor"
        )

    def test_loaded_use_counts_at_the_end_of_the_load(self):
        """Bruno takes part and has no loyalty card; Noor does not take part."""
        challenge = self._create_challenge()
        over = self._create_challenge(
            date_from=self.today - timedelta(days=90),
            date_to=self.today - timedelta(days=40),
        )
        entry = challenge._enrol(self.bruno)
        over._enrol(self.noor)
        for patron in (self.bruno, self.noor):
            for days_ago in (1, 2):
                self._load_visit(patron, self.today - timedelta(days=days_ago))
        self.assertEqual(entry.progress, 0)
        due = self.env["library.loyalty.due"].search([])
        self.assertIn(self.bruno, due.patron_id)
        self.assertNotIn(self.noor, due.patron_id)
        with self.enter_registry_test_mode():
            self.env.ref(
                "library_crm_loyalty.ir_cron_reckon_points"
            ).method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(entry.progress, 2)
        self.assertTrue(entry.finished_on)
        self.assertEqual(self._badges(self.bruno), self.badge)

    def test_queries_do_not_grow_with_who_takes_part(self):
        challenge = self._create_challenge(target=100)
        challenge._enrol(self.amal)
        challenge._refresh()
        with self.assertQueryCount(3):
            challenge._refresh()
        challenge._enrol(self.bruno + self.noor)
        with self.assertQueryCount(3):
            challenge._refresh()

    def test_challenge_that_is_long_over_is_left_alone(self):
        challenge = self._create_challenge(
            date_from=self.today - timedelta(days=60),
            date_to=self.today - timedelta(days=20),
            target=1,
        )
        entry = challenge._enrol(self.amal)
        self._use_ago(25)
        self.assertEqual(entry.finished_on, challenge.date_to, "Late use counts")
        old = self._create_challenge(
            date_from=self.today - timedelta(days=90),
            date_to=self.today - timedelta(days=40),
        )
        entry = old._enrol(self.amal)
        self._use_ago(45)
        self.assertEqual(entry.progress, 0)

    def test_finishing_earns_points_under_a_rule(self):
        rule = self._create_rule(event="challenge", points=50)
        challenge = self._create_challenge()
        entry = challenge._enrol(self.amal)
        self._use_ago(2)
        self.assertFalse([line for line in self._lines(rule=rule)])
        self._use_ago(1)
        self.assertEqual(self._lines(rule=rule), [("earned", 50)])
        challenge._refresh()
        self.assertEqual(self._lines(rule=rule), [("earned", 50)])
        entry.unlink()
        self.assertEqual(
            self._lines(rule=rule), [("earned", 50), ("corrected", -50)], "A mistake"
        )
        self._assert_balanced()

    # Minutes

    def test_minutes_add_up_and_can_be_undone(self):
        entry = self._create_challenge(goal_kind="minutes", target=100)._enrol(
            self.noor
        )
        self._log(entry, 30)
        log = self._log(entry, 20, days_ago=2)
        self.assertEqual(entry.progress, 50)
        log.unlink()
        self.assertEqual(entry.progress, 30)
        self._log(entry, 70, days_ago=1)
        self.assertEqual(entry.finished_on, self.today)

    def test_absurd_minutes_are_refused(self):
        entry = self._create_challenge(goal_kind="minutes", day_limit=120)._enrol(
            self.noor
        )
        self._log(entry, 100)
        with self._refused("130 minutes would be logged .* counts 120 at most"):
            self._log(entry, 30)
        self._log(entry, 20)
        for values in (
            {"minutes": 10, "days_ago": 11},
            {"minutes": 10, "days_ago": -1},
            {"minutes": 10, "days_ago": 8, "logged_by": "patron"},
        ):
            entry.challenge_id.log_days = 7
            with self.subTest(**values), self.assertRaises(ValidationError):
                self._log(entry, **values)
        for minutes in (0, -5, 1441):
            with (
                self.subTest(minutes),
                self.assertRaises(IntegrityError),
                mute_logger("odoo.sql_db"),
                self.cr.savepoint(),
            ):
                self._log(entry, minutes, days_ago=1)
        with self._refused("cannot be logged"):
            self._log(self._create_challenge()._enrol(self.noor), 10)

    def test_log_has_no_place_for_what_was_read(self):
        columns = self.env["library.challenge.log"].fields_get()
        texts = [
            name
            for name, column in columns.items()
            if column["type"] in ("char", "text", "html") and name != "display_name"
        ]
        self.assertFalse(texts)

    # Bingo

    def test_line_of_the_card(self):
        challenge = self._create_bingo()
        self.assertEqual(challenge.target, 3)
        entry = challenge._enrol(self.noor)
        squares = challenge.square_ids
        for place, progress in ((0, 1), (1, 1), (3, 2), (4, 2)):
            self._log(entry, square_id=squares[place].id)
            self.assertEqual(entry.progress, max(progress, 1 + (place > 0)))
        self.assertFalse(entry.finished_on)
        self._use_ago(1, patron=self.noor)
        self.assertEqual(entry.progress, 3, "The diagonal, with what ticks itself")
        self.assertTrue(entry.finished_on)

    def test_whole_card(self):
        challenge = self._create_bingo(bingo_goal="card")
        self.assertEqual(challenge.target, 9)
        entry = challenge._enrol(self.noor)
        for square in challenge.square_ids[:8]:
            self._log(entry, square_id=square.id)
        self.assertEqual((entry.progress, bool(entry.finished_on)), (8, False))
        with (
            self.assertRaises(IntegrityError),
            mute_logger("odoo.sql_db"),
            self.cr.savepoint(),
        ):
            self._log(entry, square_id=challenge.square_ids[0].id)
        self._use_ago(0, patron=self.noor)
        self.assertTrue(entry.finished_on)

    def test_card_with_a_square_missing_is_not_shown_to_patrons(self):
        challenge = self._create_bingo(portal_published=False)
        challenge.square_ids[0].unlink()
        with self._refused("has 8 squares; 9 are needed"):
            challenge.portal_published = True

    def test_card_is_filled_by_its_lines_alone(self):
        with self._refused("3 squares are what is to be filled, 7 was found"):
            self._create_bingo(target=7)

    def test_square_of_another_card_is_refused(self):
        entry = self._create_bingo()._enrol(self.noor)
        other = self._create_bingo(name="Other")
        with self._refused("cannot be logged"):
            self._log(entry, square_id=other.square_ids[0].id)

    # Teams

    def test_class_reaches_its_goal_together(self):
        challenge = self._create_challenge(
            goal_kind="minutes", target=100, is_team_goal=True
        )
        team, other = self.env["library.challenge.team"].create(
            [
                {"challenge_id": challenge.id, "name": name, "target": target}
                for name, target in (("Class 4b", 0), ("Class 1a", 40))
            ]
        )
        noor = challenge._enrol(self.noor, team)
        amal = challenge._enrol(self.amal, team)
        bruno = challenge._enrol(self.bruno, other)
        self._log(noor, 60)
        self.assertEqual((team.progress, team.percent, noor.percent), (60, 60, 60))
        self.assertFalse(noor.finished_on)
        self._log(noor, 40, days_ago=1)
        self.assertTrue(team.finished_on and noor.finished_on)
        self.assertFalse(amal.finished_on, "Amal has added nothing")
        self._log(amal, 5)
        self.assertTrue(amal.finished_on)
        self.assertEqual((other.progress, bool(bruno.finished_on)), (0, False))
        self._log(bruno, 40)
        self.assertTrue(bruno.finished_on, "A small class has its own target")
        noor.team_id = other
        self.assertEqual((team.progress, other.progress), (5, 140))
        amal.unlink()
        self.assertEqual((team.progress, bool(team.finished_on)), (0, True))

    def test_team_of_another_challenge_is_refused(self):
        challenge = self._create_challenge(is_team_goal=True)
        team = self.env["library.challenge.team"].create(
            {"challenge_id": challenge.id, "name": "Class 4b"}
        )
        with self._refused("another challenge"):
            self._create_challenge(name="Other")._enrol(self.noor, team)

    # Set up

    def test_implausible_challenges_are_refused(self):
        for values in (
            {"target": 0},
            {"target": 10_000_001},
            {"date_to": self.today - timedelta(days=11)},
            {"date_to": self.today + timedelta(days=5000)},
            {"day_limit": 0},
            {"day_limit": 1441},
            {"log_days": -1},
            {"goal_kind": "bingo", "is_team_goal": True, "portal_published": False},
        ):
            with (
                self.subTest(**values),
                self.assertRaises(IntegrityError),
                mute_logger("odoo.sql_db"),
                self.cr.savepoint(),
            ):
                self._create_challenge(**values)

    def test_challenge_with_patrons_keeps_its_kind_and_stays(self):
        challenge = self._create_challenge()
        challenge.goal_kind = "uses"
        challenge._enrol(self.amal)
        with self._refused("keeps its kind"):
            challenge.goal_kind = "days"
        with self._refused("Archive it"):
            challenge.unlink()
        self._use_ago(1)
        self._use_ago(2)
        with self._refused("they keep it"):
            self.badge.unlink()

    def test_manager_makes_a_challenge_in_the_form(self):
        with Form(
            self.env["library.challenge"].with_user(self.manager),
            "library_crm_loyalty.library_challenge_view_form",
        ) as form:
            form.name = "Eight days"
            form.target = 8
            self.assertEqual(form.in_words, "Use the library on 8 days")
            form.goal_kind = "bingo"
        challenge = form.record
        self.assertEqual(challenge.target, 3)
        self.assertEqual(challenge.in_words, "Fill a line of the bingo card")

    def test_progress_is_not_written_by_hand(self):
        entry = self._create_challenge()._enrol(self.amal)
        for name, value in (
            ("progress", 100),
            ("finished_on", self.today),
            ("nickname", "Owl"),
        ):
            with self.subTest(name), self.assertRaises(AccessError):
                entry.with_user(self.manager).write({name: value})
        with self.assertRaises(AccessError):
            self.env["library.challenge.entry"].with_user(self.manager).create(
                {
                    "challenge_id": entry.challenge_id.id,
                    "patron_id": self.bruno.id,
                    "progress": 100,
                }
            )

    def test_desk_lets_its_own_patrons_take_part(self):
        challenge = self._create_challenge(goal_kind="minutes", target=100)
        desk = challenge.with_user(self.desk).with_context(
            allowed_company_ids=self.library.ids
        )
        entry = desk._enrol(self.noor.with_env(desk.env))
        entry.write({"log_ids": [Command.create({"minutes": 15})]})
        self.assertEqual((entry.progress, entry.log_ids.logged_by), (15, "staff"))
        with self.assertRaises(AccessError):
            desk._enrol(self.bruno.with_env(desk.env))
        with self.assertRaises(AccessError):
            desk.env["library.badge.award"].create(
                {"badge_id": self.badge.id, "patron_id": self.bruno.id}
            )
        desk.env["library.badge.award"].create(
            {"badge_id": self.badge.id, "patron_id": self.noor.id}
        )
        self.assertEqual(self._badges(self.noor), self.badge)

    def test_patron_of_another_library_does_not_take_part(self):
        with self._refused():
            self._create_challenge()._enrol(self.other_patron)

    # Who is offered it

    def test_challenge_is_offered_to_whom_it_is_for(self):
        Challenge = self.env["library.challenge"]
        segment = self.env["library.segment"].create(
            {
                "name": "Helpers",
                "kind": "list",
                "listed_patron_ids": [Command.set(self.bruno.ids)],
            }
        )
        mine = Challenge.browse()
        everybody = self._create_challenge(name="All")
        children = self._create_challenge(
            name="Children", patron_category_ids=[Command.set(self.child.ids)]
        )
        helpers = self._create_challenge(name="Helpers", segment_id=segment.id)
        mine |= everybody | children | helpers
        self._create_challenge(name="Draft", portal_published=False)
        self._create_challenge(
            name="Over", date_to=self.today - timedelta(days=1), active=True
        )
        self._create_challenge(name="Archived", active=False)

        def offered(patron):
            return Challenge._get_offered(patron)

        self.assertEqual(offered(self.noor), everybody + children)
        self.assertEqual(offered(self.amal), everybody)
        self.assertEqual(offered(self.bruno), everybody + helpers)
        self.assertFalse(offered(self.other_patron) & mine)
        everybody._enrol(self.amal)
        self.assertFalse(offered(self.amal))

    # Leaderboard

    def test_leaderboard_is_off_until_somebody_turns_it_on(self):
        entry = self._create_challenge()._enrol(self.amal)
        self.assertFalse(entry.challenge_id.leaderboard)
        with self._refused("no leaderboard"):
            entry._join_leaderboard("Owl")
        self.assertEqual(entry._get_leaderboard(), [])

    def test_nickname_tells_nobody_who_it_is(self):
        challenge = self._create_challenge(leaderboard=True)
        amal, bruno = challenge._enrol(self.amal), challenge._enrol(self.bruno)
        for nickname in (
            *("Amal", "amal", "A.M.A.L", "Âmal 7", "Super Idris", "amal_i"),
            *("Owl 1984", "0042 owl", "", " ", "x", "y" * 21, "1234"),
            *("owl@home", "<b>owl</b>", "42"),
        ):
            with self.subTest(nickname), self._refused():
                amal._join_leaderboard(nickname)
        amal._join_leaderboard("  Night   Owl 7 ")
        self.assertEqual(amal.nickname, "Night Owl 7")
        with self._refused("Somebody else"):
            bruno._join_leaderboard("night owl 7")
        bruno._join_leaderboard("Читатель")
        self.assertEqual(bruno.nickname, "Читатель")

    def test_leaderboard_has_only_those_who_asked_and_says_who_shares_a_place(self):
        challenge = self._create_challenge(
            goal_kind="minutes", target=100, leaderboard=True
        )
        amal, bruno, noor = (
            challenge._enrol(patron) for patron in (self.amal, self.bruno, self.noor)
        )
        self._log(amal, 10)
        self._log(bruno, 20)
        self._log(noor, 30)
        amal._join_leaderboard("Owl")
        bruno._join_leaderboard("Fox")
        self.assertEqual(amal._get_leaderboard(), [(1, bruno), (2, amal)])
        self._log(amal, 10)
        self.assertEqual(noor._get_leaderboard(), [(1, bruno), (1, amal)])
        bruno.with_user(self.manager).action_leave_leaderboard()
        self.assertEqual(noor._get_leaderboard(), [(1, amal)])

    # Merged and erased

    def test_merged_patrons_have_one_entry_with_the_log_of_both(self):
        challenge = self._create_challenge(
            goal_kind="minutes", target=250, day_limit=200, leaderboard=True
        )
        bingo = self._create_bingo(name="Bingo")
        amal, bruno = challenge._enrol(self.amal), challenge._enrol(self.bruno)
        self._log(amal, 150)
        self._log(bruno, 150)
        self._log(bruno, 20, days_ago=1)
        for patron in (self.amal, self.bruno):
            self._log(bingo._enrol(patron), square_id=bingo.square_ids[0].id)
        only = self._create_challenge(name="Bruno's", badge_id=False)
        only._enrol(self.bruno)
        for patron, day in ((self.amal, 5), (self.bruno, 3)):
            self.env["library.badge.award"].create(
                {
                    "badge_id": self.badge.id,
                    "patron_id": patron.id,
                    "awarded_on": date(2024, 1, day),
                }
            )
        self.amal._merge(self.bruno)
        self.assertEqual(
            self.amal.challenge_entry_ids.challenge_id, challenge + bingo + only
        )
        entry = self.amal.challenge_entry_ids.filtered(
            lambda entry: entry.challenge_id == challenge
        )
        self.assertEqual(len(entry.log_ids), 3)
        self.assertEqual(entry.progress, 220, "A day counts 200 at most")
        self.assertEqual(
            self.amal.badge_award_ids.mapped("awarded_on"), [date(2024, 1, 3)]
        )

    def test_nothing_is_left_of_who_is_erased(self):
        challenge = self._create_challenge(
            goal_kind="minutes", target=10, is_team_goal=True
        )
        team = self.env["library.challenge.team"].create(
            {"challenge_id": challenge.id, "name": "Class 4b"}
        )
        entry = challenge._enrol(self.noor, team)
        self._log(entry, 10)
        self.assertTrue(self._badges(self.noor))
        self.assertTrue(team.finished_on)
        noor_id = self.noor.id
        self.noor.unlink()
        for model in ("library.challenge.entry", "library.badge.award"):
            self.assertFalse(self.env[model].search([("patron_id", "=", noor_id)]))
        self.assertFalse(
            self.env["library.challenge.log"].search(
                [("challenge_id", "=", challenge.id)]
            )
        )
        challenge._refresh()
        self.assertEqual(team.progress, 0)
        self.assertTrue(team.finished_on, "What was reached together is reached")

    # Certificate

    def test_certificate_is_for_who_has_finished(self):
        challenge = self._create_challenge()
        noor, amal = challenge._enrol(self.noor), challenge._enrol(self.amal)
        with self._refused("who has finished"):
            (noor + amal).action_print_certificates()
        self._use_ago(1, patron=self.noor)
        self._use_ago(2, patron=self.noor)
        report = "library_crm_loyalty.library_challenge_certificate"
        action = (noor + amal).action_print_certificates()
        self.assertEqual(action["context"]["active_ids"], noor.ids)
        Report = self.env["ir.actions.report"].with_user(self.manager)
        content, kind = Report._render_qweb_html(report, noor.ids)
        self.assertEqual(kind, "html")
        for shown in ("Noor Idris", "Summer", "Riverside Library", "on 2 days"):
            self.assertIn(shown, content.decode())
        challenge.has_certificate = False
        with self._refused("who has finished"):
            noor.action_print_certificates()

    def test_certificates_of_a_class_are_one_pdf(self):
        challenge = self._create_challenge(target=1)
        entries = challenge._enrol(self.noor + self.amal)
        Report = self.env["ir.actions.report"].with_user(self.manager)
        if Report.get_wkhtmltopdf_state() in ("install", "broken"):
            self.skipTest("wkhtmltopdf is missing: Odoo shows the page instead")
        content, kind = Report.with_context(
            force_report_rendering=True
        )._render_qweb_pdf(
            "library_crm_loyalty.library_challenge_certificate", entries.ids
        )
        self.assertEqual((kind, content[:4]), ("pdf", b"%PDF"))
