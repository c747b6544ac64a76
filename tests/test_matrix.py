"""Who sees what of which model, through each door: every model of the addons, with the
rows of the demo library, asked by each role.

What a role may do with a model at all stands in ``RIGHTS`` of each addon; here the rows
count. A model that is added fails here until it is said what it is.
"""

import json
import re

from odoo.exceptions import AccessError
from odoo.fields import Command, Datetime
from odoo.tests import HttpCase, TransactionCase, new_test_user, tagged

ADDONS = ("library_crm", "library_crm_survey", "library_crm_loyalty", "library_crm_sms")

# Where the home of a row is: a desk sees those of its branches, and those without one.
BRANCH = {
    "library.acquisition.funnel": "branch_id",
    "library.acquisition.report": "branch_id",
    "library.badge.award": "patron_id.branch_id",
    "library.challenge.entry": "patron_id.branch_id",
    "library.challenge.log": "entry_id.patron_id.branch_id",
    "library.consent": "patron_id.branch_id",
    "library.join": "branch_id",
    "library.journey.enrolment": "patron_id.branch_id",
    "library.journey.event": "enrolment_id.patron_id.branch_id",
    "library.loyalty.cost": "branch_id",
    "library.loyalty.effect": "branch_id",
    "library.loyalty.liability": "branch_id",
    "library.loyalty.month": "branch_id",
    "library.loyalty.participation": "branch_id",
    "library.loyalty.redemption": "patron_id.branch_id",
    "library.membership": "branch_id",
    "library.membership.renewal": "membership_id.branch_id",
    "library.patron": "branch_id",
    "library.patron.alias": "patron_id.branch_id",
    "library.retention": "branch_id",
    "library.service.place": "branch_id",
    "library.service.usage": "branch_id",
    "library.survey.gap.result": "branch_id",
    "library.survey.response": "branch_id",
    "library.survey.result": "branch_id",
    "library.survey.round": "branch_id",
}
# What a desk reads of the whole library: how it is set up, and figures of many.
WHOLE = {
    *("library.badge", "library.branch", "library.challenge", "library.cluster"),
    *("library.challenge.square", "library.challenge.team", "library.household"),
    *("library.consent.purpose", "library.indicator", "library.indicator.target"),
    *("library.indicator.value", "library.interest", "library.join.form"),
    *("library.join.rule", "library.journey", "library.journey.result"),
    *("library.journey.step", "library.loyalty.reward", "library.loyalty.rule"),
    *("library.loyalty.tier", "library.membership.plan", "library.membership.reason"),
    *("library.patron.category", "library.population", "library.segment"),
    *("library.peer", "library.peer.band", "library.peer.comparison"),
    *("library.peer.set", "library.peer.value"),
    *("library.segment.snapshot", "library.service", "library.service.usage.month"),
    *("library.use.condition", "library.value.line", "library.value.report"),
    "library.value.table",
}
# What no desk reads; the table of rights says so.
NOTHING = {
    *("library.cost", "library.counter.report", "library.data.column"),
    *("library.data.load", "library.data.refusal", "library.data.source"),
    *("library.data.value", "library.engagement.rule", "library.erasure"),
    *("library.erasure.line", "library.indicator.month"),
    *("library.job", "library.job.run"),
    *("library.loyalty.due", "library.loyalty.figures", "library.loyalty.occasion"),
    *("library.mailing.outcome", "library.mailing.result", "library.patron.row"),
    "library.peer.column",
    *("library.patron.tombstone", "library.public.limit"),
    *("library.retention.former", "library.retention.rule", "library.retention.run"),
    *("library.survey.gate", "library.service.usage.stage"),
    *("library.survey.invitation", "library.survey.roll"),
}
# What every library of a database shares.
SHARED = {
    *("library.cluster", "library.consent.purpose", "library.indicator"),
    *("library.interest", "library.job", "library.job.run"),
    *("library.membership.reason", "library.segment"),
    *("library.peer", "library.peer.band", "library.peer.column", "library.peer.set"),
    *("library.peer.value", "library.retention.rule"),
    *("library.service", "library.use.condition", "library.value.line"),
    "library.value.table",
}
# What a patron's page shows to any patron.
FOR_PATRONS = {
    *("library.branch", "library.consent.purpose", "library.interest"),
    *("library.membership.plan", "library.patron.category"),
}
# Whose rows a patron sees.
PATRON = {
    "library.consent": "patron_id",
    "library.membership": "patron_id",
    "library.patron": "id",
}


