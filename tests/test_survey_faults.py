"""A round of asking whose job is killed, and that two workers run at once: whom the
patrons hear from in the end. And two rounds that are started at the same moment."""

import pytest
from whole_database import Place, copy, kill, wait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATRONS = 450
#: Patrons who agreed to surveys, in a library of their own, and two rounds for them.
MAKE = f"""
env.cr.execute("DELETE FROM mailing_trace; DELETE FROM library_survey_invitation")
library = env["res.company"].create({{"name": "Fault Library"}})
env["mail.mail"].search([]).unlink()
branch = env["library.branch"].create(
    {{"name": "Main", "code": "JMAIN", "company_id": library.id}})
patrons = env["library.patron"].create(
    [{{"name": f"Patron {{n}}", "email": f"p{{n}}@fault.example.com",
       "company_id": library.id, "branch_id": branch.id}} for n in range({PATRONS})])
env["library.consent"]._record(
    patrons, env.ref("library_crm.library_consent_purpose_survey"))
survey = env["survey.survey"].create({{
    "title": "Fault", "library_company_id": library.id,
    "question_and_page_ids": [(0, 0, {{"title": "?", "question_type": "scale"}})]}})
env["library.survey.round"].create(
    [{{"name": f"Fault {{n}}", "survey_id": survey.id, "company_id": library.id}}
     for n in range(2)])
env.cr.commit()
"""
START = """
env["library.survey.round"].search([("name", "=", "Fault 0")]).action_start()
env.cr.commit()
"""
#: The job, with small batches so that there is something between them.
RUN = """
type(env["library.survey.round"])._BATCH = 20
env["library.survey.round"]._cron_ask()
env.cr.commit()
"""
#: What Odoo does with a request that another one was in the way of: try again.
START_AT_ONCE = """
from odoo.service.model import retrying
asking_round = env["library.survey.round"].search([("name", "=", "Fault %s")])
def start():
    try:
        asking_round.action_start()
    except Exception as error:
        if "nobody to ask" not in str(error):
            raise
retrying(start, env)
env.cr.commit()
"""


@pytest.fixture
def at(request):
    with copy(f"library_test_survey_{request.node.name[5:11]}") as database:
        place = Place.of(database)
        place.run(MAKE)
        yield place


def check_everybody_was_asked_once(at):
    rows = at.ask(
        "SELECT library_patron_id FROM mailing_trace "
        "WHERE library_patron_id IS NOT NULL"
    )
    assert len(rows) == len(set(rows)) == PATRONS
    assert at.count("mail_mail WHERE mailing_id IS NOT NULL") == PATRONS
    assert at.count("library_survey_invitation WHERE state = 'asked'") == PATRONS


def test_killed_job_asks_nobody_twice_and_leaves_nobody_out(at):
    at.run(START)
    for asked in (1, 150, 300):
        process = at.start(RUN)
        wait(process, lambda asked=asked: at.count("mailing_trace") >= asked)
        kill(process)
        done = at.count("library_survey_invitation WHERE state = 'asked'")
        assert done == at.count("mailing_trace") < PATRONS
    at.run(RUN)
    check_everybody_was_asked_once(at)
    at.run(RUN)
    check_everybody_was_asked_once(at)


def test_two_workers_at_once_ask_nobody_twice_and_leave_nobody_out(at):
    at.run(START)
    for worker in [at.start(RUN) for _worker in range(2)]:
        at.finish(worker)
    at.run(RUN)
    check_everybody_was_asked_once(at)


def test_rounds_started_at_once_leave_everybody_in_peace(at):
    for process in [at.start(START_AT_ONCE % number) for number in range(2)]:
        at.finish(process)
    assert at.count("library_survey_invitation") == PATRONS
    assert (
        at.count("(SELECT DISTINCT patron_id FROM library_survey_invitation) asked")
        == PATRONS
    )
