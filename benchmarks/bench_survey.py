"""What it costs to ask patrons, against Odoo's own ways of asking, and to tell what
many answered, against the bare SQL that could do it.

- ``invite_mails_vs_odoo``: mails a second that a round of asking puts into the queue
  for 50,000 patrons (``LIBRARY_BENCH_INVITED``) of 60,000, each with a link of its own;
  drawing the sample, asking for consent and looking who was asked lately included.
  Against the faster of two: ``survey.invite`` of Odoo's survey, which makes an answer
  for each contact, and mass mailing of the same text with one link for all, which asks
  nobody for consent. In turns; a part of the round is the median of the parts, and
  drawing is shared out among all mails.
- ``results_vs_sql``: the page of results, drawn, for a manager with the record rules,
  over 200,000 answers (``LIBRARY_BENCH_ANSWERS``) of a year with two scores and a
  question about the quality of six items (``LIBRARY_BENCH_ITEMS``); against three
  statements, written by hand below, that compute the figures on it and hide nothing.
- ``results_pivot_vs_sql``: what the pivot of service quality asks for when it opens, by
  dimension and item; against one statement.

Of the results, both sides alternate; a figure is the median of the one divided by the
median of the other.
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
ANSWERS = int(os.environ.get("LIBRARY_BENCH_ANSWERS", 200_000))
ITEMS = int(os.environ.get("LIBRARY_BENCH_ITEMS", 6))
ROUNDS = 7
SEED = 19


def figures(env):
    """Yield (name, value)."""
    yield from invite_figures(env)
    yield from results_figures(env)


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


# ------------------------------------------------------------
# RESULTS
# ------------------------------------------------------------


def results_figures(env):
    from odoo.tests import new_test_user  # noqa: PLC0415

    survey = make_answers(env)
    manager = new_test_user(env, "bench_manager", "library_crm.group_library_manager")
    env.cr.commit()
    overview = (
        env["library.survey.overview"]
        .with_user(manager)
        .create({"survey_id": survey.id})
    )
    env.cr.commit()
    params = {
        "survey": survey.id,
        "company": survey.library_company_id.id,
        "first": overview.date_from,
        "last": overview.date_to,
    }
    page, bare = [], []

    def draw():
        assert "svg" in overview.body

    def ask(*statements):
        for statement in statements:
            env.cr.execute(statement, params)
            assert env.cr.fetchall()

    for _round in range(ROUNDS):
        bare.append(bench_engage.timed(env, lambda: ask(SCORES, GAPS, SET_ASIDE)))
        page.append(bench_engage.timed(env, draw))
    yield "results_vs_sql", median(page) / median(bare)
    yield "results_seconds", median(page)

    Gap = env["library.survey.gap.result"].with_user(manager)
    domain = overview._get_domain()
    specs = [
        "answers:sum",
        *(
            f"{name}:avg"
            for name in ("minimum", "desired", "perceived", "adequacy", "superiority")
        ),
    ]
    ours, theirs = [], []
    for _round in range(ROUNDS):
        theirs.append(bench_engage.timed(env, lambda: ask(GAPS)))
        ours.append(
            bench_engage.timed(
                env,
                lambda: Gap.formatted_read_grouping_sets(
                    domain, [[], ["dimension"], ["dimension", "item_id"]], specs
                ),
            )
        )
    yield "results_pivot_vs_sql", median(ours) / median(theirs)


def make_answers(env):
    """Answers of a year, written past the ORM: to make them is not measured."""
    survey = env["survey.survey"].create({"title": "Bench"})
    questions = env["survey.question"].create(
        [
            {
                "survey_id": survey.id,
                "title": metric,
                "question_type": "scale",
                "scale_min": lowest,
                "scale_max": highest,
                "library_metric": metric,
            }
            for metric, lowest, highest in (("nps", 0, 10), ("csat", 1, 5))
        ]
        + [
            {
                "survey_id": survey.id,
                "title": "Quality",
                "question_type": "library_gap",
                "matrix_row_ids": [
                    (
                        0,
                        0,
                        {
                            "value": f"Item {number}",
                            "library_dimension": ("affect", "control", "place")[
                                number % 3
                            ],
                        },
                    )
                    for number in range(ITEMS)
                ],
            }
        ]
    )
    asked = env["library.survey.round"].create(
        {"name": "Bench", "survey_id": survey.id}
    )
    company = [("company_id", "=", env.company.id)]
    branches = env["library.branch"].create(
        [
            {"name": f"Branch {number}", "code": f"B{number}"}
            for number in range(max(8 - env["library.branch"].search_count(company), 0))
        ]
    ) + env["library.branch"].search(company, limit=8)
    services = env["library.service"].search([], limit=6)
    env.flush_all()
    env.cr.execute("SELECT setseed(%s)", [SEED / 100])
    env.cr.execute(
        SQL(
            """
            INSERT INTO survey_user_input (
                   survey_id, state, test_entry, access_token, library_round_id,
                   library_branch_id, library_service_id, library_answered_on,
                   library_set_aside
                   )
            SELECT %(survey)s, 'done', FALSE, 'bench-' || number, %(round)s,
                   (%(branches)s::int[])[1 + number %% %(branch_count)s],
                   (%(services)s::int[])[1 + number %% %(service_count)s],
                   current_date - floor(330 * random())::int,
                   CASE WHEN random() < 0.01 THEN 'no_opinion' END
              FROM generate_series(1, %(answers)s) number
            """,
            survey=survey.id,
            round=asked.id,
            branches=branches.ids,
            branch_count=len(branches),
            services=services.ids,
            service_count=len(services),
            answers=ANSWERS,
        )
    )
    nps, csat, quality = questions
    env.cr.execute(
        SQL(
            """
            INSERT INTO survey_user_input_line (
                   user_input_id, survey_id, question_id, answer_type, value_scale,
                   skipped, matrix_row_id, library_gap_level
                   )
            SELECT answer.id, answer.survey_id, line.question_id, 'scale',
                   line.lowest + floor((line.highest - line.lowest + 1) * random()),
                   FALSE, line.item_id, line.level
              FROM survey_user_input answer
        CROSS JOIN (
                    SELECT %(nps)s AS question_id, 0 AS lowest, 10 AS highest,
                           NULL::int AS item_id, NULL AS level
                 UNION ALL
                    SELECT %(csat)s, 1, 5, NULL, NULL
                 UNION ALL
                    SELECT %(quality)s, rated.lowest, rated.highest, item.id,
                           rated.level
                      FROM survey_question_answer item
                CROSS JOIN (VALUES ('minimum', 4, 7), ('desired', 6, 9),
                                   ('perceived', 3, 9))
                           AS rated (level, lowest, highest)
                     WHERE item.matrix_question_id = %(quality)s
                   ) line
             WHERE answer.survey_id = %(survey)s
            """,
            nps=nps.id,
            csat=csat.id,
            quality=quality.id,
            survey=survey.id,
        )
    )
    bench_engage.vacuum(env, "survey_user_input", "survey_user_input_line")
    return survey


#: What is asked for on both sides.
WHERE = """
       answer.state = 'done' AND answer.test_entry IS NOT TRUE
   AND answer.survey_id = %(survey)s
   AND survey.library_company_id = %(company)s
   AND answer.library_answered_on BETWEEN %(first)s AND %(last)s
