import csv
import io
import json
import os
import re
import shutil
from datetime import timedelta
from pathlib import Path

from lxml import html
from openpyxl import Workbook

from odoo import fields
from odoo.fields import Command
from odoo.tests import HttpCase, tagged
from odoo.tools import SQL, config

from ..formats.headers import get_forbidden
from . import servers
from .test_counter_load import make_report
from .test_data_source import DataSourceCase

#: What must never be kept, each in words that stand nowhere else.
MARKS = {
    "title": "Zweite Reihe rechts Xq1",
    "author": "Xqauthor Nimmermehr",
    "isbn": "9790000123457",
    "item": "XQITEM7700991",
    "call number": "XQ 823.912 NIM",
    "search": "xqsearch bankruptcy help",
    "password": "xq-pin-4711",
    "note": "Xqnote shouted at the desk",
}
#: The same in one column each, as library systems call them.
COLUMNS = {
    "title": MARKS["title"],
    "author": MARKS["author"],
    "isbn": MARKS["isbn"],
    "itemnumber": MARKS["item"],
    "itemcallnumber": MARKS["call number"],
    "search_term": MARKS["search"],
    "password": MARKS["password"],
    "borrowernotes": MARKS["note"],
}


@tagged("post_install", "-at_install")
class TestNothingForbidden(DataSourceCase, HttpCase):
    """What somebody reads comes in through every door, and is found nowhere: in no
    table, no file and no line of the log."""

    def _add_columns(self, text, delimiter=","):
        """The same file with a forbidden column each, in every row."""
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        for number, row in enumerate(rows):
            writer.writerow([*row, *(COLUMNS.values() if number else COLUMNS)])
        return out.getvalue()

    def assertFoundNowhere(self, log):
        self.env.flush_all()
        wanted = "|".join(map(re.escape, MARKS.values()))
        tables = self.env.execute_query(
            SQL(
                "SELECT c.relname FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname = current_schema()"
            )
        )
        self.assertGreater(len(tables), 400, "Every table is looked at")
        for (table,) in tables:
            found = self.env.execute_query(
                SQL(
                    "SELECT left(row::text, 300) FROM %s AS row "
                    "WHERE row::text ~* %s LIMIT 1",
                    SQL.identifier(table),
                    wanted,
                )
            )
            self.assertFalse(found, f"In the table {table}")
        seen = re.compile(wanted.encode(), re.IGNORECASE)
        for attachment in self.env["ir.attachment"].search(
            [("id", "!=", 0), ("create_date", ">", self.began)]
        ):
            self.assertIsNone(seen.search(attachment.raw or b""), attachment.name)
        data = Path(config["data_dir"])
        for folder in (
            *(Path(config.filestore(self.env.cr.dbname)), data / "sessions"),
            *self.folders,
        ):
            for path in folder.rglob("*"):
                if path.is_file() and path.stat().st_mtime > self.began.timestamp():
                    self.assertIsNone(seen.search(path.read_bytes()), str(path))
        for line in log:
            self.assertIsNone(seen.search(line.encode()), line)

    def setUp(self):
        super().setUp()
        self.folders = []
        self.began = fields.Datetime.now() - timedelta(seconds=5)

    def _load_everything(self):
        """Through every format of file, good rows and refused ones, run and dry run;
        gives what was taken, by format."""
        taken = {}
        patrons = "cardnumber,surname,firstname,branchcode,categorycode\n" + "".join(
            f"xq{number},Idris,Amal,{branch},TADULT\n"
            for number, branch in enumerate(("TMAIN", "NOWHERE"))
        )
        statistics = "datetime,branch,type,borrowernumber\n" + "".join(
            f"2026-01-0{number} 10:00:00,{branch},issue,\n"
            for number, branch in ((1, "TMAIN"), (2, "NOWHERE"))
        )
        use = "when,op,card\n2026-01-05,o,0042\n2026-01-06,x,0042\n"
        for name, text in (("koha_patrons", patrons), ("koha_statistics", statistics)):
            source = self.make_source(name, count_unknown_patrons=True)
            taken[name] = self.upload(source, self._add_columns(text))
            dry = self.upload(source, self._add_columns(text), run=False)
            dry.action_dry_run()
        mapped = self.make_source(
            "mapped_patrons",
            column_ids=[
                Command.create({"name": name, "field": field})
                for name, field in (
                    *(("cardnumber", "card_number"), ("surname", "name")),
                    *(("branchcode", "branch_code"), ("categorycode", "category_code")),
                )
            ],
        )
        tabs = patrons.replace(",", "\t").replace("xq", "xqtab")
        book = Workbook()
        for row in csv.reader(io.StringIO(self._add_columns(patrons))):
            book.active.append([cell.replace("xq0", "xqbook0") for cell in row])
        workbook = io.BytesIO()
        book.save(workbook)
        taken["csv"] = self.upload(
            mapped, self._add_columns(patrons.replace("xq", "xqcsv"))
        )
        taken["tsv"] = self.upload(mapped, self._add_columns(tabs, "\t"))
        taken["xlsx"] = self.upload(mapped, workbook.getvalue())
        usage = self.make_source(
            "mapped_usage",
            branch_id=self.main.id,
            column_ids=[
                Command.create({"name": name, "field": field})
                for name, field in (
                    *(
                        ("when", "date"),
                        ("op", "service_code"),
                        ("card", "card_number"),
                    ),
                )
            ],
            value_ids=[
                Command.create(
                    {
                        "field": "service_code",
                        "found": "o",
                        "service_id": self.loan.id,
                    }
                )
            ],
        )
        taken["usage"] = self.upload(usage, self._add_columns(use))
        return taken

    def _load_counter(self):
        report = json.loads(make_report("TR", ("Reeds", "", "Total_Item_Requests", {})))
        item = report["Report_Items"][0]
        item["Attribute_Performance"][0]["Performance"] = {
            "Total_Item_Requests": {"2026-01": 5}
        }
        item["Items"] = [
            {
                "Title": MARKS["title"],
                "Platform": "Reeds",
                "Authors": [{"Name": MARKS["author"]}],
                "Item_ID": {"ISBN": MARKS["isbn"], "Proprietary": MARKS["item"]},
                "Attribute_Performance": item.pop("Attribute_Performance"),
            }
        ]
        item["Title"] = MARKS["title"]
        item["Item_ID"] = {"ISBN": MARKS["isbn"]}
        source = self.make_source("counter", branch_id=self.main.id)
        return self.upload(source, json.dumps(report))

    def _send_from_tools(self):
        key = (
            self.env["res.users.apikeys"]
            .with_user(self.manager)
            .sudo()
            ._generate(None, "xq", fields.Datetime.now() + timedelta(days=1))
        )
        source = self.make_source("webhook", branch_id=self.main.id)
        use = {"key": "a", "date": "2026-01-05", "service": "visit", **COLUMNS}
        for uses in ([use], [{**use, "key": "b", "date": "never"}], [COLUMNS], COLUMNS):
            self.url_open(
                f"/library_crm/v1/sources/{source.id}/uses",
                data=json.dumps({"uses": uses, **COLUMNS}).encode(),
                headers={
                    "Content-Type": "application/json",
                    "Authorization": f"Bearer {key}",
                },
            )
        return source.load_ids

    def _fetch(self):
        with servers.KohaServer(
            servers.make_patron(
                number,
                library_id="TMAIN",
                category_id="TADULT",
                staff_notes=MARKS["note"],
                opac_notes=MARKS["note"],
                userid=MARKS["password"],
                extended_attributes=[{"type": "T", "value": MARKS["title"]}],
            )
            for number in range(1, 3)
        ) as koha:
            source = self.make_source(
                "koha_api",
                address=koha.address,
                koha_auth="oauth2",
                login=koha.client_id,
                new_secret=koha.client_secret,
                pull="day",
            )
            return self.pull(source)

    def _put_into_folder(self):
        source = self.make_source("koha_patrons", pull="day")
        folder = Path(source.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.folders.append(folder)
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        text = "cardnumber,surname,firstname,branchcode,categorycode\n"
        path = folder / "patrons.csv"
        path.write_text(self._add_columns(f"{text}xqfolder,Idris,Amal,TMAIN,TADULT\n"))
        past = self.began.timestamp() - 3600
        os.utime(path, (past, past))
        return self.pull(source)

    def _fill_in_forms(self):
        """What is added to a form of a public page or of the portal."""
        self.env["library.join.form"].create(
            {"company_id": self.library.id, "is_open": True}
        )
        path = f"/library/join?library={self.library.id}"
        token = html.fromstring(self.url_open(path).text).xpath(
            "//input[@name='csrf_token']/@value"
        )[0]
        self.url_open(
            "/library/join",
            data={
                "csrf_token": token,
                "library": self.library.id,
                "step": "send",
                "who": "self",
                "birth_date": "1990-01-01",
                "zip": "01002",
                "name": "Rana Haddad",
                "email": "rana@test.example.com",
                "branch": self.main.id,
                **COLUMNS,
            },
        )
        self.portal.write({"login": "amal_portal", "password": "amal_portal"})
        self.authenticate("amal_portal", "amal_portal")
        page = self.url_open("/my/account").text
        token = re.search(r'csrf_token: "([^"]+)"', page).group(1)
        for action in ("renew", "interests", "consent"):
            self.url_open(
                f"/my/library/{self.amal.id}/{action}",
                data={"csrf_token": token, **COLUMNS},
            )

    def test_what_somebody_reads_comes_in_everywhere_and_is_found_nowhere(self):
        with self.assertLogs("odoo", level="INFO") as log:
            taken = self._load_everything()
            counter = self._load_counter()
            fetched = self._fetch()
            put = self._put_into_folder()
            sent = self._send_from_tools()
            self._fill_in_forms()
        for name, load in taken.items():
            with self.subTest(name):
                self.assertEqual(load.state, "done", load.message)
                self.assertEqual(load.rows_new, 1, "It was not refused as a whole")
                self.assertTrue(load.forbidden_columns)
        self.assertEqual(counter.state, "done", counter.message)
        self.assertEqual((fetched.rows_new, put.rows_new), (2, 1))
        self.assertEqual(sum(sent.mapped("rows_new")), 1)
        self.assertFoundNowhere(log.output)

    def test_a_mark_that_was_kept_would_be_found(self):
        self.env["res.partner"].create({"name": MARKS["title"]})
        with self.assertRaisesRegex(AssertionError, "res_partner"):
            self.assertFoundNowhere([])
        self.env["res.partner"].search([("name", "=", MARKS["title"])]).unlink()
        with self.assertRaises(AssertionError):
            self.assertFoundNowhere([f"odd value {MARKS['isbn']}"])

    def test_columns_of_the_marks_are_forbidden_by_name(self):
        for name in COLUMNS:
            with self.subTest(name):
                self.assertTrue(get_forbidden(name, "usage"))
