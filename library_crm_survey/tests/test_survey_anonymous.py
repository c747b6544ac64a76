import re
from datetime import date, datetime
from unittest.mock import patch

from odoo import http
from odoo.exceptions import UserError, ValidationError
from odoo.service.server import CommonRequestHandler
from odoo.tests import HttpCase, tagged
from odoo.tools import SQL

from odoo.addons.mail.tests.common import MockEmail

from .common import RoundCommon

#: Of all that the database knows of whoever was asked: what an attacker starts from.
PATRON_SIDE = (
    *("library_survey_invitation", "library_survey_roll", "mailing_trace"),
    *("library_patron", "res_partner", "library_consent", "mail_mail"),
    *("mail_message", "mail_notification", "link_tracker_click", "mail_followers"),
)
ANSWER_SIDE = ("survey_user_input", "survey_user_input_line")


@tagged("post_install", "-at_install")
class TestSurveyAnonymous(RoundCommon, HttpCase, MockEmail):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.patrons = cls._make_patrons(30)
        cls.asking_round = cls._make_round(cls.patrons, is_anonymous=True)
        cls.asking_round.action_start()
        cls.door = f"/library/survey/{cls.asking_round.sudo().access_token}"

    def _begin(self, voucher):
        """Open the link of the mail in a browser and press the button."""
        return self.url_open(
            self.door,
            {"voucher": voucher, "csrf_token": http.Request.csrf_token(self)},
            allow_redirects=False,
        )

    def _answer_in_browser(self, patron, score):
        """From the link to the end, over HTTP, by somebody without a login.

        :return: the address of the form
        """
        self.authenticate(None, None)
        began = self._begin(self._get_voucher(self.asking_round, patron))
        self.assertEqual(began.status_code, 303)
        path = re.search(r"/survey/(.+)$", began.headers["Location"])[1]
        self.url_open(f"/survey/{path}")
        self.make_jsonrpc_request(f"/survey/begin/{path}", {})
        self.make_jsonrpc_request(
            f"/survey/submit/{path}",
            {str(self.recommend.id): str(score), str(self.better.id): f"Wish {score}"},
        )
        return path

    def _read_all(self, tables):
        """Every value of every column of these tables, the hidden ones of PostgreSQL
        (which transaction wrote the row) included."""
        self.env.flush_all()
        for table in tables:
            self.env.cr.execute(
                SQL("SELECT *, xmin::text AS xmin FROM %s", SQL.identifier(table))
            )
            names = [column.name for column in self.env.cr.description]
            for row in self.env.cr.fetchall():
                yield table, dict(zip(names, row, strict=True))

    # ------------------------------------------------------------
    # THE ATTACKER
    # ------------------------------------------------------------

    def test_who_has_the_whole_database_can_not_tell_who_gave_which_answer(self):
        """Twenty known patrons answer one after the other, in an order that the
        attacker knows, too. Nothing on the side of the answers is equal to anything on
        the side of the patrons, and nothing on the side of the patrons has an order."""
        self._run_job()
        before = {
            (table, row["id"]): {**row, "xmin": None}
            for table, row in self._read_all(PATRON_SIDE)
        }
        answering = self.patrons[::-1][:20]
        tokens = [
            self._answer_in_browser(patron, score % 11)
            for score, patron in enumerate(answering)
        ]
        self.env.invalidate_all()
        answers = self.env["survey.user_input"].search(
            [("library_round_id", "=", self.asking_round.id)]
        )
        self.assertEqual(len(answers), 20)
        self.assertEqual(set(answers.mapped("state")), {"done"})
        # The side of the patrons has changed by nothing but ticks: no date, no row, no
        # number, no state.
        changed = set()
        for table, row in self._read_all(PATRON_SIDE):
            old = before.pop((table, row["id"]), {})
            changed |= {
                (table, name)
                for name, value in row.items()
                if name != "xmin" and value != old.get(name)
            }
        self.assertFalse(before)
        self.assertEqual(changed, {("library_survey_roll", "ticks")})
        roll = self.env["library.survey.roll"].search(
            [("round_id", "=", self.asking_round.id)]
        )
        self.assertEqual(len(roll), 1)
        self.assertEqual(roll.ticks.count("1"), 20)
        # The side of the answers holds nothing of a person, and one date.
        people = answering.partner_id
        secrets = {
            *answering.mapped("email"),
            *answering.mapped("complete_name"),
            *(self._get_voucher(self.asking_round, patron) for patron in answering),
        }
        month = date.today().replace(day=1)
        for table, row in self._read_all(ANSWER_SIDE):
            answer_id = row["user_input_id"] if "user_input_id" in row else row["id"]
            if answer_id not in answers.ids:
                continue
            for name in ("partner_id", "email", "nickname", "library_patron_id"):
                self.assertFalse(row.get(name), (table, name))
            self.assertFalse(row.get("lang_id"))
            self.assertFalse(row.get("library_category_id"))
            for name, value in row.items():
                if isinstance(value, datetime):
                    self.assertEqual(value, datetime(month.year, month.month, 1), name)
                elif isinstance(value, date):
                    self.assertEqual(value, month, name)
                self.assertFalse(
                    [secret for secret in secrets if secret in str(value)], name
                )
            for name in ("create_uid", "write_uid"):
                self.assertEqual(row[name], self.env.ref("base.user_root").id)
        # No message, mail or follower of an answer, and nothing that names its token.
        for model in ("mail.message", "mail.mail", "mail.followers", "mail.activity"):
            field = "model" if "model" in self.env[model]._fields else "res_model"
            self.assertFalse(
                self.env[model].search(
                    [(field, "=", "survey.user_input"), ("res_id", "in", answers.ids)]
                )
            )
        named = {token.split("/")[1] for token in tokens}
        for table, row in self._read_all(PATRON_SIDE):
            text = str(row)
            self.assertFalse([token for token in named if token in text], table)
        self.assertFalse(
            people & self.env["res.partner"].browse(answers.partner_id.ids)
        )

    def test_no_row_of_a_patron_is_written_in_the_transaction_of_an_answer(self):
        """What transaction wrote a row is known to PostgreSQL: the one that hands out a
        form writes the list of ticks of the whole page and the form, nothing else."""
        self._run_job()
        self.env.flush_all()
        written = []
        cursor_class = type(self.env.cr)
        execute = cursor_class.execute

        def recorded(cursor, query, params=None, log_exceptions=True):
            code = query.code if isinstance(query, SQL) else query
            code = code.decode() if isinstance(code, bytes) else str(code)
            if match := re.match(
                r'\s*(?:UPDATE|INSERT INTO|DELETE FROM)\s+"?(\w+)', code
            ):
                written.append(match[1])
            return execute(cursor, query, params, log_exceptions)

        voucher = self._get_voucher(self.asking_round, self.patrons[0])
        with patch.object(cursor_class, "execute", recorded):
            self.authenticate(None, None)
            self._begin(voucher)
        self.assertLessEqual(
            {name for name in written if name not in ("http_session",)},
            {
                "library_survey_roll",
                "survey_user_input",
                "survey_user_input_line",
                "survey_question_survey_user_input_rel",
            },
        )
        self.assertIn("library_survey_roll", written)

    def test_no_log_of_a_web_server_holds_the_voucher(self):
        """Our log has paths and addresses of visitors; the form is in one, so what
        tells the patron must be in none."""
        self._run_job()
        patron = self.patrons[0]
        voucher = self._get_voucher(self.asking_round, patron)
        link = re.search(
            r'href="([^"]*library/survey/[^"]*)"', self._mails()[patron.name].body_html
        )[1]
        sent, _hash, kept = link.partition("#")
        self.assertEqual(kept, voucher)
        self.assertNotIn(voucher, sent)
        logged = []
        with patch.object(
            CommonRequestHandler,
            "log_request",
            lambda handler, *_args: logged.append(handler.requestline),
        ):
            self.authenticate(None, None)
            self.url_open(sent)
            began = self._begin(voucher)
        self.assertIn(self.door, "".join(logged))
        self.assertNotIn(voucher, "".join(logged))
        self.assertNotIn(voucher, began.headers["Location"])
        page = self.url_open(sent)
        self.assertEqual(page.headers["Referrer-Policy"], "no-referrer")

    def test_reader_who_is_logged_in_leaves_no_trace_in_the_answer(self):
        self._run_job()
        self.portal.password = "library_portal"
        self.authenticate("library_portal", "library_portal")
        began = self._begin(self._get_voucher(self.asking_round, self.patrons[0]))
        path = re.search(r"/survey/(.+)$", began.headers["Location"])[1]
        self.assertIn("How was your visit?", self.url_open(f"/survey/{path}").text)
        self.make_jsonrpc_request(f"/survey/begin/{path}", {})
        self.make_jsonrpc_request(
            f"/survey/submit/{path}", {str(self.recommend.id): "7"}
        )
        answer = self.survey.user_input_ids
        self.assertEqual(answer.state, "done")
        root = self.env.ref("base.user_root")
        written_by = answer.create_uid + answer.write_uid
        lines = answer.user_input_line_ids
        self.assertEqual(written_by + lines.create_uid + lines.write_uid, root)
        self.assertFalse(answer.partner_id or answer.email or answer.nickname)

    def test_mail_of_an_anonymous_round_does_not_tell_when_it_was_opened(self):
        named = self._make_round(self.amal)
        named.action_start()
        self._run_job()
        mails = self._mails()
        body = mails[self.patrons[0].name]._prepare_outgoing_body()
        self.assertIn("library/survey", body)
        self.assertNotIn("/mail/track/", body)
        self.assertIn("/mail/track/", mails["Amal Idris"]._prepare_outgoing_body())

    def test_mail_is_gone_when_it_is_sent(self):
        self._run_job()
        mails = self.env["mail.mail"].search(
            [("mailing_id", "=", self.asking_round.mailing_id.id)]
        )
        messages = mails.mail_message_id
        self.assertEqual(len(mails), 30)
        with self.mock_mail_gateway(mail_unlink_sent=True):
            mails.send()
        self.assertFalse(mails.exists())
        self.assertFalse(messages.exists())

    # ------------------------------------------------------------
    # AND STILL
    # ------------------------------------------------------------

    def test_rate_of_answers_is_known(self):
        self._run_job()
        for patron in self.patrons[:3]:
            answer, _problem = self.asking_round._begin(
                self._get_voucher(self.asking_round, patron)
            )
            self._fill_in(answer)
        self.asking_round.invalidate_recordset()
        self.assertEqual(
            (self.asking_round.invited_count, self.asking_round.answered_count), (30, 3)
        )
        self.assertEqual(self.asking_round.answer_rate, 10)

    def test_voucher_is_handed_in_once(self):
        self._run_job()
        voucher = self._get_voucher(self.asking_round, self.patrons[0])
        self.authenticate(None, None)
        self.assertEqual(self._begin(voucher).status_code, 303)
        again = self._begin(voucher)
        self.assertEqual(again.status_code, 200)
        self.assertIn("has been used", again.text)
        self.assertEqual(len(self.survey.user_input_ids), 1)

    def test_browser_that_was_interrupted_goes_on_with_its_form(self):
        self._run_job()
        voucher = self._get_voucher(self.asking_round, self.patrons[0])
        self.authenticate(None, None)
        began = self._begin(voucher)
        token = began.headers["Location"].rpartition("/")[2]
        self.opener.cookies.set(f"survey_{self.survey.access_token}", token)
        self.assertEqual(
            self._begin(voucher).headers["Location"], began.headers["Location"]
        )

    def test_reminder_waits_until_so_many_answered_that_it_tells_nothing(self):
        self._run_job()
        for count, patron in enumerate(self.patrons[:10], 1):
            self.asking_round._begin(self._get_voucher(self.asking_round, patron))
            if count == 9:
                self.asking_round.invitation_ids.asked_on = date(2020, 1, 1)
                self._run_job()
                self.assertFalse(
                    self.asking_round.invitation_ids.filtered("reminded_on")
                )
        self._run_job()
        reminded = self.asking_round.invitation_ids.filtered("reminded_on").patron_id
        self.assertEqual(reminded, self.patrons[10:])

    def test_answer_with_an_address_in_it_finds_no_patron(self):
        answer = self.asking_round._create_answer()
        answer.email = self.patrons[0].email
        self.assertFalse(answer.library_patron_id)

    # ------------------------------------------------------------
    # WHAT CAN NOT BE ANONYMOUS IS NOT CALLED SO
    # ------------------------------------------------------------

    def test_fewer_than_ten_can_not_be_anonymous(self):
        asking_round = self._make_round(
            self._make_patrons(9), is_anonymous=True, fatigue_days=0
        )
        with self.assertRaisesRegex(UserError, "9 patrons would be asked"):
            asking_round.action_start()

    def test_survey_that_asks_who_somebody_is_can_not_be_anonymous(self):
        self.survey.question_ids.create(
            {
                "survey_id": self.survey.id,
                "title": "Your address",
                "question_type": "char_box",
                "validation_email": True,
                "save_as_email": True,
            }
        )
        asking_round = self._make_round(self.patrons, is_anonymous=True, fatigue_days=0)
        with self.assertRaisesRegex(UserError, "asks who somebody is"):
            asking_round.action_start()

    def test_journey_can_not_be_anonymous(self):
        with self.assertRaisesRegex(ValidationError, "one by one"):
            self._make_round(kind="journey").is_anonymous = True
