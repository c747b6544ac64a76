"""A day of a library on a running server, and what its log tells afterwards."""

import base64
import re
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest
import requests
from aiosmtpd.controller import Controller

from tests.whole_database import ROOT, copy

pytestmark = pytest.mark.slow

#: Whoever appears in this day, in words that stand nowhere else.
PERSONS = {
    "name": "Xqnadia Ferrante",
    "email": "xqnadia.ferrante@mail.example.org",
    "card": "xq00417788",
    "phone": "+32 2 555 91 77",
    "typed": "xqtyped.wrong@mail.example.org",
    "login": "xqnadia.login@mail.example.org",
    "refused": "xqrefused-card-91",
}
SETUP = """
P = {persons!r}
company = env.ref("base.main_company")
branch = env["library.branch"].search([("company_id", "=", company.id)], limit=1)
category = env["library.patron.category"].search(
    [("company_id", "=", company.id), ("kind", "=", "adult")], limit=1)
patron = env["library.patron"].create({{
    "name": P["name"], "email": P["email"], "card_number": P["card"],
    "phone": P["phone"], "company_id": company.id, "branch_id": branch.id}})
user = env["res.users"].with_context(no_reset_password=True).create({{
    "partner_id": patron.partner_id.id, "login": P["login"], "password": "xq-portal-1",
    "company_id": company.id, "company_ids": [(6, 0, company.ids)],
    "group_ids": [(6, 0, env.ref("base.group_portal").ids)]}})
env["library.join.form"].search([]).is_open = True
env["ir.mail_server"].search([]).active = False
env["ir.mail_server"].create({{"name": "refuses", "smtp_host": "127.0.0.1",
    "smtp_port": {smtp}, "smtp_encryption": "none"}})
source = env["library.data.source"].create({{
    "name": "xq", "format": "koha_patrons", "company_id": company.id}})
for name in ("manager",):
    found = env["res.users"].search([("login", "=", name)])
    if not found:
        found = env["res.users"].create({{"name": name, "login": name,
            "company_id": company.id, "company_ids": [(6, 0, company.ids)],
            "group_ids": [(4, env.ref("library_crm.group_library_manager").id)]}})
    found.password = name
for page in ("preferences", "confirm", "year"):
    print("LINK", patron._get_link(page), flush=True)
print("PATRON", patron.id, source.id, branch.code, category.code, flush=True)
env.cr.commit()
"""


