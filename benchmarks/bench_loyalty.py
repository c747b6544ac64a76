"""What points cost, against the bare SQL that could do it.

1,000,000 uses (``LIBRARY_BENCH_USES``) of 100,000 patrons (``LIBRARY_BENCH_PATRONS``)
over a year, made with a fixed seed, in a programme with five rules: loans with a limit
a day and a week, days with a visit with a limit a week, one e-book a day with a limit
in all, the first programme ever, four weeks in a row.

- ``posting_vs_sql``: the job that posts the points of loaded use, from the queue to
  the points of the cards; against one statement, written by hand below for these five
  rules, that computes the same points, inserts the same lines and adds them up.
- ``recompute_vs_posting``: one of the rules gives twice as much, and the programme is
  recomputed from the first day; against posting it.

- ``challenge_vs_sql``: how far each of 100,000 patrons is in a challenge to use the
  library forty times in the year, with a kind of service, from nothing to the day on
  which they finish; against one statement, written by hand, that sums the same use into
  the same rows. Nobody of them agreed to mail, and no programme runs.
- ``redemption_queries``: a reward handed over at the desk, for points or for a voucher
  that was scanned, whichever takes more queries: one request, from an empty cache.

Both sides alternate; a figure is the median of the one divided by the median of the
other. Each starts without lines, in tables that were just cleaned up.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path
from statistics import median

from odoo import fields
from odoo.tools import SQL

sys.path.insert(0, str(Path(__file__).parent))
import bench_patron  # noqa: E402
from bench_engage import timed, vacuum  # noqa: E402

PATRONS = int(os.environ.get("LIBRARY_BENCH_PATRONS", 100_000))
USES = int(os.environ.get("LIBRARY_BENCH_USES", 1_000_000))
ROUNDS = int(os.environ.get("LIBRARY_BENCH_ROUNDS", 3))
SEED = 19
TABLES = ("loyalty_history", "loyalty_card", "library_loyalty_due")


def figures(env):
    """Yield (name, value)."""
    program, rules = make_rows(env)
    by_hand = hand_written(program, rules)
    ours, theirs, again = [], [], []
    for _round in range(ROUNDS):
        forget(env, program)
        theirs.append(timed(env, lambda: env.cr.execute(by_hand)))
        expected = read_ledger(env)
        forget(env, program)
        note_due(env)
        ours.append(timed(env, env["library.loyalty.due"]._cron_reckon))
        assert read_ledger(env) == expected, "Both have to find the same"
        program._library_prove()
        assert not program.library_unbalanced
        rules[1].points *= 2
        env.cr.execute("DELETE FROM library_loyalty_due")
        vacuum(env, *TABLES)
        again.append(timed(env, lambda: program._library_recompute(None)))
        assert read_ledger(env) != expected, "Recomputing has to change something"
        rules[1].points //= 2
        program.with_context(active_test=False).library_rule_ids.filtered(
            "current_id"
        ).unlink()
        env.cr.execute("UPDATE library_loyalty_rule SET since = NULL, until = NULL")
        env.cr.commit()
    yield "posting_vs_sql", median(ours) / median(theirs)
    yield "posting_seconds", median(ours)
    yield "recompute_vs_posting", median(again) / median(ours)
    yield "recompute_seconds", median(again)
    yield "lines", sum(count for __, count, __ in expected)
    yield "redemption_queries", redemption_queries(env, program)
    program.active = False
    yield from challenge_figures(env)


def challenge_figures(env):
    """Both count into the same entries, which were just made anew."""
    services = env["library.service"].search([("category", "=", "lending")])
    today = fields.Date.today()
    challenge = env["library.challenge"].create(
        {
            "name": "Bench",
            "company_id": env.company.id,
            "date_from": today - timedelta(days=364),
            "date_to": today,
            "goal_kind": "uses",
            "target": 40,
            "service_category": "lending",
        }
    )
    by_hand = f"""
        UPDATE library_challenge_entry entry
           SET progress = used.amount,
               finished_on = CASE WHEN used.amount >= 40 THEN current_date END
          FROM (
                SELECT entry.id, coalesce(sum(use.quantity), 0) AS amount
                  FROM library_challenge_entry entry
             LEFT JOIN library_service_usage use
                    ON use.patron_id = entry.patron_id
                   AND use.date BETWEEN '{challenge.date_from}'
                                    AND '{challenge.date_to}'
                   AND use.service_id IN ({", ".join(map(str, services.ids))})
                 WHERE entry.challenge_id = {challenge.id}
              GROUP BY 1
               ) used
         WHERE used.id = entry.id
    """
    ours, theirs = [], []
    for _round in range(ROUNDS):
        enter(env, challenge)
        theirs.append(timed(env, lambda: env.cr.execute(by_hand)))
        expected = read_progress(env)
        enter(env, challenge)
        ours.append(timed(env, challenge._refresh))
        assert read_progress(env) == expected, "Both have to find the same"
    yield "challenge_vs_sql", median(ours) / median(theirs)
    yield "challenge_seconds", median(ours)
    yield "challenge_finished", expected[-1]


def enter(env, challenge):
    env.cr.execute("TRUNCATE library_challenge_entry CASCADE")
    env.cr.execute(
        SQL(
            """
            INSERT INTO library_challenge_entry (
                   challenge_id, patron_id, company_id, joined_on, progress
                   )
            SELECT %s, id, company_id, current_date, 0
              FROM library_patron
             WHERE ils_ref LIKE 'bench-%%'
            """,
            challenge.id,
        )
    )
    vacuum(env, "library_challenge_entry")
    env.invalidate_all()


def read_progress(env):
    """How many take part, what all of them have, and how many have finished."""
    [row] = env.execute_query(
        SQL(
            """
            SELECT count(*), sum(progress)::int, count(finished_on)::int
              FROM library_challenge_entry
            """
        )
    )
    return row


def redemption_queries(env, program):
    """The most queries that one click at the desk takes. It is done once before: what
    the server knows from earlier requests is not counted."""
    desk = env["res.users"].create(
        {
            "name": "Desk",
            "login": "bench_desk",
            "group_ids": [(4, env.ref("library_crm.group_library_user").id)],
            "company_id": env.company.id,
            "company_ids": [(6, 0, env.company.ids)],
        }
    )
    reward = env["library.loyalty.reward"].create(
        {
            "name": "A bag",
            "program_id": program.id,
            "points": 1,
            "is_limited": True,
            "stock": 9,
            "patron_limit": 9,
        }
    )
    card = env["loyalty.card"].search(
        [("program_id", "=", program.id), ("points", ">", 9)], limit=1
    )
    at_desk = reward.with_user(desk).with_context(
        library_loyalty_patron=card.library_patron_id.id
    )
    scans = [
        env["library.loyalty.scan"]
        .with_user(desk)
        .create({"code": reward._issue(card).code})
        for _turn in range(2)
    ]
    counts = []
    for work in (
        at_desk.action_hand_over,
        scans[0].action_hand_over,
        at_desk.action_hand_over,
        scans[1].action_hand_over,
    ):
        env.flush_all()
        env.invalidate_all()
        before = env.cr.sql_log_count
        work()
        env.flush_all()
        counts.append(env.cr.sql_log_count - before)
    return max(counts[2:])


# ------------------------------------------------------------
# ROWS
# ------------------------------------------------------------


def make_rows(env):
    bench_patron.make_rows(env, PATRONS)
    services = {
        category: env["library.service"].search([("category", "=", category)])
        for category in ("lending", "visit", "digital", "programme")
    }
    drawn = [ids.ids[0] for ids in services.values()]
    branch = env["library.branch"].search(
        [("company_id", "=", env.company.id)], limit=1
    )
    [(first,)] = env.execute_query(
        SQL("SELECT min(id) FROM library_patron WHERE ils_ref LIKE 'bench-%%'")
    )
    env.cr.execute("SELECT setseed(%s)", [SEED / 100])
    env.cr.execute(
        SQL(
            """
            INSERT INTO library_service_usage (
                   patron_id, service_id, branch_id, date, quantity, channel
                   )
            SELECT %(first)s + floor(%(patrons)s * power(random(), 2))::int,
                   (%(services)s::int[])[1 + floor(4 * power(random(), 2))],
                   %(branch)s, current_date - floor(365 * random())::int,
                   1 + floor(4 * power(random(), 3))::int, 'onsite'
              FROM generate_series(1, %(uses)s)
            """,
            first=first,
            patrons=PATRONS,
            services=drawn,
            branch=branch.id,
            uses=USES,
        )
    )
    program = env["loyalty.program"].create(
        {"name": "Bench", "program_type": "library", "company_id": env.company.id}
    )
    common = {"program_id": program.id}
    rules = env["library.loyalty.rule"].create(
        [
            {
                **common,
                "name": "Loans",
                "per": "use",
                "points": 1,
                "cap_day": 5,
                "cap_week": 12,
                "service_category": "lending",
            },
            {
                **common,
                "name": "Visits",
                "points": 2,
                "cap_week": 6,
                "service_category": "visit",
            },
            {
                **common,
                "name": "E-books",
                "points": 3,
                "cap_program": 15,
                "service_category": "digital",
            },
            {
                **common,
                "name": "First programme",
                "event": "first_use",
                "points": 25,
                "service_category": "programme",
            },
            {
                **common,
                "name": "Weeks in a row",
                "event": "streak",
                "streak_weeks": 4,
                "points": 20,
            },
        ]
    )
    env.cr.execute(
        SQL(
            """
            INSERT INTO loyalty_card (
                   program_id, company_id, partner_id, library_patron_id, code, points,
                   active, is_library, library_joined_on
                   )
            SELECT %s, company_id, partner_id, id, 'bench-' || id, 0, TRUE, TRUE,
                   current_date - 300
              FROM library_patron
             WHERE ils_ref LIKE 'bench-%%'
            """,
            program.id,
        )
    )
    vacuum(env, *TABLES, "library_patron", "library_service_usage")
    return program, rules


def forget(env, program):
    env.cr.execute("TRUNCATE loyalty_history")
    env.cr.execute("UPDATE loyalty_card SET points = 0")
    vacuum(env, *TABLES)


def note_due(env):
    """As a load leaves it: a row for each patron of each of its parts."""
    env.cr.execute(
        """
        INSERT INTO library_loyalty_due (patron_id)
        SELECT DISTINCT patron_id FROM library_service_usage WHERE patron_id IS NOT NULL
        """
    )
    vacuum(env, "library_loyalty_due")


def read_ledger(env):
    """How many lines there are under each rule, and points."""
    return sorted(
        env.execute_query(
            SQL(
                """
                SELECT library_rule_id, count(*), sum(issued - used)::int
                  FROM loyalty_history
              GROUP BY 1
                """
            )
        )
    )


def hand_written(program, rules):
    """What somebody would write who posts these five rules once."""
    services = {
        rule.service_category: ", ".join(
            map(
                str,
                rule.env["library.service"]
                .search([("category", "=", rule.service_category)])
                .ids,
            )
        )
        for rule in rules
        if rule.service_category
    }
    loans, visits, ebooks, first, streak = rules.ids
    return f"""
        WITH used AS MATERIALIZED (
            SELECT card.id AS card, use.id, use.date, use.quantity, use.service_id
              FROM loyalty_card card
              JOIN library_service_usage use ON use.patron_id = card.library_patron_id
             WHERE card.program_id = {program.id}
               AND use.date >= card.library_joined_on
        ),
        line AS (
            SELECT card, {loans} AS rule, 'Loans' AS name, id::text AS key, date, id,
                   least(points, 12 - before) AS points
              FROM (
                    SELECT *, coalesce(sum(points) OVER (
                               PARTITION BY card, date_trunc('week', date)
                               ORDER BY date, id
                               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                           ), 0) AS before
                      FROM (
                            SELECT card, id, date, least(quantity, 5 - coalesce(
                                       sum(quantity) OVER (
                                       PARTITION BY card, date ORDER BY id
                                       ROWS BETWEEN UNBOUNDED PRECEDING
                                            AND 1 PRECEDING
                                   ), 0)) AS points
                              FROM used
                             WHERE service_id IN ({services["lending"]})
                           ) in_day
                     WHERE points > 0
                   ) in_week
             WHERE before < 12
         UNION ALL
            SELECT card, {visits}, 'Visits', date::text, date, NULL, 2
              FROM (
                    SELECT card, date, row_number() OVER (
                               PARTITION BY card, date_trunc('week', date)
                               ORDER BY date
                           ) AS place
                      FROM used
                     WHERE service_id IN ({services["visit"]})
                  GROUP BY card, date
                   ) days
             WHERE place <= 3
         UNION ALL
            SELECT card, {ebooks}, 'E-books', date::text, date, NULL, 3
              FROM (
                    SELECT card, date, row_number() OVER (
                               PARTITION BY card ORDER BY date
                           ) AS place
                      FROM used
                     WHERE service_id IN ({services["digital"]})
                  GROUP BY card, date
                   ) days
             WHERE place <= 5
         UNION ALL
            SELECT card, {first}, 'First programme', 'first', date, id, 25
              FROM (
                    SELECT DISTINCT ON (card.id)
                           card.id AS card, use.date, use.id, card.library_joined_on
                      FROM loyalty_card card
                      JOIN library_service_usage use
                        ON use.patron_id = card.library_patron_id
                     WHERE card.program_id = {program.id}
                       AND use.service_id IN ({services["programme"]})
                  ORDER BY card.id, use.date, use.id
                   ) first_use
             WHERE date >= library_joined_on
         UNION ALL
            SELECT card, {streak}, 'Weeks in a row', 'week ' || week::text, date, NULL,
                   20
              FROM (
                    SELECT *, row_number() OVER (
                               PARTITION BY card, run ORDER BY week
                           ) AS place
                      FROM (
                            SELECT *, week - 7 * row_number() OVER (
                                       PARTITION BY card ORDER BY week
                                   )::int AS run
                              FROM (
                                    SELECT card, date_trunc('week', date)::date AS week,
                                           min(date) AS date
                                      FROM used
                                  GROUP BY 1, 2
                                   ) weeks
                           ) runs
                   ) placed
             WHERE place % 4 = 0
        ),
        posted AS (
            INSERT INTO loyalty_history (
                   card_id, description, library_kind, library_rule_id, library_key,
                   library_date, library_usage_id, issued, used,
                   create_uid, create_date, write_uid, write_date
                   )
            SELECT card, name, 'earned', rule, key, date, id, points, 0,
                   1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
              FROM line
        )
        UPDATE loyalty_card card
           SET points = card.points + total.points
          FROM (SELECT card, sum(points) AS points FROM line GROUP BY card) total
         WHERE card.id = total.card
    """
