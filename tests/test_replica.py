"""What is only read is read from a replica: each report, dashboard and page is opened
at a server that has one, and what PostgreSQL wrote down tells who was asked what."""

import json
import subprocess
from ast import literal_eval
from typing import NamedTuple

import pytest
from lxml import etree
from own_postgres import Replica
from replicated import DATABASE, Written, own_copy, serve_replicated
from whole_database import ROOT

from odoo.http import _generate_routing_rules
from odoo.modules.registry import Registry
from odoo.tests.common import get_db_name

from devkit.serving import Client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROLES = ("manager", "marketing", "desk")
#: Pages of figures, which are reckoned when their form is opened, and what from.
FORMS = {
    "library.annual.report": "library.service.usage.month",
    "library.survey.overview": "library.survey.result",
}
#: One of each kind of thing that has a page, and where these pages are.
MAKE = """
import base64
import json
from datetime import timedelta
from odoo import fields

user = env.ref("library_crm.library_user_patron")
patron = user.partner_id.library_patron_ids[:1]
program = env.ref("library_crm_loyalty.loyalty_program_thanks")
card = program._library_join(patron)
voucher = env["library.loyalty.redemption"].search(
    [("patron_id", "=", patron.id), ("state", "=", "issued")], limit=1)
if not voucher:
    reward = program.library_reward_ids[:1]
    reward.points = 1
    voucher = reward._issue(card)
today = fields.Date.context_today(patron)
challenge = env["library.challenge"].create({
    "name": "Read", "company_id": patron.company_id.id, "goal_kind": "minutes",
    "target": 10, "date_from": today, "date_to": today + timedelta(days=9),
    "has_certificate": True, "portal_published": True})
entry = env["library.challenge.entry"].create(
    {"challenge_id": challenge.id, "patron_id": patron.id})
env["library.challenge.log"].create(
    {"entry_id": entry.id, "date": today, "minutes": 20, "logged_by": "patron"})
kiosk = env["library.survey.round"].search(
    [("kind", "=", "kiosk"), ("state", "=", "running")], limit=1)
join = env["library.join"].search(
    [("email_normalized", "!=", False), ("state", "!=", "expired")], limit=1)
source = env["library.data.source"].create(
    {"name": "Test", "format": "webhook", "company_id": patron.company_id.id})
load = env["library.data.load"].create(
    {"source_id": source.id, "file_name": "test.json", "file": base64.b64encode(b"[]")})
key = env["res.users.apikeys"].with_user(
    env.ref("library_crm.library_user_manager"))._generate(
    "rpc", "test", fields.Datetime.now() + timedelta(days=1))
env.cr.commit()

def path(url):
    return "/" + url.split("/", 3)[3]

print("MADE", json.dumps({
    "patron": patron.id, "voucher": voucher.id, "challenge": challenge.id,
    "kiosk": kiosk.access_token, "library": patron.company_id.id, "load": load.id,
    "join": join._get_token(), "key": key, "branch": patron.branch_id.id,
    **{page: patron._get_link(page).rpartition("/")[2] for page in patron._LINK_DAYS},
}))
"""
#: Each page of ours by its route: who opens it, and where it is.
PAGES = {
    "/my/library": ("patron", "/my/library"),
    "/my/library/<int:patron_id>": ("patron", "/my/library/{patron}"),
    "/my/library/year": ("patron", "/my/library/year"),
    "/my/library/<int:patron_id>/privacy": ("patron", "/my/library/{patron}/privacy"),
    "/my/library/<int:patron_id>/points": ("patron", "/my/library/{patron}/points"),
    "/my/library/<int:patron_id>/points/page/<int:page>": (
        "patron",
        "/my/library/{patron}/points/page/1",
    ),
    "/my/library/<int:patron_id>/voucher/<int:voucher_id>": (
        "patron",
        "/my/library/{patron}/voucher/{voucher}",
    ),
    "/my/library/<int:patron_id>/voucher/<int:voucher_id>/pdf": (
        "patron",
        "/my/library/{patron}/voucher/{voucher}/pdf",
    ),
    "/my/library/challenges": ("patron", "/my/library/challenges"),
    "/my/library/<int:patron_id>/challenges/<int:challenge_id>": (
        "patron",
        "/my/library/{patron}/challenges/{challenge}",
    ),
    "/my/library/<int:patron_id>/challenges/<int:challenge_id>/certificate": (
        "patron",
        "/my/library/{patron}/challenges/{challenge}/certificate",
    ),
    "/library_crm/preferences": (None, "/library_crm/preferences"),
    "/library_crm/preferences/<string:token>": (
        None,
        "/library_crm/preferences/{preferences}",
    ),
    "/library_crm/confirm/<string:token>": (None, "/library_crm/confirm/{confirm}"),
    "/library_crm/year/<string:token>": (None, "/library_crm/year/{year}"),
    "/library_crm/privacy/<string:token>": (None, "/library_crm/privacy/{privacy}"),
    "/library_crm/copy/<int:patron_id>": ("manager", "/library_crm/copy/{patron}"),
    "/library/join": (None, "/library/join?library={library}"),
    "/library/join/sent": (None, "/library/join/sent?library={library}"),
    "/library/join/confirm/<string:token>": (None, "/library/join/confirm/{join}"),
    "/library/privacy": (None, "/library/privacy"),
    "/library/survey": (None, "/library/survey"),
    "/library/survey/<string:token>": (None, "/library/survey/{kiosk}"),
    "/library/kiosk/<string:token>": (None, "/library/kiosk/{kiosk}"),
    "/library_crm/v1/docs": (None, "/library_crm/v1/docs"),
    "/library_crm/v1/openapi.json": (None, "/library_crm/v1/openapi.json"),
    "/library_crm/v1/loads/<int:load_id>": ("key", "/library_crm/v1/loads/{load}"),
}


