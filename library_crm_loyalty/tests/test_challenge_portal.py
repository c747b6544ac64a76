import re
from datetime import timedelta

from odoo.tests import HttpCase, tagged

from .test_challenge import ChallengeCommon


@tagged("post_install", "-at_install")
class TestChallengePortal(ChallengeCommon, HttpCase):
    """``portal`` is the user of Amal, who guards Noor."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal.write({"login": "amal_portal", "password": "amal_portal"})
        cls.challenge = cls._create_challenge(
            goal_kind="minutes", target=60, day_limit=120, leaderboard=True
        )

    def setUp(self):
        super().setUp()
        self.authenticate("amal_portal", "amal_portal")

    def _page(self, patron, challenge=None, page=""):
        challenge = challenge or self.challenge
        return f"/my/library/{patron.id}/challenges/{challenge.id}{page}"

    def _get(self, *args, **kwargs):
        return self.url_open(self._page(*args, **kwargs), allow_redirects=False)

    def _post(self, patron, action, challenge=None, **values):
        """Send a form as a browser does, with the token of the session."""
        page = self.url_open("/my/account")
        token = re.search(r'csrf_token: "([^"]+)"', page.text).group(1)
        response = self.url_open(
            self._page(patron, challenge, f"/{action}"),
            data={"csrf_token": token, **values},
            allow_redirects=False,
        )
        self.env.invalidate_all()
        return response

    def _log_today(self, patron, minutes, **values):
        return self._post(
            patron, "log", date=str(self.today), minutes=minutes, **values
        )

    def _entry(self, patron, challenge=None):
        return self.env["library.challenge.entry"].search(
            [
                ("patron_id", "=", patron.id),
                ("challenge_id", "=", (challenge or self.challenge).id),
            ]
        )

    def test_guardian_lets_the_child_take_part_logs_and_undoes(self):
        page = self.url_open("/my/library/challenges").text
        self.assertIn("Noor Idris", page)
        self.assertIn(self._page(self.noor), page)
        self.assertIn("Take part", self._get(self.noor).text)
        self._post(self.noor, "join")
        entry = self._entry(self.noor)
        self.assertTrue(entry)
        self._log_today(self.noor, "20")
        self._post(self.noor, "log", date=str(self.today), minutes="", quick="10")
        self.assertEqual(entry.progress, 30)
        self.assertEqual(set(entry.log_ids.mapped("logged_by")), {"guardian"})
        page = self._get(self.noor).text
        self.assertRegex(page, r'aria-valuenow="30"')
        self.assertRegex(page, r'aria-valuemax="60"')
        self._post(self.noor, "undo", log=entry.log_ids[0].id)
        self.assertEqual(len(entry.log_ids), 1)
        self._log_today(self.noor, "60")
        self.assertTrue(entry.finished_on)
        self.assertIn("Well done", self._get(self.noor).text)
        page = self.url_open(f"/my/library/{self.noor.id}").text
        self.assertIn("Bookworm", page)

    def test_patron_logs_for_themselves(self):
        self._post(self.amal, "join")
        self._log_today(self.amal, "20")
        self.assertEqual(self._entry(self.amal).log_ids.logged_by, "patron")

    def test_what_makes_no_sense_is_refused_with_the_reason(self):
        self._post(self.noor, "join")
        entry = self._entry(self.noor)
        for minutes, reason in (
            ("abc", "“abc” was found"),
            ("", "A number of minutes is expected"),
            ("-5", "A number of minutes is expected"),
            ("1e3", "A number of minutes is expected"),
            ("٣٠", "A number of minutes is expected"),
            ("99999999999999999999", "A number of minutes is expected"),
            ("0", "1 to 1,440"),
            ("1441", "1 to 1,440"),
            ("121", "one day counts 120 at most"),
        ):
            with self.subTest(minutes):
                response = self._log_today(self.noor, minutes)
                self.assertEqual(response.status_code, 200)
                self.assertIn(reason, response.text)
                self.assertFalse(entry.log_ids)
        for day in (
            *("", "yesterday", "2024-13-45"),
            str(self.today + timedelta(days=1)),
            str(self.today - timedelta(days=11)),
        ):
            with self.subTest(day):
                response = self._post(self.noor, "log", date=day, minutes="10")
                self.assertIn("alert-warning", response.text)
                self.assertFalse(entry.log_ids)
        self._post(self.noor, "undo", log="abc")
        self._post(self.noor, "tick", tick="abc")
        self.assertFalse(entry.log_ids)

    def test_what_is_long_ago_is_not_undone_here(self):
        self.challenge.log_days = 3
        log = self._log(self.challenge._enrol(self.noor), 10, days_ago=5)
        response = self._post(self.noor, "undo", log=log.id)
        self.assertIn("too long ago", response.text)
        self.assertTrue(log.exists())

    def test_nobody_reaches_others_by_changing_a_number(self):
        entry = self.challenge._enrol(self.bruno)
        log = self._log(entry, 25)
        entry._join_leaderboard("Fox")
        other = self._create_challenge(name="Other")
        for patron in (self.bruno, self.other_patron):
            for path in (
                self._page(patron),
                self._page(patron, page="/certificate"),
            ):
                with self.subTest(path):
                    response = self.url_open(path, allow_redirects=False)
                    self.assertEqual(response.status_code, 303)
                    self.assertTrue(response.headers["Location"].endswith("/my"))
            for action, values in (
                ("join", {}),
                ("log", {"date": str(self.today), "minutes": "10"}),
                ("undo", {"log": log.id}),
                ("leaderboard", {"nickname": "Owl"}),
                ("leaderboard", {}),
                ("leave", {}),
            ):
                with self.subTest(action):
                    response = self._post(patron, action, **values)
                    self.assertTrue(response.headers["Location"].endswith("/my"))
        self._post(self.bruno, "join", other)
        self._post(self.noor, "join")
        self._post(self.noor, "undo", log=log.id)
        self.assertEqual((entry.progress, entry.nickname), (25, "Fox"))
        self.assertEqual(len(entry.log_ids), 1)
        self.assertFalse(self._entry(self.bruno, other))
        self.assertNotIn("Bruno", self._get(self.noor).text)

    def test_challenge_that_is_not_offered_can_not_be_begun(self):
        hidden = self._create_challenge(name="Hidden", portal_published=False)
        response = self._post(self.noor, "join", hidden)
        self.assertEqual(response.status_code, 303)
        self.assertFalse(self._entry(self.noor, hidden))
        self.assertNotIn("Hidden", self.url_open("/my/library/challenges").text)

    def test_bingo_card_is_ticked_by_tapping(self):
        bingo = self._create_bingo(name="Bingo")
        self._use_ago(1, patron=self.noor)
        self._post(self.noor, "join", bingo)
        entry = self._entry(self.noor, bingo)
        first, last = bingo.square_ids[0], bingo.square_ids[8]
        for __ in range(2):
            self._post(self.noor, "tick", bingo, tick=first.id)
        self.assertEqual(entry.log_ids.square_id, first)
        page = self._get(self.noor, bingo).text
        self.assertEqual(page.count('aria-pressed="true"'), 2)
        self.assertRegex(page, rf'name="untick"[^>]*value="{first.id}"')
        self._post(self.noor, "tick", bingo, untick=first.id)
        self._post(self.noor, "tick", bingo, untick=last.id)
        self.assertFalse(entry.log_ids)
        self.assertEqual(self._get(self.noor, bingo).text.count("fa-check"), 1)

    def test_class_is_chosen_when_taking_part(self):
        classes = self._create_challenge(name="Classes", is_team_goal=True)
        team = self.env["library.challenge.team"].create(
            {"challenge_id": classes.id, "name": "Class 4b"}
        )
        response = self._post(self.noor, "join", classes, team="")
        self.assertIn("Choose the class", response.text)
        self._post(self.noor, "join", classes, team=team.id)
        self.assertEqual(self._entry(self.noor, classes).team_id, team)
        self._use_ago(1, patron=self.noor)
        self.assertIn("Class 4b", self._get(self.noor, classes).text)

    def test_guardian_decides_about_the_leaderboard_of_a_minor(self):
        entry = self.challenge._enrol(self.noor)
        self._post(self.noor, "leaderboard", nickname="Noor")
        self.assertFalse(entry.nickname)
        self._post(self.noor, "leaderboard", nickname="Star Fox")
        self.assertEqual(entry.nickname, "Star Fox")
        self.assertIn("Star Fox", self._get(self.noor).text)
        self.portal.partner_id = self.noor.partner_id
        self._post(self.noor, "leaderboard", nickname="")
        self.assertFalse(entry.nickname, "Leaving is for everybody")
        response = self._post(self.noor, "leaderboard", nickname="Star Fox")
        self.assertIn("Your guardian decides", response.text)
        self.assertFalse(entry.nickname)

    def test_grown_up_who_is_guarded_decides_alone(self):
        self.bruno.write({"guardian_id": self.amal.id, "birth_date": "1990-01-01"})
        entry = self.challenge._enrol(self.bruno)
        response = self._post(self.bruno, "leaderboard", nickname="Fox")
        self.assertIn("This patron decides", response.text)
        self.assertFalse(entry.nickname)

    def test_certificate_opens_when_it_is_earned(self):
        entry = self.challenge._enrol(self.noor)
        response = self._get(self.noor, page="/certificate")
        self.assertEqual(response.status_code, 303)
        self._log(entry, 60)
        response = self._get(self.noor, page="/certificate")
        self.assertEqual(response.status_code, 200)
        if response.headers["Content-Type"] == "application/pdf":
            self.assertTrue(response.content.startswith(b"%PDF"))
        else:
            self.assertIn("Noor Idris", response.text)

    def test_leaving_deletes_the_log(self):
        entry = self.challenge._enrol(self.noor)
        self._log(entry, 10)
        self._post(self.noor, "leave")
        self.assertFalse(entry.exists())
        entry = self.challenge._enrol(self.noor)
        self._log(entry, 60)
        self.assertIn("is finished", self._post(self.noor, "leave").text)
        self.assertTrue(entry.exists())
