"""Journeys whose job is killed, that two workers run at once, and whose mails a real
mail server does not take, takes slowly or refuses: what every patron got in the end."""

import socket
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from aiosmtpd.controller import Controller
from killing import run_killed, run_undisturbed
from whole_database import Place, copy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATRONS = 450
#: A journey of two mails, the second right after the first, in a library of its own.
MAKE = f"""
library = env["res.company"].create({{"name": "Fault Library"}})
env["library.journey"].search([]).action_close()
env["mail.mail"].search([]).unlink()
env["ir.mail_server"].search([]).active = False
branch = env["library.branch"].create(
    {{"name": "Main", "code": "JMAIN", "company_id": library.id}})
env["library.patron"].create(
    [{{"name": f"Patron {{n}}", "email": f"p{{n}}@fault.example.com",
       "ils_ref": f"{{n:03}}", "company_id": library.id,
       "branch_id": branch.id}} for n in range({PATRONS})])
journey = env["library.journey"].create({{
    "name": "Fault", "company_id": library.id, "quiet_from": 0, "quiet_to": 0,
    "purpose_id": env.ref("library_crm.library_consent_purpose_service").id}})
step = env["library.journey.step"]
for number in (1, 2):
    mailing = env["mailing.mailing"].create({{
        "subject": f"Mail {{number}}", "body_html": "<p>Hello</p>",
        "email_from": "library@fault.example.com", "reply_to_mode": "new",
        "reply_to": "library@fault.example.com",
        "mailing_model_id": env["ir.model"]._get_id("library.patron")}})
    step = step.create({{
        "name": f"Step {{number}}", "journey_id": journey.id, "parent_id": step.id,
        "mailing_id": mailing.id}})
journey.action_start()
env.cr.commit()
"""
#: The job, with small batches so that there is something between them.
RUN = """
type(env["library.journey.step"])._BATCH = 20
env["library.journey"]._cron_run()
env.cr.commit()
"""
#: The same with smaller batches still, for many kills.
RUN_KILLED = RUN.replace("_BATCH = 20", "_BATCH = 6")
SEND = """
env["mail.mail"].process_email_queue()
env.cr.commit()
"""


class JourneyPlace(Place):
    """With what the patrons of the journey got."""

    def figures(self):
        """All that came of the journey, for each patron."""
        return self.ask(
            """
            SELECT l.ils_ref, n.state, s.name, e.what, e.failure, t.trace_status,
                   l_mail.state, l_mail.email_to, m.subject
              FROM library_journey_enrolment n
              JOIN library_patron l ON l.id = n.patron_id
         LEFT JOIN library_journey_event e ON e.enrolment_id = n.id
         LEFT JOIN library_journey_step s ON s.id = e.step_id
         LEFT JOIN mailing_trace t ON t.id = e.trace_id
         LEFT JOIN mailing_mailing m ON m.id = t.mass_mailing_id
         LEFT JOIN mail_mail l_mail ON l_mail.id = t.mail_mail_id
          ORDER BY l.ils_ref, s.name
            """
        )

    def check_everybody_got_both_mails_once(self):
        sent = self.ask(
            """
            SELECT m.subject, p.id
              FROM mailing_trace t
              JOIN mailing_mailing m ON m.id = t.mass_mailing_id
              JOIN library_patron p ON p.id = t.library_patron_id
             WHERE m.library_journey_id IS NOT NULL AND m.subject LIKE 'Mail _'
            """
        )
        assert len(sent) == len(set(sent)) == 2 * PATRONS
        assert self.count("library_journey_event WHERE what = 'sent'") == 2 * PATRONS
        assert (
            self.count("mail_mail WHERE state IN ('outgoing', 'sent', 'exception')")
            == 2 * PATRONS
        )
        assert not self.count("library_journey_enrolment WHERE state != 'done'")


class MailServer:
    """An aiosmtpd handler that counts what it takes, and refuses whom it is told to."""

    def __init__(self):
        self.taken = Counter()
        self.refused, self.put_off, self.pause = set(), set(), 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refused:
            return "550 5.1.1 no such user"
        if address in self.put_off:
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        time.sleep(self.pause)
        subject = next(
            line
            for line in envelope.content.decode().splitlines()
            if line.startswith("Subject: ")
        )
        self.taken[envelope.rcpt_tos[0], subject] += 1
        return "250 OK"


@contextmanager
def place(name):
    with copy(name) as database:
        made = JourneyPlace.of(database)
        made.run(DEMO_LESS + MAKE)
        yield made


#: What came with the database is none of this test's.
DEMO_LESS = """
env.cr.execute("TRUNCATE library_journey_event, library_journey_enrolment CASCADE")
env.cr.execute("DELETE FROM mailing_trace")
env.invalidate_all()
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def mail_server(handler, port):
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


def test_job_that_is_killed_50_times_writes_as_an_undisturbed_one():
    with place("library_test_journey_undisturbed") as at:
        counts = run_undisturbed(at, RUN_KILLED)
        at.check_everybody_got_both_mails_once()
        undisturbed = at.figures()
    with place("library_test_journey_killed") as at:
        run_killed(at, RUN_KILLED, counts)
        at.check_everybody_got_both_mails_once()
        assert at.figures() == undisturbed
        # And once more: nothing is left to do.
        at.run(RUN)
        assert at.figures() == undisturbed


def test_two_workers_at_once_write_to_nobody_twice_and_leave_nobody_out():
    with place("library_test_journey_two") as at:
        workers = [at.start(RUN) for _worker in range(2)]
        for worker in workers:
            at.finish(worker)
        at.run(RUN)
        at.check_everybody_got_both_mails_once()


def test_mail_server_that_is_down_slow_and_refuses_some_loses_nothing():
    handler, port = MailServer(), free_port()
    with place("library_test_journey_smtp") as at:
        at.run(
            f"""
env["ir.mail_server"].create(
    {{"name": "test", "smtp_host": "127.0.0.1", "smtp_port": {port},
      "smtp_encryption": "none"}})
env.cr.commit()
"""
        )
        at.run(RUN)

        def try_again():
            """The job sees what failed; an hour passes; the queue is sent."""
            at.run(RUN)
            at.ask("UPDATE mail_mail SET scheduled_date = NULL")
            at.start(SEND).wait()

        # Down: nothing is lost, and it can be seen.
        at.start(SEND).wait()
        assert not handler.taken
        assert at.count("mail_mail WHERE state = 'exception'") == 2 * PATRONS
        at.run(RUN)
        assert at.count("mail_mail WHERE state = 'outgoing'") > 0
        assert at.count("library_journey_event WHERE attempts = 1") > 0
        # Up again, slow at first, refusing one for good and one for now.
        handler.refused = {"p1@fault.example.com"}
        handler.put_off = {"p2@fault.example.com"}
        with mail_server(handler, port):
            handler.pause = 0.01
            try_again()
            try_again()
            handler.put_off = set()
            try_again()
            try_again()
        assert set(handler.taken.values()) == {1}
        assert len(handler.taken) == 2 * PATRONS - 2
        assert (
            at.ask(
                "SELECT p.email, e.what, e.failure LIKE '%550%' "
                "FROM library_journey_event e "
                "JOIN library_journey_enrolment n ON n.id = e.enrolment_id "
                "JOIN library_patron l ON l.id = n.patron_id "
                "JOIN res_partner p ON p.id = l.partner_id WHERE e.what != 'sent'"
            )
            == [("p1@fault.example.com", "failed", True)] * 2
        )
