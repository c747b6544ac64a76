"""The nightly job of retention, killed again and again: it goes on where it was, and
nothing is done or counted twice."""

import pytest
from whole_database import Place, copy, kill, wait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

USES, MESSAGES, PATRONS = 900, 200, 60
MAKE = f"""
from datetime import timedelta
from odoo import fields
library = env["res.company"].create({{"name": "Fault Library"}})
branch = env["library.branch"].create(
    {{"name": "Main", "code": "RFAULT", "company_id": library.id}})
gone = env["library.patron"].with_context(tracking_disable=True).create(
    [{{"name": f"Gone {{n}}", "card_number": f"RF{{n}}", "company_id": library.id,
       "branch_id": branch.id, "enrolled_on": "2010-01-01"}} for n in range({PATRONS})])
stays = env["library.patron"].with_context(tracking_disable=True).create(
    {{"name": "Stays", "company_id": library.id, "branch_id": branch.id}})
visit = env.ref("library_crm.library_service_visit")
env["library.service.usage"].create(
    [{{"patron_id": gone[n % {PATRONS}].id, "branch_id": branch.id,
       "service_id": visit.id, "date": fields.Date.today() - timedelta(days=1000 + n)}}
     for n in range({USES})])
for n in range({MESSAGES}):
    stays.message_post(body=f"Note {{n}}")
env.flush_all()
env.cr.execute("UPDATE mail_message SET date = '2015-01-01' WHERE res_id = %s AND "
               "model = 'library.patron'", [stays.id])
env.cr.execute("UPDATE library_patron SET create_date = '2010-01-01', last_use_date = "
               "'2019-01-01' WHERE id = ANY(%s)", [gone.ids])
env.cr.commit()
"""
#: The job, with small batches so that there is something between them.
RUN = """
Kind = type(env["library.retention.kind"])
kinds = Kind._get_kinds
Kind._get_kinds = lambda self: {
    name: kept._replace(batch=20) for name, kept in kinds(self).items()}
env["library.retention.rule"]._cron_run()
env.cr.commit()
"""


class RetentionPlace(Place):
    """With what the rules did there."""

    def get_done(self):
        """What the log of the rules says, of this library."""
        return dict(
            self.ask(
                """
                SELECT run.kind, sum(run.count)
                  FROM library_retention_run run
                  JOIN res_company company ON company.id = run.company_id
                 WHERE company.name = 'Fault Library'
              GROUP BY run.kind
                """
            )
        )

    def get_months(self):
        return self.ask(
            """
            SELECT month, sum(quantity)
              FROM library_service_usage_month
             WHERE branch_id = (SELECT id FROM library_branch WHERE code = 'RFAULT')
          GROUP BY month
          ORDER BY month
            """
        )


def test_killed_night_goes_on_and_does_nothing_twice():
    with copy("library_test_retention_killed") as database:
        at = RetentionPlace.of(database)
        at.run(MAKE)
        months = at.get_months()
        assert sum(count for _month, count in months) == USES
        last = 0
        for reached in (1, 300, USES, USES + 100, USES + MESSAGES + 20):
            process = at.start(RUN)
            least = max(reached, last)
            wait(process, lambda least=least: sum(at.get_done().values()) >= least)
            kill(process)
            last = sum(at.get_done().values())
            gone = at.get_done().get("usage", 0)
            assert (
                at.count(
                    "library_service_usage WHERE branch_id = "
                    "(SELECT id FROM library_branch WHERE code = 'RFAULT')"
                )
                == USES - gone
            )
            assert at.get_months() == months
        at.run(RUN)
        done = {"usage": USES, "message": MESSAGES, "patron": PATRONS}
        assert at.get_done().items() >= done.items()
        assert not at.count("library_patron WHERE card_number LIKE 'RF%'")
        assert at.count("library_patron WHERE complete_name = 'Stays'") == 1
        assert at.get_months() == months
        # And once more: nothing is left to do.
        before = at.get_done()
        at.run(RUN)
        assert at.get_done() == before
