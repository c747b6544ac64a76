"""What a desk librarian waits for, against the same on Odoo's own contacts.

200,000 patrons, made once with a fixed seed and kept. A patron *is* a contact
(``library.patron`` delegates to ``res.partner``), so ``res.partner`` holds the same
persons: as many rows, the same names, emails and archived ones, as many tags as
patrons have interests, and ``ref`` holds the card number. Both sides are asked by the
same user, through what the web client calls, with record rules on:

- **card look-up**: ``search`` by the whole number, one result, and its name; against
  contacts by ``ref``, which Odoo indexes.
- **list page, kanban page**: ``web_search_read`` of the first 80 (kanban: 40) in the
  default order, with every field that the real view asks for (hidden optional columns
  and what the activity and tag widgets add), counting up to 10,001; against the list
  and kanban of Odoo's Contacts.
- **filter count**: the search view's "No Use for 6 Months" with a home branch and a
  category; against three conditions of the same shape, the same types of columns and
  the same values on contacts (state for branch, industry for category, a pair of dates
  for last use and enrolment). Odoo has no index on those columns: the bench adds one
  to each, so that the reference is not slower than it could be.

The user is a desk librarian who serves all branches, so that both sides see the same
rows. ``…_own_branches_vs_partner`` repeats it for a desk that serves 5 of the 20 (and
still sees all contacts).
Measurements of both sides alternate; a figure is the median of the one divided by the
median of the other; ``…_ms`` is the median of the patron's side in milliseconds. Each
call starts with an empty record cache, as a request does; registry caches and
PostgreSQL's buffers are warm.
"""

import gc
import random
from ast import literal_eval
from statistics import median
from time import perf_counter

from lxml import etree

from odoo.fields import Command
from odoo.tools import SQL

PATRONS = 200_000
BRANCHES = 20
CATEGORIES = 8
TAGS = 12
SEED = 19
COUNT_LIMIT = 10_001
DESK_GROUP = "library_crm.group_library_user"
ROUNDS = {"card_lookup": 300, "list_page": 60, "kanban_page": 60, "filter_count": 100}

GIVEN_NAMES = (
    "Ada Aiko Amal Ana Anton Aisha Bea Bruno Chidi Clara Dana Dev Diego Elif Emil Esra "
    "Eva Femi Finn Goran Hana Hugo Ida Imani Ines Ivan Jana Jin Joao Kai Karin Kofi "
    "Lars Leila Lena Lin Luca Mara Mateo Mei Mina Nadia Nils Noor Nuno Olga Omar Petra "
    "Priya Rafael Rosa Sami Sara Sofia Tariq Tess Tomas Uma Vera Viktor Wanda Yara "
    "Yusuf Zoe"
).split()
NAME_HEADS = (
    "Ab Al An Bar Bel Ber Cal Can Cor Dal Dem Don El Er Fal Fer Gar Gol Gra Hal Har "
    "Hol Ib Jan Jor Kal Kar Kov Lam Lin Lor Mal Mar Mor Nak Nor Ok Ol Par Pet Ral Ros "
    "Sal Sand Sil Tan Tor Val Var Wal Win Yam Zan Zim"
).split()
NAME_TAILS = (
    "a ade ai aki an ard as berg dal den do ek ell er es eva field ford gen han i ic "
    "ida ides ier in ing is ka land ley lo man mann mont na o off os ova ow ski son "
    "stein sten ström ton ura va vic well wood worth y"
).split()
ACTIVITY_FIELDS = (
    "activity_exception_decoration",
    "activity_exception_icon",
    "activity_state",
    "activity_summary",
    "activity_type_icon",
    "activity_type_id",
)


def figures(env):
    """Yield (name, value): ratios to ``res.partner``, and milliseconds."""
    make_rows(env, PATRONS)
    desk, own_branches = make_users(env)
    for name, (ratio, milliseconds) in measure(env, desk).items():
        yield f"{name}_vs_partner", ratio
        yield f"{name}_ms", milliseconds
    for name, (ratio, _milliseconds) in measure(env, own_branches).items():
        yield f"{name}_own_branches_vs_partner", ratio


# ------------------------------------------------------------
# ROWS
# ------------------------------------------------------------