"""
SCORES = f"""
    SELECT date_trunc('month', library_answered_on)::date, library_outcome,
           library_branch_id, library_service_id, library_category_id, segment_id,
           library_round_id, count(*),
           count(nps), avg(nps), stddev(nps), avg((nps = 100)::int),
           avg((nps = -100)::int),
           count(csat), avg((csat >= 4)::int), stddev((csat >= 4)::int), avg(csat),
           count(effort), avg(effort), stddev(effort),
           count(outcome), avg(outcome), stddev(outcome)
      FROM (
            SELECT answer.library_answered_on, answer.library_branch_id,
                   answer.library_service_id, answer.library_category_id,
                   answer.library_round_id, asked.segment_id, question.library_outcome,
                   CASE WHEN library_metric = 'nps'
                        THEN CASE WHEN value_scale >= 9 THEN 100.0::float8
                                  WHEN value_scale <= 6 THEN -100
                                  ELSE 0 END END AS nps,
                   CASE WHEN library_metric = 'csat'
                        THEN value_scale::float8 END AS csat,
                   CASE WHEN library_metric = 'effort'
                        THEN value_scale::float8 END AS effort,
                   CASE WHEN library_metric = 'outcome'
                        THEN value_scale::float8 END AS outcome
              FROM survey_user_input_line line
              JOIN survey_question question ON question.id = line.question_id
              JOIN survey_user_input answer ON answer.id = line.user_input_id
              JOIN survey_survey survey ON survey.id = answer.survey_id
         LEFT JOIN library_survey_round asked ON asked.id = answer.library_round_id
             WHERE question.library_metric IS NOT NULL
               AND line.answer_type = 'scale'
               AND {WHERE}
           ) scored
  GROUP BY GROUPING SETS (
               (), (1), (2), (3), (4), (5), (6), (7)
           )
"""
GAPS = f"""
    SELECT library_dimension, item_id, count(*),
           avg(minimum), avg(desired), avg(perceived), stddev(perceived),
           avg(perceived - minimum), avg(perceived - desired),
           sum((minimum > desired)::int)
      FROM (
            SELECT line.user_input_id, item.id AS item_id, item.library_dimension,
                   max(value_scale) FILTER (
                       WHERE library_gap_level = 'minimum')::float8 AS minimum,
                   max(value_scale) FILTER (
                       WHERE library_gap_level = 'desired')::float8 AS desired,
                   max(value_scale) FILTER (
                       WHERE library_gap_level = 'perceived')::float8 AS perceived
              FROM survey_user_input_line line
              JOIN survey_question_answer item ON item.id = line.matrix_row_id
              JOIN survey_user_input answer ON answer.id = line.user_input_id
              JOIN survey_survey survey ON survey.id = answer.survey_id
             WHERE line.library_gap_level IS NOT NULL
               AND answer.library_set_aside IS NULL
               AND {WHERE}
          GROUP BY line.user_input_id, item.id
           ) rated
     WHERE minimum + desired + perceived IS NOT NULL
  GROUP BY GROUPING SETS ((), (1), (1, 2))
"""
SET_ASIDE = f"""
    SELECT answer.library_set_aside, count(*)
      FROM survey_user_input answer
      JOIN survey_survey survey ON survey.id = answer.survey_id
     WHERE answer.library_set_aside IS NOT NULL
       AND {WHERE}
  GROUP BY 1
"""
