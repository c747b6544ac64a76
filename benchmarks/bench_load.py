"""What the desk waits for while the whole library is at work, against the same on
Odoo's own contacts, asked by the same people in the same minutes.

100,000 patrons (``LIBRARY_BENCH_PATRONS``), who are the contacts as well, with a
membership, consents and 500,000 uses (``LIBRARY_BENCH_USES``). A server of Odoo with
three workers, PostgreSQL and all who ask share the cores of the machine for 180 seconds
(``LIBRARY_BENCH_SECONDS``). All log in before, over HTTP.

- 20 people at the desk, who do one thing and think 4 to 8 seconds: find a card
  and open the page of the patron; find a contact and open its page; find a contact by
  its reference. One patron in three has a visit logged, and the page is read again.
- 200 patrons in the portal, who read a page and think 20 to 60 seconds: the start of
  the portal, their library page, their year, and what is held about them.

Each call is what the web client sends: searching is ``web_search_read`` with the domain
of the search box and the fields of the list; a page is ``web_read`` with the fields and
lists of the form as the web client puts them together from its view, and then the
messages below it, which are no part of its time (they are the same for both).

- ``errors``: answers that were an error, a refusal or none.
- ``card_p95_vs_contact``: of a hundred searches for a card, the time of the fifth
  slowest; divided by that of the search for a contact by its email address.
- ``card_p95_vs_contact_by_ref``: against contacts by their reference alone, which has
  an index. No search box of Odoo asks so; it is the least that a search can cost.
- ``patron_page_p95_vs_contact``: the same for the page of a patron and of a contact;
  ``…_with_widgets_…`` until the chart of uses is there as well, which is one more
  request, and which contacts do not have.
"""

import os
import random
import sys
import threading
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep

import psutil
from lxml import etree

from odoo.fields import Command
from odoo.tools import SQL, config

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
import bench_engage  # noqa: E402
import bench_patron  # noqa: E402
import bench_value  # noqa: E402

from devkit.serving import Client, serve  # noqa: E402

PATRONS = int(os.environ.get("LIBRARY_BENCH_PATRONS", 100_000))
USES = int(os.environ.get("LIBRARY_BENCH_USES", 500_000))
SECONDS = int(os.environ.get("LIBRARY_BENCH_SECONDS", 180))
DESKS, VISITORS, WORKERS = 20, 200, 3
DESK_THINKS, VISITOR_THINKS, WARM_UP = (4, 8), (20, 60), 5
PASSWORD = "bench of the load"
SEED = 19
PAGES = ("/my", "/my/library", "/my/library/year", "/my/library/{}/privacy")
FORMS = {
    "library.patron": "library_crm.library_patron_view_form",
    "res.partner": "base.view_partner_form",
}
LISTS = {
    "library.patron": "library_crm.library_patron_view_list",
    "res.partner": "base.view_partner_tree",
}
#: The methods that the widgets of a form ask for when it opens.
WIDGETS = {"library_use_chart": "get_use_by_month"}


def figures(env):
    """Yield (name, value)."""
    make_rows(env, PATRONS, USES)
    people = make_people(env)
    times, errors, busy = measure(env, people)
    for text, count in Counter(errors).most_common(5):
        print(f"{count} times: {text}", file=sys.stderr)
    last = {kind: quantiles(found, n=20)[-1] for kind, found in times.items()}
    yield "errors", len(errors)
    yield "card_p95_vs_contact", last["card"] / last["contact"]
    yield "card_p95_vs_contact_by_ref", last["card"] / last["contact by ref"]
    yield "patron_page_p95_vs_contact", last["patron page"] / last["contact page"]
    yield (
        "patron_page_with_widgets_p95_vs_contact",
        last["patron page with widgets"] / last["contact page with widgets"],
    )
    for kind, found in sorted(times.items()):
        name = kind.replace(" ", "_").replace("/", "_")
        yield f"{name}_p95_ms", 1000 * last[kind]
        yield f"{name}_median_ms", 1000 * median(found)
        yield f"{name}_count", len(found)
    asked = sum(len(found) for kind, found in times.items() if "with" not in kind)
    yield "requests_a_second", asked / SECONDS
    yield "processors_busy", busy / 100


# ------------------------------------------------------------
# ROWS
# ------------------------------------------------------------


def make_rows(env, patrons, uses):
    """Patrons with all that their page shows; what is there already counts."""
    bench_patron.make_rows(env, patrons)
    bench_value.PATRONS = patrons
    [(present,)] = env.execute_query(SQL("SELECT count(*) FROM library_service_usage"))
    bench_value.make_uses(env, uses - present)
    for table in ("library_consent", "library_membership_renewal"):
        env.cr.execute(SQL("DELETE FROM %s", SQL.identifier(table)))
    env.cr.execute("DELETE FROM library_membership")
    bench_value.make_records(env)
    env.cr.execute(
        """
        UPDATE library_patron patron
           SET membership_id = membership.id
          FROM library_membership membership
         WHERE membership.patron_id = patron.id
        """
    )
    bench_engage.vacuum(
        env, "library_patron", "res_partner", "library_membership", "library_consent"
    )


