"""What it costs to know the patrons, against the bare SQL that could do it.

200,000 patrons (``LIBRARY_BENCH_PATRONS``) with 5,000,000 uses
(``LIBRARY_BENCH_USES``) over three years, made with a fixed seed: most people come now
and then, some often, some stopped.

- ``engagement_vs_sql``: the nightly job when the figures of everybody are new; against
  one statement, written by hand below with the same lines and clusters as literals,
  that computes the same and writes it. ``…_next_night_vs_sql`` is the job again when
  nothing has changed, against the same statement that finds nothing to write.
- ``segment_count_vs_sql``: the count of the segment “at least five loans in a year, and
  a membership that runs”, through a search by ``segment_ids`` as a user with the rules
  of a manager; against the bare SQL.
- ``segment_snapshot_vs_sql``: the nightly count of all shipped segments, against the
  sum of the bare SQL of each, as Odoo writes it, without its rules.

- ``enrol_vs_sql``: letting 100,000 patrons (``LIBRARY_BENCH_ENROLLED``) into a journey,
  with a tenth held out; against a bare ``INSERT … SELECT`` of as many rows into the
  same table.
- ``journey_mails_vs_mass_mailing``: mails a second that a step of a journey puts into
  the queue for patrons who agreed to its purpose, against those of Odoo's own mass
  mailing of the same text to as many contacts, which asks nobody for consent.

Both sides alternate; a figure is the median of the one divided by the median of the
other.
"""

import os
import sys
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter

from odoo.fields import Domain
from odoo.tools import SQL

sys.path.insert(0, str(Path(__file__).parent))
import bench_patron  # noqa: E402

PATRONS = int(os.environ.get("LIBRARY_BENCH_PATRONS", 200_000))
USES = int(os.environ.get("LIBRARY_BENCH_USES", 5_000_000))
ENROLLED = int(os.environ.get("LIBRARY_BENCH_ENROLLED", 100_000))
MAILS, MAIL_ROUNDS = 600, 7
BODY = (
    "<p>Dear <t t-out='object.name'/>, <a href='https://www.example.com/a'>look</a></p>"
)
SEED = 19
FIGURES = (
    "lifecycle recency frequency variety use_day_count service_count usual_gap "
    "cluster_id"
).split()


def figures(env):
    """Yield (name, value)."""
    make_rows(env)
    yield from engagement_figures(env)
    yield from segment_figures(env)
    yield from journey_figures(env)


# ------------------------------------------------------------
# ROWS
# ------------------------------------------------------------


def make_rows(env):
    bench_patron.make_rows(env, PATRONS)
    branches = env["library.branch"].search([("company_id", "=", env.company.id)])
    services = env["library.service"].search([("company_id", "=", False)], order="id")
    [(first,)] = env.execute_query(
        SQL("SELECT min(id) FROM library_patron WHERE ils_ref LIKE 'bench-%%'")
    )
    env.cr.execute("SELECT setseed(%s)", [SEED / 100])
    # A power of a random number prefers the front: few use much, many little. Each
    # patron stopped on a day of their own; for most it has not come yet.
    env.cr.execute(
        SQL(
            """
            INSERT INTO library_service_usage (
                   patron_id, service_id, branch_id, date, quantity, channel
                   )
            SELECT drawn.patron_id,
                   (%(services)s::int[])[
                       1 + floor(%(service_count)s * power(random(), 3))
                   ],
                   (%(branches)s::int[])[1 + drawn.patron_id %% %(branch_count)s],
                   current_date - greatest(
                       (drawn.patron_id * 31 %% 800 - 400)::int, 0
                   ) - floor(1000 * random())::int,
                   1, 'onsite'
              FROM (
                    SELECT %(first)s + floor(%(patrons)s * power(random(), 2))::int
                           AS patron_id
                      FROM generate_series(1, %(uses)s)
                   ) drawn
            """,
            services=services.ids,
            service_count=len(services),
            branches=branches.ids,
            branch_count=len(branches),
            first=first,
            patrons=PATRONS,
            uses=USES,
        )
    )
    env.cr.execute(
        """
        UPDATE library_patron patron
           SET last_use_date = last_use.date
          FROM (
                SELECT patron_id, max(date) AS date
                  FROM library_service_usage
              GROUP BY patron_id
               ) last_use
         WHERE last_use.patron_id = patron.id
        """
    )
    env.cr.commit()
    vacuum(env, "library_patron", "library_service_usage", "res_partner")


