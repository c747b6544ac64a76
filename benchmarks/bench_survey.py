"""What it costs to ask patrons, against Odoo's own ways of asking.

- ``invite_mails_vs_odoo``: mails a second that a round of asking puts into the queue
  for 50,000 patrons (``LIBRARY_BENCH_INVITED``) of 60,000, each with a link of its own;
  drawing the sample, asking for consent and looking who was asked lately included.
  Against the faster of two: ``survey.invite`` of Odoo's survey, which makes an answer
  for each contact, and mass mailing of the same text with one link for all, which asks
  nobody for consent. In turns; a part of the round is the median of the parts, and drawing is
  shared out among all mails.
"""

import os
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from odoo.tools import SQL

sys.path.insert(0, str(Path(__file__).parent))
import bench_engage  # noqa: E402
import bench_patron  # noqa: E402

INVITED = int(os.environ.get("LIBRARY_BENCH_INVITED", 50_000))
TURNS = 5
#: Mails of the reference in a turn: mass mailing, and the slower ``survey.invite``.
MAILS, INVITES = min(600, INVITED // 8), min(150, INVITED // 20)


def figures(env):
    """Yield (name, value)."""
    yield from invite_figures(env)


# ------------------------------------------------------------
# INVITING
# ------------------------------------------------------------


def invite_figures(env):
    bench_patron.make_rows(env, INVITED * 6 // 5)
    purpose = env.ref("library_crm.library_consent_purpose_survey")
    env.cr.execute(
        SQL(
            """
            INSERT INTO library_consent (
                   patron_id, company_id, purpose_id, channel, state, date, source
                   )
            SELECT id, company_id, %s, 'email', 'given', now() AT TIME ZONE 'UTC',
                   'import'
              FROM library_patron
             WHERE ils_ref LIKE 'bench-%%'
            """,
            purpose.id,
        )
    )
    # Each has an address of their own; without, nobody would be there to compare with.
    env.cr.execute(
        """
        UPDATE res_partner
           SET email = 'bench-' || id || '@bench.example.com',
               email_normalized = 'bench-' || id || '@bench.example.com'
         WHERE id IN (
                   SELECT partner_id FROM library_patron WHERE ils_ref LIKE 'bench-%'
               )
        """
    )
    bench_engage.vacuum(env, "library_patron", "library_consent", "res_partner")
    survey = make_survey(env)
    asking_round = env["library.survey.round"].create(
        {"name": "Bench", "survey_id": survey.id, "sample_size": INVITED}
    )
    # A small round, too, has a batch a turn at least.
    type(asking_round)._BATCH = min(asking_round._BATCH, INVITED // TURNS)
    asking_round._check_mails()
    asking_round.mailing_id.body_html = bench_engage.BODY.replace(
        "href='https://www.example.com/a'", "t-att-href='object.survey_link'"
    )
    env.cr.commit()
    drawing = bench_engage.timed(env, asking_round.action_start)
    bench_engage.vacuum(env, "library_survey_invitation")
    invited = env["library.survey.invitation"].search_count(
        [("round_id", "=", asking_round.id)]
    )
    assert invited == INVITED, invited

    service = env.ref("library_crm.library_consent_purpose_service")
    mailing = bench_engage.make_mailing(env, "res.partner", service)
    contacts = env["res.partner"].search(
        [("email", "like", "@bench.example.com")],
        limit=TURNS * (MAILS + INVITES),
        order="id",
    )
    by_mailing = contacts[: TURNS * MAILS]
    by_survey = contacts[TURNS * MAILS :]
    ours, mailed, invited = [], [], []
    for turn in range(TURNS):
        ids = by_mailing.ids[turn * MAILS : (turn + 1) * MAILS]
        mailed.append(rate(env, lambda ids=ids: mailing.action_send_mail(ids)))
        some = by_survey[turn * INVITES : (turn + 1) * INVITES]
        invited.append(rate(env, lambda some=some: invite(env, survey, some)))
        ours.append(rate(env, lambda: ask_part(env, asking_round)))
    assert not asking_round.waiting_count
    assert min(ours + mailed + invited) > 0, (ours, mailed, invited)
    ours = 1 / (1 / median(ours) + drawing / INVITED)
    yield "invite_mails_vs_odoo", ours / max(median(mailed), median(invited))
    yield "invite_mails_a_second", ours
    yield "invite_mails_vs_survey_invite", ours / median(invited)
    yield "invite_mails_vs_mass_mailing", ours / median(mailed)
    yield "invite_draw_seconds", drawing


def make_survey(env):
    return env["survey.survey"].create(
        {
            "title": "Bench",
            "library_company_id": env.company.id,
            "question_and_page_ids": [
                (0, 0, {"title": "Would you?", "question_type": "scale"})
            ],
        }
    )


def rate(env, work):
    """Mails a second that were put into the queue."""
    queued = env["mail.mail"].search_count([])
    started = perf_counter()
    work()
    env.cr.commit()
    seconds = perf_counter() - started
    env.invalidate_all()
    return (env["mail.mail"].search_count([]) - queued) / seconds


def invite(env, survey, contacts):
    """As the wizard of Odoo does it; patrons are asked about consent in it, too."""
    env["survey.invite"].create(
        {
            "survey_id": survey.id,
            "template_id": env.ref("survey.mail_template_user_input_invite").id,
            "partner_ids": contacts.ids,
        }
    ).action_invite()


def ask_part(env, asking_round):
    """A turn's part of the round, as the job does it: each batch committed."""
    done = 0
    while done < INVITED / TURNS:
        batch = asking_round._ask_batch()
        env.cr.commit()
        env.invalidate_all()
        if not batch:
            break
        done += batch