def make_people(env):
    """Users of the desk, and of the portal for some of the patrons.

    :return: logins, each with its own patron (0: of the desk)
    """
    Users = env["res.users"].with_context(no_reset_password=True)
    desk = env.ref(bench_patron.DESK_GROUP).ids
    portal = env.ref("base.group_portal").ids
    patrons = env["library.patron"].search(
        [("ils_ref", "=like", "bench-%"), ("email", "!=", False)],
        limit=VISITORS,
        order="id",
    )
    users = Users.create(
        [
            {
                "login": f"bench_{number}",
                "name": f"Bench {number}",
                "group_ids": [Command.set(desk)],
            }
            for number in range(DESKS)
        ]
        + [
            {
                "login": patron.email,
                "partner_id": patron.partner_id.id,
                "group_ids": [Command.set(portal)],
            }
            for patron in patrons
        ]
    )
    users[0].password = PASSWORD
    env.flush_all()
    # What a password is stored as takes half a second to make, on purpose.
    env.cr.execute(
        SQL(
            """
            UPDATE res_users SET password = one.password
              FROM (SELECT password FROM res_users WHERE id = %s) one
             WHERE id = ANY(%s)
            """,
            users[0].id,
            users.ids,
        )
    )
    env.invalidate_all()
    env.cr.commit()
    return list(zip(users.mapped("login"), [0] * DESKS + patrons.ids, strict=True))


def choose(env):
    """Patrons to look for: their contact, card and address."""
    return env.execute_query(
        SQL(
            """
            SELECT patron.id, patron.partner_id, patron.card_number, contact.email
              FROM library_patron patron
              JOIN res_partner contact ON contact.id = patron.partner_id
             WHERE patron.active
               AND contact.email IS NOT NULL
               AND patron.ils_ref LIKE 'bench-%%'
          ORDER BY patron.id
            """
        )
    )


# ------------------------------------------------------------
# WHO ASKS
# ------------------------------------------------------------


class Person(Client):
    """Somebody who asks, thinks and asks again until the time is over."""

    def __init__(self, site, number, login, patron):
        super().__init__(site.url)
        self.site, self.login, self.patron = site, login, patron
        self.chance = random.Random(SEED + number)

    def run(self):
        with self.site.door, self.site.counted():
            self.log_in(self.site.database, self.login, PASSWORD)
            self.prepare()
        self.site.ready.wait()
        # Nobody starts together.
        self.think(0, self.thinks[1])
        while perf_counter() < self.site.end:
            with self.site.counted():
                self.act()
            self.think(*self.thinks)

    def think(self, least, most):
        left = self.site.end - perf_counter()
        sleep(max(min(self.chance.uniform(least, most), left), 0))

    def timed(self, kind, ask):
        started = perf_counter()
        answer = ask()
        if started >= self.site.start:
            self.site.times[kind].append(perf_counter() - started)
        return answer


class Visitor(Person):
    thinks = VISITOR_THINKS

    def prepare(self):
        self.turn = self.chance.randrange(len(PAGES))
        self.act()

    def act(self):
        page = PAGES[self.turn % len(PAGES)]
        self.turn += 1
        answer = self.timed(
            f"portal {page.format('patron')[1:]}",
            lambda: self.session.get(self.url + page.format(self.patron), timeout=120),
        )
        assert answer.status_code == 200, (page, answer.status_code)
        assert "/web/login" not in answer.url, answer.url


class Desk(Person):
    thinks = DESK_THINKS

    def prepare(self):
        self.turn = self.chance.randrange(3)
        self.context = {"lang": "en_US", "tz": "UTC", "bin_size": True}
        self.forms = {
            model: form_specification(self, model, self.site.forms[model])
            for model in FORMS
        }

    def act(self):
        patron, contact, card, email = self.chance.choice(self.site.rows)
        self.turn += 1
        if self.turn % 3 == 0:
            self.find(
                "card", "library.patron", [("display_name", "ilike", card)], patron
            )
            self.open("patron page", "library.patron", patron)
            if self.turn % 9 == 0:
                self.timed("log a visit", lambda: self.log_visit(patron))
                self.open("patron page", "library.patron", patron)
        elif self.turn % 3 == 1:
            self.find("contact", "res.partner", search_contact(email), contact)
            self.open("contact page", "res.partner", contact)
        else:
            self.find("contact by ref", "res.partner", [("ref", "=", card)], contact)

    def log_visit(self, patron):
        self.call_kw("library.patron", "action_log_visit", [patron])

    def find(self, kind, model, domain, wanted):
        answer = self.timed(
            kind,
            lambda: self.call_kw(
                *(model, "web_search_read", domain, self.site.lists[model]),
                limit=80,
                count_limit=bench_patron.COUNT_LIMIT,
                context=self.context,
            ),
        )
        found = [record["id"] for record in answer["records"]]
        assert wanted in found, (kind, domain, found)

    def open(self, kind, model, number):
        wanted, widgets = self.forms[model]

        def read():
            return self.call_kw(
                model, "web_read", [number], wanted, context=self.context
            )

        def read_with_widgets():
            [record] = self.timed(kind, read)
            assert record["id"] == number
            for method in widgets:
                self.call_kw(model, method, [number], context=self.context)

        self.timed(f"{kind} with widgets", read_with_widgets)
        self.timed(
            "messages",
            lambda: self.post(
                "/mail/thread/messages",
                thread_model=model,
                thread_id=number,
                fetch_params={"limit": 30},
            ),
        )