def vacuum(env, *tables):
    """Clean up and look at the tables, which no transaction may do."""
    env.cr.commit()
    env.cr._cnx.autocommit = True
    try:
        with closing(env.cr._cnx.cursor()) as cursor:
            for table in tables:
                cursor.execute(f"VACUUM ANALYZE {table}")
    finally:
        env.cr._cnx.autocommit = False
    env.invalidate_all()


def timed(env, work):
    env.invalidate_all()
    started = perf_counter()
    work()
    env.cr.commit()
    return perf_counter() - started


# ------------------------------------------------------------
# ENGAGEMENT
# ------------------------------------------------------------


def engagement_figures(env):
    statement = hand_written(env)
    ours, theirs, idle_ours, idle_theirs = [], [], [], []
    for _round in range(3):
        forget(env)
        theirs.append(timed(env, lambda: env.cr.execute(statement)))
        by_hand = read_figures(env)
        idle_theirs.append(timed(env, lambda: env.cr.execute(statement)))
        forget(env)
        ours.append(timed(env, env["library.patron"]._cron_refresh_engagement))
        assert read_figures(env) == by_hand, "Both have to find the same"
        idle_ours.append(timed(env, env["library.patron"]._cron_refresh_engagement))
    yield "engagement_vs_sql", median(ours) / median(theirs)
    yield "engagement_seconds", median(ours)
    yield (
        "engagement_next_night_vs_sql",
        median(idle_ours) / median(idle_theirs),
    )


def forget(env):
    names = ", ".join(f"{name} = NULL" for name in FIGURES)
    env.cr.execute(f"UPDATE library_patron SET lifecycle_since = NULL, {names}")
    vacuum(env, "library_patron")


def read_figures(env):
    """How many patrons have which figures."""
    names = SQL(", ").join(map(SQL.identifier, FIGURES))
    return sorted(
        env.execute_query(
            SQL(
                "SELECT %s, count(*) FROM library_patron GROUP BY %s",
                names,
                names,
            )
        ),
        key=repr,
    )


