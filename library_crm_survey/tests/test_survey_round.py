from datetime import timedelta

from freezegun import freeze_time
from markupsafe import Markup

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from ..models.library_survey_round import get_margin
from .common import RoundCommon


@tagged("post_install", "-at_install")
class TestSurveyRound(RoundCommon):
    # ------------------------------------------------------------
    # HOW SURE
    # ------------------------------------------------------------

    def test_margin_is_that_of_the_textbooks(self):
        """385 of very many give 5 points; of 1,000 people 278 do."""
        self.assertAlmostEqual(get_margin(385, 10**9), 5.0, 1)
        self.assertAlmostEqual(get_margin(278, 1000), 5.0, 1)
        self.assertAlmostEqual(get_margin(100, 10**9), 9.8, 2)
        self.assertEqual(get_margin(50, 50), 0)
        self.assertIsNone(get_margin(0, 50))

    def test_preview_says_who_is_asked_and_why_the_others_are_not(self):
        patrons = self._make_patrons(20)
        silent = self._make_patrons(3, agreed=False)
        nowhere = self._make_patrons(1, email=False)
        blocked = self._make_patrons(1, email="blocked@test.example.com")
        self.env["mail.blacklist"]._add("blocked@test.example.com")
        twins = self._make_patrons(2, email="twins@test.example.com")
        everybody = patrons + silent + nowhere + blocked + twins
        asked = self._make_round(patrons[:4])
        asked.action_start()
        asking_round = self._make_round(everybody, sample_size=10, expected_rate=50)
        self.assertEqual(
            asking_round._count_candidates(),
            {
                None: 17,
                "no_consent": 3,
                "no_address": 2,
                "lately": 4,
                "same_address": 1,
            },
        )
        self.assertIn("Will ask 10 of 27", asking_round.preview)
        self.assertIn("4 were asked in the last 90 days", asking_round.preview)
        self.assertIn("3 did not agree", asking_round.preview)
        self.assertIn(f"{get_margin(5, 27):.1f}", asking_round.margin)

    # ------------------------------------------------------------
    # WHO IS ASKED
    # ------------------------------------------------------------

    def test_sample_is_drawn_by_lot_and_of_the_stated_size(self):
        patrons = self._make_patrons(40)
        drawn = []
        for _turn in range(2):
            asking_round = self._make_round(patrons, sample_size=10, fatigue_days=0)
            asking_round.action_start()
            self.assertEqual(len(asking_round.invitation_ids.patron_id), 10)
            drawn.append(asking_round.invitation_ids.patron_id)
        # The same ten of forty twice: once in 847,660,528 runs.
        self.assertNotEqual(*drawn)

    def test_segment_is_that_of_the_library_and_of_those_who_agreed(self):
        self._make_patrons(2, agreed=False)
        asking_round = self._make_round()
        asking_round.action_start()
        self.assertEqual(asking_round.invitation_ids.patron_id, self.amal + self.bruno)

    def test_users_of_a_service_in_the_last_days(self):
        today = fields.Date.today()
        patrons = self._make_patrons(4)
        self.env["library.service.usage"].create(
            [
                {
                    "patron_id": patron.id,
                    "service_id": service.id,
                    "branch_id": branch.id,
                    "date": today - timedelta(days=days),
                }
                for patron, service, branch, days in [
                    (patrons[0], self.visit, self.main, 5),
                    (patrons[0], self.visit, self.main, 6),
                    (patrons[1], self.visit, self.main, 50),
                    (patrons[2], self.loan, self.main, 5),
                    (patrons[3], self.visit, self.north, 5),
                ]
            ]
        )
        asking_round = self._make_round(
            kind="service", service_id=self.visit.id, service_days=30
        )
        asking_round.action_start()
        self.assertEqual(asking_round.invitation_ids.patron_id, patrons[0] + patrons[3])
        asking_round = self._make_round(
            kind="service",
            service_id=self.visit.id,
            service_days=30,
            branch_id=self.north.id,
            fatigue_days=0,
        )
        asking_round.action_start()
        self.assertEqual(asking_round.invitation_ids.patron_id, patrons[3])

    def test_mail_for_a_child_goes_to_the_guardian_once(self):
        children = self._make_patrons(
            2, email=False, guardian_id=self.amal.id, patron_category_id=self.child.id
        )
        asking_round = self._make_round(children + self.amal)
        asking_round.action_start()
        self.assertEqual(len(asking_round.invitation_ids), 1)
        self._run_job()
        self.assertEqual(list(self._mails()), ["Amal Idris"])

    # ------------------------------------------------------------
    # NOT TOO OFTEN
    # ------------------------------------------------------------

    def test_nobody_is_asked_twice_within_the_days_over_all_surveys(self):
        other_survey = self.survey.copy()
        self._make_round(self.amal).action_start()
        asking_round = self._make_round(
            self.amal + self.bruno, survey_id=other_survey.id
        )
        asking_round.action_start()
        self.assertEqual(asking_round.invitation_ids.patron_id, self.bruno)
        with freeze_time(fields.Datetime.now() + timedelta(days=91)):
            asking_round = self._make_round(self.amal, survey_id=other_survey.id)
            asking_round.action_start()
            self.assertEqual(asking_round.invitation_ids.patron_id, self.amal)

    def test_who_was_invited_by_hand_is_left_in_peace_too(self):
        self._answer(self.amal)
        with self.assertRaisesRegex(UserError, "nobody to ask"):
            self._make_round(self.amal, survey_id=self.survey.copy().id).action_start()

    def test_invitation_by_hand_leaves_out_who_was_asked_lately(self):
        self._make_round(self.amal, survey_id=self.survey.copy().id).action_start()
        invite = self.env["survey.invite"].create(
            {
                "survey_id": self.survey.id,
                "template_id": self.env.ref(
                    "survey.mail_template_user_input_invite"
                ).id,
                "partner_ids": (self.amal + self.bruno).partner_id.ids,
            }
        )
        self.assertIn("1 of 2", invite.library_reach)
        invite.action_invite()
        self.assertEqual(self.survey.user_input_ids.library_patron_id, self.bruno)

    def test_peace_is_that_of_the_library_unless_the_round_says_else(self):
        self.library.library_survey_fatigue_days = 10
        self.assertEqual(self._make_round().fatigue_days, 10)
        self.assertEqual(self._make_round(fatigue_days=0).fatigue_days, 0)

    # ------------------------------------------------------------
    # MAILS
    # ------------------------------------------------------------

    def test_each_gets_a_mail_with_a_link_of_their_own(self):
        asking_round = self._make_round(self.amal + self.bruno)
        asking_round.with_user(self.manager).action_start()
        self._run_job()
        mails = self._mails()
        self.assertEqual(set(mails), {"Amal Idris", "Bruno Silva"})
        for patron in self.amal + self.bruno:
            self.assertIn(
                f"{asking_round.link}#{self._get_voucher(asking_round, patron)}",
                mails[patron.name].body_html,
            )
        self.assertEqual(asking_round.invited_count, 2)
        self.assertFalse(asking_round.waiting_count)
        self.assertFalse(
            self.env["link.tracker"].search([("url", "like", "library/survey")])
        )

    def test_job_run_again_asks_nobody_again(self):
        asking_round = self._make_round(self._make_patrons(3))
        asking_round.action_start()
        self._run_job()
        self._run_job()
        self.assertEqual(len(self._mails()), 3)
        traces = self.env["mailing.trace"].search(
            [("mass_mailing_id", "=", asking_round.mailing_id.id)]
        )
        self.assertEqual(len(traces), 3)

    def test_who_takes_consent_back_before_the_mail_is_made_gets_none(self):
        asking_round = self._make_round(self.amal + self.bruno)
        asking_round.action_start()
        self.env["library.consent"]._record(self.amal, self.purpose, state="withdrawn")
        self.bruno.active = False
        self._run_job()
        self.assertFalse(self._mails())
        self.assertEqual(
            {row.patron_id: row.reason for row in asking_round.invitation_ids},
            {self.amal: "no_consent", self.bruno: "archived"},
        )

    def test_paused_round_writes_to_nobody_until_it_goes_on(self):
        asking_round = self._make_round(self.amal)
        asking_round.action_start()
        asking_round.action_pause()
        self._run_job()
        self.assertFalse(self._mails())
        asking_round.action_start()
        self._run_job()
        self.assertEqual(list(self._mails()), ["Amal Idris"])
        self.assertEqual(len(asking_round.invitation_ids), 1)

    def test_round_that_can_not_go_on_stops_alone_and_says_why(self):
        broken, sound = self._make_round(self.amal), self._make_round(self.bruno)
        (broken + sound).action_start()
        broken.mailing_id.body_html = "<p t-out='object.no_such_field'/>"
        with self.assertLogs(
            "odoo.addons.library_crm_survey.models.library_survey_round", "WARNING"
        ):
            self._run_job()
        self.assertEqual(broken.state, "paused")
        self.assertIn("no_such_field", broken.problem)
        self.assertEqual(list(self._mails()), ["Bruno Silva"])

    def test_mail_of_a_round_is_sent_by_the_round_alone(self):
        asking_round = self._make_round(self.amal)
        asking_round._check_mails()
        with self.assertRaisesRegex(ValidationError, "belongs to the round"):
            asking_round.mailing_id.action_put_in_queue()

    def test_no_copy_of_a_mail_with_a_link_is_kept(self):
        asking_round = self._make_round(self.amal)
        asking_round._check_mails()
        with self.assertRaisesRegex(ValidationError, "no copy"):
            asking_round.mailing_id.keep_archives = True

    # ------------------------------------------------------------
    # REMINDERS, AND THE END
    # ------------------------------------------------------------

    def test_who_has_not_answered_is_reminded_once(self):
        asking_round = self._make_round(self.amal + self.bruno, reminder_days=7)
        asking_round.action_start()
        self._run_job()
        answer, _problem = asking_round._begin(
            self._get_voucher(asking_round, self.amal)
        )
        self._fill_in(answer)
        self._mails()["Bruno Silva"].unlink()
        self._mails()["Amal Idris"].unlink()
        for days, reminded in [(6, []), (7, ["Bruno Silva"]), (8, ["Bruno Silva"])]:
            with freeze_time(fields.Datetime.now() + timedelta(days=days)):
                self._run_job()
            self.assertEqual(list(self._mails()), reminded)
        traces = self.env["mailing.trace"].search(
            [("mass_mailing_id", "=", asking_round.reminder_mailing_id.id)]
        )
        self.assertEqual(traces.library_patron_id, self.bruno)

    def test_round_closes_after_its_last_day(self):
        asking_round = self._make_round(self.amal, date_close=fields.Date.today())
        asking_round.action_start()
        self._run_job()
        self.assertEqual(asking_round.state, "running")
        with freeze_time(fields.Datetime.now() + timedelta(days=1)):
            self._run_job()
        self.assertEqual(asking_round.state, "closed")
        voucher = self._get_voucher(asking_round, self.amal)
        self.assertEqual(asking_round._begin(voucher)[1], "closed")

    def test_answers_are_counted(self):
        asking_round = self._make_round(self.amal + self.bruno)
        asking_round.action_start()
        self._run_job()
        answer, _problem = asking_round._begin(
            self._get_voucher(asking_round, self.amal)
        )
        self.assertEqual(answer.library_patron_id, self.amal)
        self._fill_in(answer)
        asking_round.invalidate_recordset()
        self.assertEqual(
            (
                asking_round.invited_count,
                asking_round.answered_count,
                asking_round.answer_rate,
            ),
            (2, 1, 50),
        )
        self.assertEqual(answer.library_branch_id, self.main)
        self.assertEqual(answer.library_category_id, self.adult)
        self.assertEqual(answer.library_answered_on, fields.Date.today())

    # ------------------------------------------------------------
    # AT THE DOOR
    # ------------------------------------------------------------

    def test_voucher_lets_its_patron_in_once(self):
        asking_round = self._make_round(self.amal + self.bruno)
        asking_round.action_start()
        self._run_job()
        voucher = self._get_voucher(asking_round, self.amal)
        answer, problem = asking_round._begin(voucher)
        self.assertFalse(problem)
        # An interruption: the same form again.
        self.assertEqual(asking_round._begin(voucher), (answer, None))
        self._fill_in(answer)
        again, problem = asking_round._begin(voucher)
        self.assertFalse(again)
        self.assertEqual(problem, "used")

    def test_forged_voucher_and_that_of_another_round_are_refused(self):
        asking_round = self._make_round(self.amal)
        other = self._make_round(self.bruno)
        (asking_round + other).action_start()
        self._run_job()
        voucher = self._get_voucher(other, self.bruno)
        for forged in ("", "x", "AAAA", voucher, voucher[:-4] + "AAAA"):
            with self.subTest(forged):
                self.assertEqual(asking_round._begin(forged)[1], "wrong")
        self.assertFalse(self.survey.user_input_ids)

    # ------------------------------------------------------------
    # THE TEXT OF THE MAIL
    # ------------------------------------------------------------

    def test_each_patron_is_asked_in_their_language(self):
        for lang in ("de_DE", "ar_001"):
            self.env["res.lang"]._activate_lang(lang)
        self.amal.lang = "ar_001"
        self.bruno.lang = "de_DE"
        chess = self._make_patrons(1)
        asking_round = self._make_round(self.amal + self.bruno + chess)
        asking_round.with_user(self.manager).action_edit_mail()
        asking_round.action_start()
        self._run_job()
        mails = self._mails()
        self.assertIn("Answer now", mails[chess.name].body_html)
        self.assertIn("Jetzt antworten", mails[self.bruno.name].body_html)
        arabic = mails[self.amal.name].body_html
        self.assertIn("أجب الآن", arabic)
        self.assertIn('dir="rtl"', arabic)
        for patron in self.amal + self.bruno + chess:
            voucher = self._get_voucher(asking_round, patron)
            self.assertIn(f"#{voucher}", mails[patron.name].body_html)

    def test_translation_of_a_mail_is_kept_by_nobody_either(self):
        self.env["res.lang"]._activate_lang("de_DE")
        asking_round = self._make_round(self.amal)
        asking_round.action_edit_mail()
        with self.assertRaisesRegex(ValidationError, "no copy of it may be kept"):
            asking_round.mailing_id.library_translation_ids.keep_archives = True

    def test_manager_who_may_not_write_placeholders_edits_the_mail(self):
        self.env["ir.config_parameter"].set_param(
            "mail.restrict.template.rendering", True
        )
        self.assertFalse(self.manager.has_group("mail.group_mail_template_editor"))
        asking_round = self._make_round(self.amal).with_user(self.manager)
        asking_round.action_edit_mail()
        mailing = asking_round.mailing_id
        body = mailing.body_html.replace("Hello", "Dear")
        self.assertIn("survey_link", body)
        mailing.write({"subject": "Five minutes", "body_html": body, "body_arch": body})
        asking_round.action_start()
        self._run_job()
        mail = self._mails()["Amal Idris"]
        self.assertEqual(mail.subject, "Five minutes")
        self.assertIn("Dear", mail.body_html)
        self.assertIn("#", mail.body_html)
        for forbidden in (
            '<p t-out="object.birth_date"/>',
            '<a t-att-href="object.card_number"/>',
        ):
            with self.subTest(forbidden), self.assertRaises(AccessError):
                mailing.body_html = body + Markup(forbidden)

    # ------------------------------------------------------------
    # HOW MANY ANSWERED
    # ------------------------------------------------------------

    def test_response_of_two_rounds_is_that_of_all_who_were_asked(self):
        patrons = self._make_patrons(8)
        small = self._make_round(patrons[:2], name="Small", branch_id=self.main.id)
        large = self._make_round(patrons[2:], name="Large")
        (small + large).action_start()
        self._run_job()
        for asking_round, some in ((small, patrons[:2]), (large, patrons[2:3])):
            for patron in some:
                answer, _problem = asking_round._begin(
                    self._get_voucher(asking_round, patron)
                )
                self._fill_in(answer)
        self.env.flush_all()
        rates = {
            asking_round.name: (asked, answered, rate)
            for asking_round, asked, answered, rate in self.env[
                "library.survey.response"
            ]
            .with_user(self.marketing)
            ._read_group(
                [("survey_id", "=", self.survey.id)],
                ["round_id"],
                ["asked:sum", "answered:sum", "answer_rate:avg"],
            )
        }
        self.assertEqual(rates["Small"], (2, 2, 100))
        self.assertEqual(rates["Large"][:2], (6, 1))
        [(rate,)] = (
            self.env["library.survey.response"]
            .with_user(self.marketing)
            ._read_group([("survey_id", "=", self.survey.id)], [], ["answer_rate:avg"])
        )
        self.assertEqual(rate, 37.5, "3 of 8, not the mean of two rates")

    def test_response_is_shown_where_its_round_may_be_seen(self):
        north = self._make_round(self.amal, branch_id=self.north.id)
        every = self._make_round(self.bruno, name="All", fatigue_days=0)
        self.amal.branch_id = self.north
        (north + every).action_start()
        self._run_job()
        self.env.flush_all()
        Response = self.env["library.survey.response"].with_user(self.desk)
        self.assertEqual(Response.search([]).round_id & (north + every), every)

    # ------------------------------------------------------------
    # WHAT IS REFUSED
    # ------------------------------------------------------------

    def test_who_is_asked_can_not_be_changed_once_they_are(self):
        asking_round = self._make_round(self.amal)
        asking_round.action_start()
        with self.assertRaisesRegex(UserError, "being asked already"):
            asking_round.is_anonymous = True
        with self.assertRaisesRegex(UserError, "Archive it instead"):
            asking_round.unlink()

    def test_merged_patrons_were_asked_once(self):
        asking_round = self._make_round(self.amal + self.bruno)
        asking_round.action_start()
        self.amal._merge(self.bruno)
        self.assertEqual(asking_round.invitation_ids.patron_id, self.amal)
        self.assertEqual(len(asking_round.invitation_ids), 2)