@contextmanager
def refusing_mail_server():
    """Takes mails for nobody, and says for whom."""

    class Refusing:
        async def handle_RCPT(self, server, session, envelope, address, options):
            return f"550 5.1.1 no such user here: {address}"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(Refusing(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@contextmanager
def serve(database, log):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("w") as kept:
        server = subprocess.Popen(
            [ROOT / "dev", "odoo", "-d", database, "--db-filter", f"^{database}$"]
            + ["--http-port", str(port), "--max-cron-threads", "1"]
            + ["--log-level=info"],
            stdout=kept,
            stderr=kept,
        )
    try:
        for _second in range(120):
            try:
                if requests.get(f"http://127.0.0.1:{port}/web/login", timeout=30).ok:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(1)
        else:
            pytest.fail(log.read_text()[-3000:])
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(60)


class Visitor(requests.Session):
    """A browser."""

    def __init__(self, address):
        super().__init__()
        self.address = address

    def open(self, path):
        return self.get(self.address + path, timeout=60)

    def fill_in(self, page, path=None, **values):
        text = self.open(page).text
        token = re.search(r'csrf_token"?[^>]*?(?:value=|: )"([^"]+)"', text)
        values["csrf_token"] = token.group(1) if token else ""
        return self.post(self.address + (path or page), data=values, timeout=60)

    def log_in(self, login, password):
        return self.fill_in("/web/login", login=login, password=password)

    def call(self, model, method, *args, **kwargs):
        parameters = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        return self.post(
            f"{self.address}/web/dataset/call_kw/{model}/{method}",
            json={"jsonrpc": "2.0", "params": parameters},
            timeout=60,
        ).json()


def live_a_day(address, links, patron, source, branch, category):
    """What happens in a library: most of it goes wrong somewhere."""
    visitor = Visitor(address)
    for link in links:
        path = link.partition("/library_crm")[2]
        visitor.open(f"/library_crm{path}")
        visitor.open(f"/library_crm{path[:-3]}xxx")
    visitor.fill_in("/library_crm/preferences", email=PERSONS["email"])
    visitor.fill_in("/library_crm/preferences", email=PERSONS["typed"])
    visitor.fill_in(f"/library_crm{links[0].partition('/library_crm')[2]}", nothing="1")
    visitor.open(f"/library/join?email={PERSONS['typed']}&name={PERSONS['name']}")
    form = {
        "step": "send",
        "who": "self",
        "birth_date": "1984-02-31",
        "zip": "01002",
        "name": PERSONS["name"],
        "email": PERSONS["typed"],
        "phone": PERSONS["phone"],
    }
    visitor.fill_in("/library/join", **form)
    visitor.fill_in("/library/join", **{**form, "birth_date": "1984-02-28"})
    visitor.log_in(PERSONS["login"], "wrong")
    patron_at_home = Visitor(address)
    patron_at_home.log_in(PERSONS["login"], "xq-portal-1")
    assert PERSONS["card"] in patron_at_home.open(f"/my/library/{patron}").text
    patron_at_home.fill_in("/my/account", f"/my/library/{patron}/renew")
    patron_at_home.fill_in(
        "/my/account", f"/my/library/{patron}/interests", interest="bad"
    )
    desk = Visitor(address)
    desk.log_in("manager", "manager")
    name, card = PERSONS["name"], PERSONS["card"]
    known = desk.call("library.patron", "name_search", card)
    assert known["result"], known
    # The card is taken; the guardian is the patron; the value is none of the list.
    for values in (
        {"name": name, "card_number": card},
        {"name": name, "card_number": f"{card} ", "preferred_channel": name},
        {"name": name, "birth_year": 99999},
        {"name": name, "birth_date": name},
        {"partner_id": name},
    ):
        answer = desk.call("library.patron", "create", [values])
        assert "error" in answer, values
    for method, args in (
        ("write", [[patron], {"guardian_id": patron}]),
        ("search", [[("complete_name", "nonsense", name)]]),
        ("read", [[patron], [name]]),
        ("nothing", [name]),
    ):
        assert "error" in desk.call("library.patron", method, *args), method
    other = desk.call("res.company", "create", [{"name": "xq other"}])
    partner = desk.call("library.patron", "read", [patron], ["partner_id"])
    desk.call(
        "res.partner",
        "write",
        [partner["result"][0]["partner_id"][0]],
        {"company_id": (other.get("result") or [False])[0]},
    )
    rows = (
        "cardnumber,surname,firstname,branchcode,categorycode,email\n"
        f"xqnew,Ferrante,Xqnadia,{branch},{category},{PERSONS['email']}\n"
        f"{PERSONS['refused']},Ferrante,Xqnadia,NOWHERE,{category},{PERSONS['typed']}\n"
    )
    load = desk.call(
        "library.data.load",
        "create",
        [
            {
                "source_id": source,
                "file": base64.b64encode(rows.encode()).decode(),
                "file_name": "patrons.csv",
            }
        ],
    )["result"]
    loaded = desk.call("library.data.load", "action_run", load)
    assert "error" not in loaded, loaded
    mail = desk.call(
        "mail.compose.message",
        "create",
        [
            {
                "model": "library.patron",
                "res_ids": repr([patron]),
                "composition_mode": "comment",
                "subject": "Hello",
                "body": f"Dear {name}",
                "partner_ids": [[6, 0, [partner["result"][0]["partner_id"][0]]]],
            }
        ],
    )
    desk.call("mail.compose.message", "action_send_mail", mail.get("result"))
    admin = Visitor(address)
    admin.log_in("admin", "admin")
    queue = admin.call(
        "mail.mail", "search", [("state", "in", ("outgoing", "exception"))]
    )
    admin.call("mail.mail", "send", queue["result"])


def test_log_of_a_day_tells_nobody(tmp_path):
    log = tmp_path / "odoo.log"
    with copy("library_test_logs") as database, refusing_mail_server() as smtp:
        done = subprocess.run(
            [ROOT / "dev", "odoo", "shell", "-d", database, "--no-http"],
            input=SETUP.format(persons=PERSONS, smtp=smtp),
            capture_output=True,
            text=True,
        )
        links = re.findall(r"LINK (\S+)", done.stdout)
        found = re.search(r"PATRON (\d+) (\d+) (\S+) (\S+)", done.stdout)
        assert found, done.stdout + done.stderr
        with serve(database, log) as address:
            live_a_day(address, links, int(found[1]), int(found[2]), found[3], found[4])
    text = log.read_text()
    assert "/library_crm/preferences/…" in text, "The day is in the log"
    assert "bad query: INSERT INTO library_patron" in text
    tokens = [link.rpartition("/")[2] for link in links]
    words = [*PERSONS.values(), "Ferrante", *tokens]
    words += [word.replace("@", "%40").replace(" ", "+") for word in PERSONS.values()]
    told = [
        line
        for line in text.splitlines()
        if any(word.lower() in line.lower() for word in words)
    ]
    assert not told, "\n".join(told[:20])