def make_rows(env, count):
    """Fill up to ``count`` patrons and their contacts; those that are there stay."""
    places = make_places(env)
    env.cr.execute("SELECT count(*) FROM library_patron WHERE ils_ref LIKE 'bench-%'")
    [present] = env.cr.fetchone()
    if present >= count:
        return
    env.cr.execute("SELECT setseed(%s)", [SEED / 100])
    # A power of a random number prefers the front of a list: some names, branches and
    # categories are common, many are rare.
    env.cr.execute(
        SQL(
            """
            CREATE TEMPORARY TABLE bench_person ON COMMIT DROP AS
            SELECT number,
                   nextval(pg_get_serial_sequence('res_partner', 'id')) AS partner_id,
                   (%(given)s)[1 + floor(%(givens)s * power(random(), 1.5))]
                   || ' ' || (%(heads)s)[1 + floor(%(head_count)s * random())]
                   || (%(tails)s)[1 + floor(%(tail_count)s * random())] AS name,
                   '2' || lpad((number * 7)::text, 13, '0') AS card,
                   1 + floor(%(branches)s * power(random(), 2))::int AS branch,
                   1 + floor(%(categories)s * power(random(), 2))::int AS category,
                   random() > 0.02 AS active,
                   random() < 0.7 AS has_email,
                   random() < 0.15 AS never_used,
                   current_date - floor(3650 * random())::int AS enrolled_on,
                   current_date - floor(-240 * ln(1 - random()))::int AS used_on,
                   random() AS state
              FROM generate_series(%(first)s, %(last)s) AS number
            """,
            first=present + 1,
            last=count,
            given=GIVEN_NAMES,
            givens=len(GIVEN_NAMES),
            heads=NAME_HEADS,
            head_count=len(NAME_HEADS),
            tails=NAME_TAILS,
            tail_count=len(NAME_TAILS),
            branches=BRANCHES,
            categories=CATEGORIES,
        )
    )
    env.cr.execute(
        """
        UPDATE bench_person
           SET used_on = CASE WHEN never_used THEN NULL
                              ELSE greatest(used_on, enrolled_on) END
        """
    )
    # What other addons require of a contact is copied from the company's.
    required = [
        SQL.identifier(column)
        for [column] in env.execute_query(
            SQL(
                """
                SELECT column_name FROM information_schema.columns
                 WHERE table_name = 'res_partner' AND table_schema = current_schema
                   AND is_nullable = 'NO' AND column_name != 'id'
                """
            )
        )
    ]
    env.cr.execute(
        SQL(
            """
            INSERT INTO res_partner (
                   id, commercial_partner_id, create_uid, write_uid, create_date,
                   write_date, name, complete_name, type, active, is_company,
                   partner_share, lang, ref, email, email_normalized, city,
                   country_id, state_id, industry_id, calendar_last_notif_ack
                   %(required)s)
            SELECT person.partner_id, person.partner_id, 1, 1, enrolled_on,
                   now(), person.name, person.name, 'contact', person.active, FALSE,
                   TRUE, 'en_US', card, mail.address, mail.address, 'Riverside',
                   %(country)s, (%(states)s)[branch], (%(industries)s)[category],
                   used_on
                   %(pattern_required)s
              FROM bench_person person
              JOIN res_partner pattern ON pattern.id = %(pattern)s
        CROSS JOIN LATERAL (
                   SELECT CASE WHEN has_email
                               THEN 'patron' || number || '@bench.example.com'
                           END AS address) mail
          ORDER BY number
            """,
            pattern=env.company.partner_id.id,
            required=SQL("").join(SQL(", %s", column) for column in required),
            pattern_required=SQL("").join(
                SQL(", pattern.%s", column) for column in required
            ),
            **places,
        )
    )
    env.cr.execute(
        SQL(
            """
            INSERT INTO library_patron (
                   create_uid, write_uid, create_date, write_date, partner_id,
                   complete_name, company_id, active, card_number, ils_ref,
                   branch_id, patron_category_id, preferred_channel, enrolled_on,
                   last_use_date, expiry_date, membership_state)
            SELECT 1, 1, enrolled_on, now(), partner_id,
                   name, %(company)s, active, card, 'bench-' || number,
                   (%(branches)s)[branch], (%(categories)s)[category], 'email',
                   enrolled_on, used_on,
                   current_date + floor(365 * (state - 0.3) / 0.7)::int,
                   CASE WHEN state < 0.02 THEN 'cancelled'
                        WHEN state < 0.26 THEN 'expired'
                        WHEN state < 0.30 THEN 'grace'
                        WHEN state < 0.32 THEN 'suspended'
                        ELSE 'active' END
              FROM bench_person
          ORDER BY number
            """,
            **places,
        )
    )
    # Half of the persons have one interest, and one tag.
    env.cr.execute(
        SQL(
            """
            WITH person AS (
                SELECT patron.id, patron.partner_id,
                       1 + (person.number / 2 %% %(tag_count)s)::int AS place
                  FROM bench_person person
                  JOIN library_patron patron ON patron.ils_ref = 'bench-' || number
                 WHERE person.number %% 2 = 0
            ), interest AS (
                INSERT INTO library_interest_library_patron_rel (
                       library_patron_id, library_interest_id)
                SELECT id, (%(interests)s)[place] FROM person
            )
            INSERT INTO res_partner_res_partner_category_rel (partner_id, category_id)
            SELECT partner_id, (%(tags)s)[place] FROM person
            """,
            tag_count=TAGS,
            **places,
        )
    )
    env.invalidate_all()
    env.cr.commit()
    env.cr.execute("ANALYZE res_partner, library_patron")
    env.cr.commit()