class MatrixCase(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        groups = cls.env["library.patron"]._read_group(
            [("guardian_id", "!=", False)], ["company_id"], ["__count"]
        )
        cls.library = max(groups, key=lambda group: group[1])[0]
        cls.far = cls.env["res.company"].create({"name": "Far away"})
        cls.child = cls.env["library.patron"].search(
            [
                ("company_id", "=", cls.library.id),
                ("guardian_id.branch_id", "!=", False),
                ("guardian_id.partner_id.user_ids", "=", False),
            ],
            limit=1,
        )
        cls.guardian = cls.child.guardian_id
        cls.branch = cls.env["library.patron"]._read_group(
            [("company_id", "=", cls.library.id), ("branch_id", "!=", False)],
            ["branch_id"],
            ["__count"],
            order="__count desc",
            limit=1,
        )[0][0]
        cls.roles = {}
        for name, group, company in (
            ("desk", "library_crm.group_library_user", cls.library),
            ("marketing", "library_crm.group_library_marketing", cls.library),
            ("manager", "library_crm.group_library_manager", cls.library),
            ("employee", "base.group_user", cls.library),
            ("stranger", "base.group_portal", cls.library),
            ("guardian", "base.group_portal", cls.library),
            ("far_desk", "library_crm.group_library_user", cls.far),
            ("far_marketing", "library_crm.group_library_marketing", cls.far),
            ("far_manager", "library_crm.group_library_manager", cls.far),
        ):
            cls.roles[name] = new_test_user(
                cls.env,
                f"matrix_{name}",
                group,
                company_id=company.id,
                company_ids=[Command.set(company.ids)],
            )
        cls.roles["desk"].library_branch_ids = cls.branch
        cls.roles["guardian"].partner_id = cls.guardian.partner_id
        cls.roles["public"] = cls.env.ref("base.public_user")

    def _get_models(self):
        """Every model of these addons that keeps rows."""
        return sorted(
            name
            for name, model in self.env.registry.items()
            if model._original_module in ADDONS
            and not model._abstract
            and not model._transient
        )

    def _as(self, role, model):
        user = self.roles[role]
        return (
            self.env[model]
            .with_user(user)
            .with_context(active_test=False, allowed_company_ids=user.company_ids.ids)
        )

    def _find(self, role, model):
        try:
            return self._as(role, model).search([])
        except AccessError:
            return self.env[model]


@tagged("post_install", "-at_install")
class TestMatrix(MatrixCase):
    def test_each_model_says_whose_its_rows_are(self):
        models = set(self._get_models())
        self.assertEqual(models - BRANCH.keys() - WHOLE - NOTHING, set())
        for kinds in (BRANCH.keys() & WHOLE, BRANCH.keys() & NOTHING, WHOLE & NOTHING):
            self.assertFalse(kinds)

    def test_outside_of_the_library_nothing_of_it_is_seen(self):
        """Each model with rows in the demo library, and each way to ask for them."""
        allowed = {
            **dict.fromkeys(("employee", "public"), set()),
            **dict.fromkeys(("stranger",), FOR_PATRONS),
            **dict.fromkeys(("far_desk", "far_marketing", "far_manager"), SHARED),
        }
        asked = 0
        for model in self._get_models():
            everything = self.env[model].sudo().with_context(active_test=False)
            try:
                some = everything.search([], limit=3)
            except AccessError:
                continue  # figures of many, whose rows are told to nobody
            if not some:
                continue
            asked += 1
            for role, seen in allowed.items():
                records = self._as(role, model)
                doors = {
                    "search": lambda records=records: records.search([]),
                    "search_count": lambda records=records: records.search_count([]),
                    "search_read": lambda records=records: records.search_read([]),
                    "name_search": lambda records=records: records.name_search(),
                    "web_search_read": lambda records=records: records.web_search_read(
                        [], {"id": {}}
                    )["records"],
                    "read_group": lambda records=records: [
                        group
                        for group in records.formatted_read_group([], [], ["__count"])
                        if group["__count"]
                    ],
                }
                for door, go in doors.items():
                    if model in seen:
                        continue
                    with self.subTest(role, model=model, door=door):
                        try:
                            self.assertFalse(go())
                        except AccessError:
                            continue
                for operation in ("read", "write", "unlink"):
                    if model in seen and operation == "read":
                        continue
                    with self.subTest(role, model=model, operation=operation):
                        known = some.with_env(records.env)
                        if model in SHARED and role.startswith("far_"):
                            known = (
                                known.filtered(
                                    lambda row: "company_id" in row and row.company_id
                                )
                                if operation == "read"
                                else known.browse()
                            )
                        if known:
                            self.assertFalse(known._filtered_access(operation))
        self.assertGreater(asked, 40)

    def test_desk_sees_the_rows_of_its_branches(self):
        own = (self.branch.id, False)
        told = set()
        for model, path in BRANCH.items():
            if model not in self.env:
                continue
            with self.subTest(model):
                for row in self._find("desk", model).sudo():
                    home = row
                    for name in path.split("."):
                        home = home[name]
                    told.add(model)
                    self.assertIn(home.id, own)
        self.assertGreater(len(told), 12, "The demo library has rows to look at")
        for model in NOTHING & set(self._get_models()):
            with self.subTest(model):
                self.assertFalse(self._find("desk", model))

    def test_guardian_sees_the_own_rows_and_those_of_the_children(self):
        own = self.guardian + self.guardian.dependant_ids
        self.assertIn(self.child, own)
        for model in self._get_models():
            found = self._find("guardian", model).sudo()
            with self.subTest(model):
                if model in PATRON:
                    patrons = (
                        found.mapped(PATRON[model]) if PATRON[model] != "id" else found
                    )
                    self.assertLessEqual(patrons, own)
                elif model not in FOR_PATRONS:
                    self.assertFalse(found)
        self.assertEqual(self._find("guardian", "library.patron"), own)
        # Who guards no longer sees no longer.
        self.child.guardian_id = False
        self.assertNotIn(self.child, self._find("guardian", "library.patron"))

    def test_patron_reads_by_program_no_more_than_the_page_shows(self):
        """Of oneself and the children: nothing that staff keep for themselves."""
        record = self._as("guardian", "library.patron").browse(self.child.id)
        for name in (
            *("birth_date", "ils_ref", "activity_ids", "activity_summary"),
            *("last_use_date", "lifecycle", "segment_ids", "is_minor", "request_ids"),
            "consent_ids",
        ):
            with self.subTest(name), self.assertRaises(AccessError):
                record.read([name])
        household = self.env["library.household"].create(
            {"name": "Matrix", "company_id": self.library.id}
        )
        other = self.env["library.patron"].search(
            [("company_id", "=", self.library.id), ("id", "!=", self.child.id)],
            order="id desc",
            limit=1,
        )
        (self.child + other).household_id = household
        with self.assertRaises(AccessError):
            record.web_read({"household_member_ids": {"fields": {"display_name": {}}}})


@tagged("post_install", "-at_install")
class TestDoors(MatrixCase, HttpCase):
    """The same through the doors of a running server."""

    def _call(self, model, method, *args, **kwargs):
        response = self.url_open(
            f"/web/dataset/call_kw/{model}/{method}",
            data=json.dumps(
                {
                    "params": {
                        "model": model,
                        "method": method,
                        "args": args,
                        "kwargs": kwargs,
                    }
                }
            ),
            headers={"Content-Type": "application/json"},
        )
        return response.json()

    def _make_key(self, role):
        user = self.roles[role]
        return (
            self.env["res.users.apikeys"]
            .with_user(user)
            .sudo()
            ._generate(None, "matrix", Datetime.add(Datetime.now(), days=1))
        )

    def test_what_is_hidden_is_hidden_from_programs(self):
        patron = self.child
        secrets = (patron.complete_name, patron.card_number)
        for role in ("employee", "stranger", "far_manager", "far_desk"):
            login = self.roles[role].login
            self.authenticate(login, login)
            key = self._make_key(role)
            answers = {
                "rpc": json.dumps(self._call("library.patron", "search_read", [])),
                "rpc read": json.dumps(
                    self._call("library.patron", "read", [patron.id], ["card_number"])
                ),
                "rpc names": json.dumps(
                    self._call("library.patron", "name_search", patron.card_number)
                ),
                "json2": self.url_open(
                    "/json/2/library.patron/search_read",
                    data=json.dumps({"domain": [], "fields": ["complete_name"]}),
                    headers={
                        "Content-Type": "application/json",
                        "Authorization": f"bearer {key}",
                    },
                ).text,
                "export": self._export("library.patron", ["complete_name"]),
                "report": self.url_open(
                    "/report/html/library_crm_loyalty.library_loyalty_voucher/"
                    f"{patron.id}"
                ).text,
                "picture": self.url_open(
                    f"/web/image/library.patron/{patron.id}/image_128"
                ).text,
            }
            for door, answer in answers.items():
                for secret in secrets:
                    with self.subTest(role, door=door):
                        self.assertNotIn(secret, answer)

    def _export(self, model, names):
        page = self.url_open("/odoo").text
        token = re.search(r'csrf_token: "([^"]+)"', page)
        return self.url_open(
            "/web/export/csv",
            data={
                "csrf_token": token.group(1) if token else "",
                "data": json.dumps(
                    {
                        "model": model,
                        "fields": [{"name": name, "label": name} for name in names],
                        "ids": False,
                        "domain": [],
                        "import_compat": False,
                        "groupby": [],
                    }
                ),
            },
        ).text

    def test_birth_date_and_use_are_hidden_from_programs_of_marketing(self):
        self.child.birth_date = "2015-07-09"
        login = self.roles["marketing"].login
        self.authenticate(login, login)
        for method, args, kwargs in (
            ("read", [[self.child.id], ["birth_date"]], {}),
            ("search_read", [[], ["birth_date"]], {}),
            ("search", [[("birth_date", "=", "2015-07-09")]], {}),
            ("search_count", [[("is_minor", "=", True)]], {}),
            ("web_search_read", [[], {"birth_date": {}}], {}),
            (
                "web_read",
                [[self.child.id], {"guardian_id": {"fields": {"birth_date": {}}}}],
                {},
            ),
            ("formatted_read_group", [[], ["birth_year"], ["__count"]], {}),
            ("get_use_by_month", [[self.child.id]], {}),
            ("export_data", [[self.child.id], ["birth_date"]], {}),
            ("search", [[]], {"order": "birth_date"}),
        ):
            answer = self._call("library.patron", method, *args, **kwargs)
            with self.subTest(method, args=args):
                self.assertIn("error", answer)
                self.assertNotIn("2015-07-09", json.dumps(answer.get("result", "")))
        key = self._make_key("marketing")
        for method, body in (
            (
                "search_read",
                {"domain": [["birth_date", "!=", False]], "fields": ["id"]},
            ),
            ("read", {"ids": self.child.ids, "fields": ["birth_date"]}),
        ):
            response = self.url_open(
                f"/json/2/library.patron/{method}",
                data=json.dumps(body),
                headers={
                    "Content-Type": "application/json",
                    "Authorization": f"bearer {key}",
                },
            )
            with self.subTest(method):
                self.assertEqual(response.status_code, 403)
