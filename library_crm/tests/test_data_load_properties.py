import base64
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import tagged

from .common import LibraryCommon
from .properties import EachExampleAlone, examples
from .test_formats_properties import CELLS, FILES, JSON, tables

PATRONS = ("cardnumber", "surname", "branchcode", "categorycode", "dateofbirth")
USE = ("datetime", "branch", "type", "cardnumber")
COUNTED = ("Library", "People", "Visits")
SAID = ("card_number", "purpose", "state", "date", "proof", "channel")


@st.composite
def rows_of(draw, names, *good):
    """A file with these columns; a cell may be what is expected, or anything."""
    cells = [st.sampled_from(one) for one in good]
    rows = draw(st.lists(st.tuples(*cells).map(list), min_size=1, max_size=4))
    for row in draw(st.lists(st.sampled_from(rows), max_size=3)):
        row[draw(st.integers(0, len(row) - 1))] = draw(CELLS)
    return "\n".join(",".join(row) for row in [names, *rows]).encode()


PATRON_FILES = rows_of(
    [*PATRONS, "dateexpiry"],
    *(["0801", "0802"], ["Maja"], ["TMAIN"], ["TADULT"]),
    *(["1984-02-29", "\0", "12\0"], ["9999-12-31", "2024-02-29", ""]),
)
USE_FILES = rows_of(
    USE,
    *(["2024-02-29", "2024-02-29 10:00:00", "1850-01-01"], ["TMAIN"]),
    *(["issue", "payment"], ["0042", ""]),
)


@tagged("post_install", "-at_install")
class TestDataLoadProperties(EachExampleAlone, LibraryCommon):
    """Whoever loads anything is told what came of it; nothing else happens."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sources = cls.env["library.data.source"].create(
            [
                {
                    "name": name,
                    "format": name,
                    "company_id": cls.library.id,
                    "branch_id": cls.main.id,
                    "column_ids": [
                        Command.create({"name": column, "field": field})
                        for column, field in columns
                    ],
                }
                for name, columns in (
                    ("koha_patrons", ()),
                    ("koha_statistics", ()),
                    (
                        "mapped_patrons",
                        (
                            ("cardnumber", "card_number"),
                            ("surname", "name"),
                            ("branchcode", "branch_code"),
                            ("categorycode", "category_code"),
                            ("dateofbirth", "birth_date"),
                        ),
                    ),
                    (
                        "mapped_usage",
                        (
                            ("datetime", "date"),
                            ("branch", "branch_code"),
                            ("type", "service_code"),
                            ("cardnumber", "card_number"),
                        ),
                    ),
                    ("counter", ()),
                    ("webhook", ()),
                )
            ]
        )

    def _check_told(self, told):
        self.assertGreater(len(told.split()), 3, told)
        self.assertNotIn("unexpected", told)

    @given(
        st.tuples(st.integers(0, 5), FILES | tables())
        | st.tuples(st.sampled_from([0, 2]), PATRON_FILES)
        | st.tuples(st.sampled_from([1, 3]), USE_FILES)
    )
    @examples(120)
    def test_any_file_loads_or_says_what_is_wrong(self, case):
        place, content = case
        source = self.sources[place]
        Load = self.env["library.data.load"].with_user(self.manager)
        try:
            if source.format == "webhook":
                load = Load.sudo()._receive_sent(source, io.BytesIO(content))
            else:
                file = base64.b64encode(content)
                load = Load.create({"source_id": source.id, "file": file})
                load.action_run()
        except UserError as error:
            self._check_told(str(error))
            return
        self.env.flush_all()
        if load.state == "failed":
            self._check_told(load.message)
            return
        self.assertEqual(load.state, "done")
        counted = ("new", "changed", "unchanged", "ignored", "refused")
        self.assertEqual(load.rows_total, sum(load[f"rows_{name}"] for name in counted))
        self.assertEqual(load.rows_refused, len(load.refusal_ids))
        for refusal in load.refusal_ids:
            self.assertTrue(refusal.line)
            self._check_told(refusal.reason)

    @given(st.one_of(PATRON_FILES, USE_FILES), st.booleans())
    @examples(20)
    def test_same_file_again_changes_nothing(self, content, is_mapped):
        is_use = content.startswith(b"datetime")
        source = self.sources[is_use + 2 * is_mapped]
        loads = []
        for _ in range(2):
            file = base64.b64encode(content)
            load = self.env["library.data.load"].create(
                {"source_id": source.id, "file": file}
            )
            load.action_run()
            loads.append(load)
        first, second = loads
        self.assertEqual((second.rows_new, second.rows_changed), (0, 0))
        self.assertEqual(second.rows_refused, first.rows_refused)

    @given(
        FILES
        | tables()
        | rows_of(
            SAID,
            *(["0042", "0043"], ["news"], ["given", "withdrawn"]),
            *(["2024-02-29"], ["A list"], ["email", "post"]),
        )
    )
    @examples(40)
    def test_any_file_of_consents_is_taken_or_says_what_is_wrong(self, content):
        wizard = self.env["library.consent.import"].create(
            {
                "file": base64.b64encode(content),
                "company_id": self.library.id,
                "is_dry_run": False,
            }
        )
        try:
            wizard.action_import()
        except UserError as error:
            self._check_told(str(error))
            return
        self.env.flush_all()
        for told in (wizard.refusals or "").splitlines():
            self._check_told(told)

    @given(
        FILES
        | tables()
        | rows_of(
            COUNTED, ["Brook", "Hill"], ["900", "1,000"], ["7", "1.5", "-1", "k.A."]
        )
    )
    @examples(40)
    def test_any_file_of_other_libraries_is_taken_or_says_what_is_wrong(self, content):
        wizard = self.env["library.peer.import"].create(
            {
                "file": base64.b64encode(content),
                "file_name": "libraries.csv",
                "name": "Test Survey",
                "year": 2025,
            }
        )
        try:
            wizard.action_look()
            wizard.action_import()
        except UserError as error:
            self._check_told(str(error))
            return
        self.env.flush_all()
        for told in (wizard.refusals or "").splitlines():
            self._check_told(told)

    @given(st.integers(0, 5), st.booleans(), FILES | tables() | PATRON_FILES)
    @examples(40)
    def test_any_file_may_be_looked_at_before(self, place, anew, content):
        preview = self.env["library.data.preview"].new(
            {
                "source_id": self.sources[place].id,
                "file": base64.b64encode(content),
                "set_up_anew": anew,
            }
        )
        self.assertEqual(bool(preview.result), bool(content))

    @given(st.lists(JSON, max_size=3) | st.dictionaries(st.just("uses"), JSON))
    @examples(40)
    def test_any_json_is_counted_or_says_what_is_wrong(self, sent):
        source = self.sources.filtered(lambda one: one.format == "webhook")
        try:
            load = self.env["library.data.load"]._receive_sent(
                source, io.BytesIO(json.dumps(sent).encode())
            )
        except UserError as error:
            self._check_told(str(error))
            return
        self.assertEqual(load.state, "done")
        self.assertEqual(load.rows_refused, load.rows_total)
        for refusal in load.refusal_ids:
            self._check_told(refusal.reason)