def hand_written(env):
    """What somebody would write who needs these figures once, for this library."""

    def service_ids(*categories):
        found = env["library.service"].search([("category", "in", categories)])
        return ", ".join(map(str, found.ids))

    def cluster(name):
        return env.ref(f"library_crm.library_cluster_{name}").id

    online = ", ".join(
        str(env.ref(f"library_crm.library_service_{name}").id)
        for name in ("ebook", "eresource", "search")
    )
    year = "current_date - interval '1 year'"
    half_year = f"""
        SELECT use.patron_id,
               count(DISTINCT date) FILTER (WHERE date > {year}) AS days,
               count(DISTINCT service_id) FILTER (WHERE date > {year}) AS services,
               min(date) FILTER (WHERE date > {year}) AS first_day,
               max(date) AS last_day,
               min(date) FILTER (WHERE date > current_date - 90) AS back_day,
               max(date) FILTER (WHERE date <= current_date - 90) AS left_day,
               sum(quantity) FILTER (WHERE date > current_date - 365) AS uses,
               sum(quantity) FILTER (
                   WHERE date > current_date - 365
                   AND extract(month FROM date) IN (1, 2, 6, 7)
               ) AS exam,
               sum(quantity) FILTER (
                   WHERE date > current_date - 365 AND service_id IN ({online})
               ) AS online,
               sum(quantity) FILTER (
                   WHERE date > current_date - 365
                   AND service_id IN ({service_ids("computing")})
               ) AS computing,
               count(*) FILTER (
                   WHERE date > current_date - 365
                   AND service_id IN ({service_ids("programme")})
               ) AS programmes,
               sum(quantity) FILTER (
                   WHERE date > current_date - 365
                   AND service_id IN ({service_ids("lending")})
               ) AS loans,
               count(*) FILTER (
                   WHERE date > current_date - 365
                   AND service_id IN ({service_ids("digital")})
               ) AS digital,
               count(DISTINCT date) FILTER (WHERE date > current_date - 365)
                   AS recent_days
          FROM library_service_usage use
         WHERE date > current_date - 455
      GROUP BY use.patron_id
    """
    return f"""
        WITH facts AS ({half_year}),
        known AS (
            SELECT patron.id, enrolled_on, coalesce(days, 0) AS days,
                   coalesce(services, 0) AS services,
                   current_date - last_use_date AS silence,
                   CASE WHEN birth_date IS NOT NULL
                        THEN birth_date <= current_date - interval '16 years'
                        WHEN birth_year > 0
                        THEN birth_year < extract(year FROM current_date) - 16
                        ELSE TRUE
                    END AND profiling_stopped IS NOT TRUE AS counts,
                   CASE WHEN days >= 4 AND last_day - first_day >= 60
                        THEN round((last_day - first_day)::numeric / (days - 1))::int
                    END AS gap,
                   CASE WHEN left_day IS NOT NULL THEN back_day - left_day >= 365
                        WHEN back_day IS NOT NULL THEN EXISTS (
                            SELECT FROM library_service_usage before
                             WHERE before.patron_id = patron.id
                               AND before.date <= current_date - 455)
                    END AS is_back,
                   CASE WHEN coalesce(days, 0) = 0 THEN NULL
                        WHEN 100 * exam >= 60 * uses
                         AND category.kind IN ('student', 'young_adult')
                        THEN {cluster("exam")}
                        WHEN EXISTS (
                            SELECT FROM library_patron child
                             WHERE child.guardian_id = patron.id)
                        THEN {cluster("family")}
                        WHEN 100 * online >= 95 * uses THEN {cluster("digital")}
                        WHEN 100 * computing >= 50 * uses THEN {cluster("computing")}
                        WHEN programmes >= 1 AND loans IS NULL AND digital = 0
                        THEN {cluster("programme")}
                        WHEN 100 * loans >= 60 * uses THEN {cluster("print")}
                        WHEN recent_days >= 5 THEN {cluster("mixed")}
                    END AS cluster_id
              FROM library_patron patron
         LEFT JOIN library_patron_category category
                ON category.id = patron.patron_category_id
         LEFT JOIN facts ON facts.patron_id = patron.id
        ),
        figures AS (
            SELECT id,
                   CASE WHEN is_back THEN 'returned'
                        WHEN enrolled_on > current_date - 90 THEN 'new'
                        WHEN silence IS NULL OR silence >= 365 THEN 'lapsed'
                        WHEN silence >= 30 AND silence > 3 * gap THEN 'lapsing'
                        WHEN silence >= 90 THEN 'occasional'
                        ELSE 'active'
                    END AS lifecycle,
                   CASE WHEN silence < 90 THEN 'recent'
                        WHEN silence < 365 THEN 'earlier'
                        ELSE 'never'
                    END AS recency,
                   CASE WHEN days >= 52 THEN 'often'
                        WHEN days >= 18 THEN 'regular'
                        WHEN days > 0 THEN 'rare'
                        ELSE 'none'
                    END AS frequency,
                   CASE WHEN services >= 4 THEN 'many'
                        WHEN services >= 2 THEN 'some'
                        WHEN services > 0 THEN 'one'
                        ELSE 'none'
                    END AS variety,
                   days::int AS use_day_count, services::int AS service_count,
                   gap AS usual_gap, cluster_id
              FROM known
             WHERE counts
        )
        UPDATE library_patron patron
           SET lifecycle = figures.lifecycle, recency = figures.recency,
               frequency = figures.frequency, variety = figures.variety,
               use_day_count = figures.use_day_count,
               service_count = figures.service_count,
               usual_gap = figures.usual_gap, cluster_id = figures.cluster_id,
               lifecycle_since = CASE
                   WHEN patron.lifecycle IS NOT DISTINCT FROM figures.lifecycle
                   THEN patron.lifecycle_since ELSE current_date END
          FROM figures
         WHERE figures.id = patron.id
           AND (patron.lifecycle, patron.recency, patron.frequency, patron.variety,
                patron.use_day_count, patron.service_count, patron.usual_gap,
                patron.cluster_id)
               IS DISTINCT FROM
               (figures.lifecycle, figures.recency, figures.frequency, figures.variety,
                figures.use_day_count, figures.service_count, figures.usual_gap,
                figures.cluster_id)
    """