def search_contact(text):
    """The domain of Odoo's own search box of contacts."""
    names = ("complete_name", "ref", "email", "vat", "company_registry")
    return ["|"] * (len(names) - 1) + [(name, "ilike", text) for name in names]


def form_specification(client, model, view):
    """The fields that the web client asks for to show a form, and the methods that the
    widgets of it ask for.

    It follows ``getFieldsSpec`` of the web client: a list in the form asks for its
    columns of the first 40 rows, tags for name and colour, what is never shown for
    itself alone.
    """
    answer = client.call_kw(
        *(model, "get_views", [[view, "form"]]), context=client.context
    )
    arch = etree.fromstring(answer["views"]["form"]["arch"])
    widgets = {node.get("name") for node in arch.iter("widget")}
    return (
        specify(arch, model, answer["models"]),
        [method for name, method in WIDGETS.items() if name in widgets],
    )


def specify(arch, model, models):
    wanted = {}
    for node in own_fields(arch):
        name = node.get("name")
        field = models[model]["fields"][name]
        spec = wanted.setdefault(name, {})
        if node.get("widget") == "image":
            wanted.setdefault("write_date", {})
        hidden = {node.get("invisible"), node.get("column_invisible")}
        if hidden & {"1", "True"}:
            continue
        if field["type"] in ("many2one", "reference"):
            spec.setdefault("fields", {})["display_name"] = {}
        elif field["type"] in ("one2many", "many2many"):
            spec.setdefault("fields", {}).update(
                specify_rows(node, field["relation"], models)
            )
            if spec["fields"]:
                spec["limit"] = 40
    return wanted


def specify_rows(node, model, models):
    if node.get("widget") in ("many2many_tags", "many2many_checkboxes"):
        color = {"color": {}} if "color_field" in (node.get("options") or "") else {}
        return {"display_name": {}, **color}
    views = {view.tag: view for view in node if view.tag in ("list", "kanban", "form")}
    shown = views.get("list", views.get("kanban"))
    if shown is None:
        return {}
    # The form of a row is opened without asking again, so its fields come along.
    form = views.get("form")
    of_form = {} if form is None else dict.fromkeys(specify(form, model, models), {})
    return {**of_form, **specify(shown, model, models)}


def own_fields(arch):
    """The fields of a view without those of the lists in it."""
    for node in arch:
        if node.tag == "field":
            yield node
        else:
            yield from own_fields(node)


# ------------------------------------------------------------
# MEASURING
# ------------------------------------------------------------


class Site:
    """What all have in common who ask.

    :ivar times: seconds, by what was asked
    :ivar errors: texts
    """

    def __init__(self, env, url):
        self.url, self.database = url, env.cr.dbname
        self.rows = choose(env)
        self.forms = {model: env.ref(view).id for model, view in FORMS.items()}
        self.lists = {
            model: bench_patron.specification(env[model], view, "list")
            for model, view in LISTS.items()
        }
        self.times, self.errors = defaultdict(list), []
        self.ready = None
        # A password takes half a second to check, on purpose: not all come at once.
        self.door = threading.Semaphore(WORKERS)
        self.start = self.end = float("inf")

    def begin(self):
        """All are in. What they do at first fills caches, and is not counted."""
        psutil.cpu_percent()
        self.start = perf_counter() + WARM_UP
        self.end = self.start + SECONDS

    def counted(self):
        return Counted(self.errors)


class Counted:
    """An error is kept, and whoever had it goes on."""

    def __init__(self, errors):
        self.errors = errors

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, Exception):
            self.errors.append(f"{kind.__name__}: {error}"[-2000:])
            return True
        return False


def measure(env, people):
    """:return: times, errors, and how busy the processors were, in percent"""
    options = {
        "data-dir": config["data_dir"],
        "workers": WORKERS,
        "log-level": "error",
    }
    with serve(env.cr.dbname, options) as url:
        site = Site(env, url)
        env.cr.commit()
        persons = [
            (Visitor if patron else Desk)(site, number, login, patron)
            for number, (login, patron) in enumerate(people)
        ]
        threads = [threading.Thread(target=one.run, daemon=True) for one in persons]
        site.ready = threading.Barrier(len(threads), action=site.begin)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return site.times, site.errors, psutil.cpu_percent()