def make_places(env):
    """Branches, categories and interests, and for the reference as many states,
    industries and tags.

    :return: their ids, as parameters of the statements above
    """
    company = env.company
    country = env.ref("base.us")
    states = env["res.country.state"].search(
        [("country_id", "=", country.id)], limit=BRANCHES
    )
    # The reference gets the indexes that Odoo leaves out.
    for column in ("state_id", "industry_id", "calendar_last_notif_ack", "create_date"):
        env.cr.execute(
            SQL(
                "CREATE INDEX IF NOT EXISTS %s ON res_partner (%s)",
                SQL.identifier(f"bench_{column}"),
                SQL.identifier(column),
            )
        )
    return {
        "company": company.id,
        "country": country.id,
        "states": states.ids,
        "industries": find_or_create(env, "res.partner.industry", CATEGORIES),
        "tags": find_or_create(env, "res.partner.category", TAGS),
        "branches": find_or_create(env, "library.branch", BRANCHES, coded=True),
        "categories": find_or_create(
            env, "library.patron.category", CATEGORIES, coded=True
        ),
        "interests": find_or_create(env, "library.interest", TAGS),
    }


def find_or_create(env, model, count, coded=False):
    """Ids of ``count`` records that the bench made, in the order of their numbers."""
    names = [f"Bench {number:02}" for number in range(1, count + 1)]
    found = env[model].search([("name", "in", names)])
    missing = sorted(set(names) - set(found.mapped("name")))
    found += env[model].create(
        [
            {"name": name, **({"code": name.upper()} if coded else {})}
            for name in missing
        ]
    )
    return found.sorted("name").ids


def make_users(env):
    """A desk librarian of all branches, and one of every fourth branch."""
    branches = env["library.branch"].search([("name", "=like", "Bench %")])
    users = []
    for login, own in (("bench_desk", []), ("bench_own", branches[::4].ids)):
        user = env["res.users"].search([("login", "=", login)])
        user = user or env["res.users"].create({"login": login, "name": login})
        user.write(
            {
                "group_ids": [Command.set(env.ref(DESK_GROUP).ids)],
                "library_branch_ids": [Command.set(own)],
            }
        )
        users.append(user)
    env.cr.commit()
    return users


# ------------------------------------------------------------
# MEASURING
# ------------------------------------------------------------


def measure(env, user):
    """Time both sides as ``user``.

    :return: name -> (patron's median over the contact's, patron's in milliseconds)
    """
    env = env(
        user=user.id,
        context={
            "lang": "en_US",
            "tz": "UTC",
            "uid": user.id,
            "allowed_company_ids": user.company_id.ids,
        },
    )
    return {
        name: compare(env, patron, contact, ROUNDS[name])
        for name, (patron, contact) in calls(env).items()
    }