# ------------------------------------------------------------
# SEGMENTS
# ------------------------------------------------------------


def segment_figures(env):
    from odoo.tests import new_test_user  # noqa: PLC0415

    manager = new_test_user(env, "bench_manager", "library_crm.group_library_manager")
    segment = env["library.segment"].create(
        {
            "name": "Bench",
            "domain": "[('membership_state', '=', 'active')]",
            "condition_ids": [
                (0, 0, {"rule": "at_least", "amount": 5, "service_category": "lending"})
            ],
        }
    )
    env.cr.commit()
    Patron = env["library.patron"].with_user(manager)
    lending = env["library.service"].search([("category", "=", "lending")])
    bare = SQL(
        """
        SELECT count(*)
          FROM library_patron
         WHERE active AND membership_state = 'active'
           AND company_id = %s
           AND id IN (
                SELECT patron_id
                  FROM library_service_usage
                 WHERE patron_id IS NOT NULL
                   AND date > current_date - 365
                   AND service_id = ANY(%s)
              GROUP BY patron_id
                HAVING sum(quantity) >= 5
               )
        """,
        env.company.id,
        lending.ids,
    )
    ours, theirs, counts = [], [], set()

    def count_segment():
        counts.add(Patron.search_count([("segment_ids", "in", segment.ids)]))

    def count_bare():
        env.cr.execute(bare)
        counts.add(env.cr.fetchone()[0])

    for _round in range(9):
        theirs.append(timed(env, count_bare))
        ours.append(timed(env, count_segment))
    assert len(counts) == 1 and counts != {0}, counts
    yield "segment_count_vs_sql", median(ours) / median(theirs)
    yield "segment_count_ms", 1000 * median(ours)
    segment.unlink()
    yield from snapshot_figures(env)


def snapshot_figures(env):
    segments = env["library.segment"].search([])
    statements = []
    for segment in segments:
        domain = segment._get_domain() & Domain("company_id", "=", env.company.id)
        query = env["library.patron"].sudo()._search(domain)
        statements.append(SQL("SELECT count(*) FROM (%s) chosen", query.select()))
    ours, theirs = [], []

    def count_bare():
        for statement in statements:
            env.cr.execute(statement)

    for _round in range(5):
        theirs.append(timed(env, count_bare))
        ours.append(timed(env, env["library.segment"]._cron_take_snapshots))
    yield "segment_snapshot_vs_sql", median(ours) / median(theirs)
    yield "segment_snapshot_seconds", median(ours)


# ------------------------------------------------------------
# JOURNEYS
# ------------------------------------------------------------