class Site(NamedTuple):
    url: str
    primary: Written
    replica: Written
    cluster: Replica
    made: dict

    def read(self, ask):
        """Ask for something that only reads: the replica is asked and nobody else.

        :return: the answer, and what the replica was asked
        """
        places = self.primary.place(), self.replica.place()
        answer = ask()
        asked = self.primary.since(places[0])
        assert not asked, "\n".join(line[:300] for line in asked)
        asked = self.replica.since(places[1])
        assert asked and not any("ERROR" in line for line in asked)
        return answer, asked


class Visitor(Client):
    """Somebody at the site; the models that they asked, in ``opened``."""

    def __init__(self, site, login=None):
        super().__init__(site.url)
        self.site, self.opened = site, set()
        if login:
            self.log_in(DATABASE, login, login)
            site.cluster.catch_up()

    def get(self, path, status=200):
        answer = self.session.get(
            self.site.url + path, timeout=120, allow_redirects=False
        )
        assert answer.status_code == status, (path, answer.text[-3000:])
        return answer

    def call(self, model, method, *args, **kwargs):
        """Call a method that reads, as the web client does."""
        answer, asked = self.site.read(
            lambda: self.call_kw(model, method, *args, **kwargs)
        )
        if method != "get_views":
            table = FORMS.get(model, model).replace(".", "_")
            assert any(f'"{table}"' in line for line in asked), asked
            self.opened.add(model)
        return answer

    # ------------------------------------------------------------
    # WHAT THE WEB CLIENT DOES
    # ------------------------------------------------------------

    def open_reports(self):
        """Open all that stands in the menu of reports."""
        menus, _asked = self.site.read(lambda: self.get("/web/webclient/load_menus"))
        menus = menus.json()
        [reporting] = [
            menu
            for menu in menus.values()
            if menu.get("xmlid") == "library_crm.library_crm_menu_reporting"
        ]
        waiting = list(reporting["children"])
        while waiting:
            menu = menus[str(waiting.pop())]
            waiting += menu["children"]
            if menu["actionModel"] == "ir.actions.act_window":
                self.open(menu["actionID"])

    def open(self, action_id):
        """Open each view of an action, each filter and each grouping."""
        action, _asked = self.site.read(
            lambda: self.post("/web/action/load", action_id=action_id)
        )
        model, domain = action["res_model"], evaluate(action["domain"], [])
        search = (action["search_view_id"] or [False])[0]
        found = self.call(
            model, "get_views", views=[*action["views"], [search, "search"]]
        )
        fields = found["models"][model]["fields"]
        views = {
            kind: etree.fromstring(view["arch"])
            for kind, view in found["views"].items()
        }
        for kind, arch in views.items():
            getattr(self, f"open_{kind}", lambda *_: None)(model, domain, fields, arch)

    def open_search(self, model, domain, fields, arch):
        for node in arch.iter("filter"):
            group = evaluate(node.get("context"), {}).get("group_by")
            asked = evaluate(node.get("domain"), [])
            self.group(model, [*domain, *asked], fields, [group] if group else [])

    def open_graph(self, model, domain, fields, arch):
        names, measures = self.read_arch(arch)
        self.group(model, domain, fields, names, measures)

    def open_pivot(self, model, domain, fields, arch):
        names, measures = self.read_arch(arch)
        names = [with_granularity(name, fields) for name in names]
        self.call(
            model,
            "formatted_read_grouping_sets",
            domain,
            [names[:count] for count in range(len(names) + 1)],
            aggregates(measures, fields),
        )

    def read_arch(self, arch):
        nodes = [node for node in arch.iter("field") if not node.get("invisible")]
        measures = [node.get("name") for node in nodes if node.get("type") == "measure"]
        return [
            f"{node.get('name')}:{node.get('interval')}"
            if node.get("interval")
            else node.get("name")
            for node in nodes
            if node.get("name") not in measures
        ], measures

    def group(self, model, domain, fields, names, measures=()):
        names = [with_granularity(name, fields) for name in names]
        self.call(
            model,
            "formatted_read_group",
            domain,
            names,
            aggregates(measures, fields),
        )

    def open_list(self, model, domain, fields, arch):
        shown = specify(arch, fields)
        self.call(model, "web_search_read", domain, shown, limit=80)

    open_kanban = open_list

    def open_form(self, model, domain, fields, arch):
        shown = specify(arch, fields)
        if model in FORMS:
            page = self.call(model, "onchange", [], {}, [], shown)
            assert "<table" in page["value"]["body"]
            return
        found = self.call(model, "web_search_read", domain, {}, limit=1)["records"]
        if found:
            self.call(model, "web_read", [found[0]["id"]], shown)

    def open_dashboards(self):
        """:return: how many there are, and how often their parts asked for figures"""
        found = self.call(
            "spreadsheet.dashboard",
            "web_search_read",
            [("dashboard_group_id.name", "=", "Library")],
            {},
        )
        asked = 0
        for dashboard in found["records"]:
            answer, _asked = self.site.read(
                lambda found=dashboard: self.get(
                    f"/spreadsheet/dashboard/data/{found['id']}"
                )
            )
            sheet = answer.json()["snapshot"]
            asked += sum(self.open_parts(sheet))
        return len(found["records"]), asked

    def open_parts(self, sheet):
        for pivot in sheet.get("pivots", {}).values():
            groups = [
                f"{group['fieldName']}:{group['granularity']}"
                if group.get("granularity")
                else group["fieldName"]
                for group in (*pivot["columns"], *pivot["rows"])
            ]
            self.call(
                pivot["model"],
                "formatted_read_grouping_sets",
                evaluate(pivot["domain"], []),
                [groups[:count] for count in range(len(groups) + 1)],
                [
                    "__count"
                    if measure["fieldName"] == "__count"
                    else f"{measure['fieldName']}:{measure['aggregator']}"
                    for measure in pivot["measures"]
                    if not measure.get("computedBy")
                ],
            )
            yield 1
        for listed in sheet.get("lists", {}).values():
            self.call(
                listed["model"],
                "web_search_read",
                evaluate(listed["domain"], []),
                {},
                limit=80,
            )
            yield 1
        for figure in (one for page in sheet["sheets"] for one in page["figures"]):
            data = figure["data"]
            if not data.get("type", "").startswith("odoo_"):
                continue
            meta, search = data["metaData"], data["searchParams"]
            fields = self.call_kw(meta["resModel"], "fields_get")
            measures = [] if meta["measure"] == "__count" else [meta["measure"]]
            domain = evaluate(search["domain"], [])
            self.group(meta["resModel"], domain, fields, meta["groupBy"], measures)
            yield 1