def compare(env, patron, contact, rounds):
    """Time two callables in turns, each with an empty cache of records."""
    times = {patron: [], contact: []}
    for _warm_up in range(3):
        patron(), contact()
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for call in (patron, contact) if turn % 2 else (contact, patron):
                env.invalidate_all()
                start = perf_counter()
                call()
                times[call].append(perf_counter() - start)
            gc.collect(0)
    finally:
        gc.enable()
    ours, theirs = median(times[patron]), median(times[contact])
    return ours / theirs, ours * 1000


def calls(env):
    """What is measured: name -> (a call on patrons, the same on contacts)."""
    Patron, Contact = env["library.patron"], env["res.partner"]
    cards = [
        card
        for [card] in env.execute_query(
            SQL(
                "SELECT ref FROM res_partner WHERE ref LIKE '2%%' ORDER BY id LIMIT %s",
                PATRONS,
            )
        )
    ]
    return {
        "card_lookup": (
            look_up(Patron, "card_number", cards),
            look_up(Contact, "ref", cards),
        ),
        "list_page": (
            page(Patron, "library_crm.library_patron_view_list", "list", 80),
            page(Contact, "base.view_partner_tree", "list", 80),
        ),
        "kanban_page": (
            page(Patron, "library_crm.library_patron_view_kanban", "kanban", 40),
            page(Contact, "base.res_partner_kanban_view", "kanban", 40),
        ),
        "filter_count": count_calls(env),
    }


def look_up(model, field, cards):
    """Find a card, a different one each time, and read the name."""
    chosen = random.Random(SEED)

    def call():
        found = model.search([(field, "=", chosen.choice(cards))], limit=1)
        found.read(["complete_name"])

    return call


def page(model, view, view_type, limit):
    """Open the first page of a view as the web client does."""
    wanted = specification(model, view, view_type)
    model = model.with_context(bin_size=True)
    return lambda: model.web_search_read(
        [], wanted, limit=limit, count_limit=COUNT_LIMIT
    )


def specification(model, view, view_type):
    """The fields that the web client asks for to show a view, in the form of
    ``web_search_read``."""
    arch = etree.fromstring(model.get_view(model.env.ref(view).id, view_type)["arch"])
    wanted = {}
    for node in arch.iter("field"):
        name, widget = node.get("name"), node.get("widget", "")
        options = literal_eval(node.get("options") or "{}")
        spec = wanted.setdefault(name, {})
        if widget.endswith("_activity"):
            wanted |= {field: {} for field in ACTIVITY_FIELDS}
            wanted["activity_type_id"] = {"fields": {"display_name": {}}}
        if model._fields[name].type == "many2one" or widget == "many2many_tags":
            spec["fields"] = {"display_name": {}}
        if color := options.get("color_field"):
            spec["fields"][color] = {}
    return wanted


def count_calls(env):
    """The filter of the staff on patrons, and its counterpart on contacts."""
    arch = env["library.patron"].get_view(
        env.ref("library_crm.library_patron_view_search").id, "search"
    )["arch"]
    [unused] = etree.fromstring(arch).xpath("//filter[@name='unused_6m']/@domain")
    unused = literal_eval(unused)
    names = {"last_use_date": "calendar_last_notif_ack", "enrolled_on": "create_date"}
    silent = [
        (names[term[0]], *term[1:]) if isinstance(term, tuple) else term
        for term in unused
    ]
    # Neither the largest branch and category nor the smallest.
    ids = make_places(env(su=True))
    patrons = unused + [
        ("branch_id", "=", ids["branches"][4]),
        ("patron_category_id", "=", ids["categories"][1]),
    ]
    contacts = silent + [
        ("state_id", "=", ids["states"][4]),
        ("industry_id", "=", ids["industries"][1]),
    ]
    counts = (
        env["library.patron"].search_count(patrons),
        env["res.partner"].search_count(contacts),
    )
    if counts[0] != counts[1]:
        raise AssertionError(f"Both sides must count the same rows: {counts}")
    return (
        lambda: env["library.patron"].search_count(patrons),
        lambda: env["res.partner"].search_count(contacts),
    )