def journey_figures(env):
    env["library.journey"].search([("state", "=", "running")]).action_pause()
    news = env.ref("library_crm.library_consent_purpose_news")
    env.cr.execute(
        SQL(
            """
            WITH chosen AS (
                SELECT patron.id
                  FROM library_patron patron
                  JOIN res_partner contact ON contact.id = patron.partner_id
                 WHERE patron.active AND patron.ils_ref LIKE 'bench-%%'
              ORDER BY contact.email_normalized IS NULL, patron.id
                 LIMIT %s
            )
            UPDATE library_patron
               SET enrolled_on = CASE WHEN id IN (SELECT id FROM chosen)
                                      THEN current_date ELSE '2020-01-01' END
            """,
            ENROLLED,
        )
    )
    env.cr.execute(
        SQL(
            """
            INSERT INTO library_consent (
                   patron_id, company_id, purpose_id, channel, state, date, source
                   )
            SELECT id, company_id, %s, 'email', 'given', now() AT TIME ZONE 'UTC',
                   'import'
              FROM library_patron
            """,
            news.id,
        )
    )
    mailing = make_mailing(env, "library.patron", news)
    journey = env["library.journey"].create(
        {
            "name": "Bench",
            "purpose_id": news.id,
            "quiet_from": 0,
            "quiet_to": 0,
            "hold_out_percent": 10,
            "weekly_cap": 0,
            "step_ids": [(0, 0, {"name": "Bench", "mailing_id": mailing.id})],
        }
    )
    journey.write({"state": "running", "started_on": "2020-01-01"})
    vacuum(env, "library_patron", "library_consent")
    bare = SQL(
        """
        INSERT INTO library_journey_enrolment (
               journey_id, version, patron_id, occasion, arm, state, entered_at,
               step_id, due_at
               )
        SELECT %s, 1, id, enrolled_on, 'treated', 'active',
               now() AT TIME ZONE 'UTC', %s, now() AT TIME ZONE 'UTC'
          FROM library_patron
         WHERE active AND enrolled_on = current_date
        """,
        journey.id,
        journey.step_ids.id,
    )
    entered = set()

    def enrol_bare():
        env.cr.execute(bare)
        entered.add(env.cr.rowcount)

    ours, theirs = [], []
    for _round in range(3):
        theirs.append(timed(env, enrol_bare))
        forget_enrolments(env)
        ours.append(timed(env, lambda: entered.add(journey._enrol())))
        if _round < 2:
            forget_enrolments(env)
    assert entered == {ENROLLED}, entered
    yield "enrol_vs_sql", median(ours) / median(theirs)
    yield "enrol_seconds", median(ours)
    vacuum(env, "library_journey_enrolment")
    yield from mail_figures(env, journey.step_ids)


def forget_enrolments(env):
    env.cr.execute("DELETE FROM library_journey_enrolment")
    vacuum(env, "library_journey_enrolment")


def make_mailing(env, model, purpose):
    return env["mailing.mailing"].create(
        {
            "subject": "Bench",
            "body_html": BODY,
            "mailing_model_id": env["ir.model"]._get_id(model),
            "library_purpose_id": purpose.id,
        }
    )


def mail_figures(env, step):
    service = env.ref("library_crm.library_consent_purpose_service")
    contacts = env["res.partner"].search(
        [("email", "like", "@bench.example.com")], limit=MAILS * MAIL_ROUNDS
    )
    mailing = make_mailing(env, "res.partner", service)
    env.cr.commit()
    ours, theirs = [], []
    for turn in range(MAIL_ROUNDS):
        ids = contacts.ids[turn * MAILS : (turn + 1) * MAILS]
        queued = env["mail.mail"].search_count([])
        seconds = timed(env, lambda ids=ids: mailing.action_send_mail(ids))
        theirs.append((env["mail.mail"].search_count([]) - queued) / seconds)
        queued = env["mail.mail"].search_count([])
        seconds = timed(env, lambda: run_step(env, step))
        ours.append((env["mail.mail"].search_count([]) - queued) / seconds)
    assert min(ours + theirs) > 0, (ours, theirs)
    yield "journey_mails_vs_mass_mailing", median(ours) / median(theirs)
    yield "journey_mails_a_second", median(ours)


def run_step(env, step):
    """As the job does it: batch by batch, each committed."""
    done = 0
    while done < MAILS:
        done += step._run_batch()
        env.cr.commit()