def evaluate(text, otherwise):
    """What is written in a view, where it does not depend on who looks."""
    if not isinstance(text, str):
        return text or otherwise
    try:
        return literal_eval(text)
    except ValueError:
        return otherwise


def with_granularity(name, fields):
    is_day = fields[name.partition(":")[0]]["type"] in ("date", "datetime")
    return f"{name}:month" if is_day and ":" not in name else name


def aggregates(measures, fields):
    return [
        "__count" if name == "__count" else f"{name}:{fields[name]['aggregator']}"
        for name in measures or ["__count"]
    ]


def specify(arch, fields):
    """The fields of a view, as ``web_read`` takes them."""
    return {
        node.get("name"): {"fields": {"display_name": {}}}
        if fields[node.get("name")]["type"] in ("many2one", "many2many", "one2many")
        else {}
        for node in arch.xpath("//field[not(ancestor::field)]")
    }


def make(primary):
    """What has a page.

    :return: the values of ``PAGES``
    """
    options = [f"--db_{name}={value}" for name, value in primary.items()]
    shell = subprocess.run(
        [ROOT / "dev", "odoo", "shell", "--no-http", "-d", DATABASE, *options],
        input=MAKE,
        capture_output=True,
        text=True,
    )
    made = [line for line in shell.stdout.splitlines() if line.startswith("MADE ")]
    assert made, shell.stderr[-5000:]
    return json.loads(made[0].removeprefix("MADE "))


@pytest.fixture(scope="module")
def site():
    with own_copy() as (primary, replica):
        made = make(primary.address)
        replica.catch_up()
        with serve_replicated(primary, replica, dev="replica") as url:
            logs = Written(primary.home / "log"), Written(replica.home / "log")
            yield Site(url, *logs, replica, made)


def find_reports():
    """The models that figures are read from: queries, and tables that a job fills."""
    registry = Registry(get_db_name())
    return {
        name
        for name, Model in registry.items()
        if name.startswith("library.") and not (Model._abstract or Model._transient)
        if not Model._auto or issubclass(Model, registry["library.count.mixin"])
    } | {"library.service.usage.month", "library.segment.snapshot", *FORMS}


@pytest.mark.parametrize("login", ROLES)
def test_every_report_is_read_from_the_replica_and_writes_nothing(site, login):
    visitor = Visitor(site, login)
    visitor.open_reports()
    assert len(visitor.opened) > 5
    for model in sorted(find_reports() - visitor.opened):
        may_read = visitor.call_kw(model, "has_access", [], "read")
        assert not may_read, f"{model} stands in no menu"


@pytest.mark.parametrize("login", ROLES)
def test_every_dashboard_is_read_from_the_replica_and_writes_nothing(site, login):
    found, asked = Visitor(site, login).open_dashboards()
    assert found and asked > found


def test_every_page_that_somebody_opens_is_read_from_the_replica(site):
    visitors = {login: Visitor(site, login) for login in (None, "patron", "manager")}
    visitors["key"] = Visitor(site)
    visitors["key"].session.headers["Authorization"] = f"Bearer {site.made['key']}"
    for login, path in PAGES.values():
        place = path.format(**site.made)
        status = 404 if place == "/library/survey" else 200
        site.read(lambda visit=visitors[login].get, to=place, it=status: visit(to, it))


def test_every_page_of_ours_is_known_here():
    modules = [name for name in Registry(get_db_name())._init_modules]
    opened = {
        url
        for url, endpoint in _generate_routing_rules(sorted(modules), False)
        if url.startswith(("/my/library", "/library"))
        and "GET" in (endpoint.routing["methods"] or ["GET"])
    }
    assert opened == PAGES.keys()


def test_what_writes_would_be_seen(site):
    """Else all of the above said nothing."""
    visitor = Visitor(site, "manager")
    with pytest.raises(AssertionError, match="UPDATE"):
        visitor.call("library.branch", "write", site.made["branch"], {"name": "Moved"})


def test_replica_that_lags_behind_shows_what_was(site):
    visitor = Visitor(site, "manager")

    def ask():
        [group] = visitor.call(
            *("library.service.usage.month", "formatted_read_group"),
            *([], [], ["quantity:sum"]),
        )
        return group["quantity:sum"]

    before = ask()
    site.cluster.ask("SELECT pg_wal_replay_pause()")
    site.cluster.primary.ask(
        "UPDATE library_service_usage_month SET quantity = quantity + 1 "
        "WHERE id = (SELECT min(id) FROM library_service_usage_month) RETURNING id",
        DATABASE,
    )
    assert ask() == before
    site.cluster.ask("SELECT pg_wal_replay_resume()")
    site.cluster.catch_up()
    assert ask() == before + 1
