import copy
import io
import json
import traceback
from datetime import date

from odoo.tests import BaseCase, tagged
from odoo.tools.misc import file_open

from ..formats import counter, counter_report

FIXTURE = "library_crm/tests/fixtures/counter_tr."


def _fixture(suffix):
    with file_open(FIXTURE + suffix, "rb") as file:
        return file.read()


class _Endless(io.RawIOBase):
    """A file of any length that is nowhere as a whole: a start, a piece many times
    over, an end."""

    def __init__(self, start, piece, times, end):
        self._parts = (start, piece, times, end)
        self.longest = 0
        self.seek(0)

    def seek(self, place):
        start, piece, times, end = self._parts
        self._left = b""
        self._pieces = (
            part
            for parts in ([start], (piece for _ in range(times)), [end])
            for part in parts
        )
        return place

    def readable(self):
        return True

    def readinto(self, buffer):
        size = len(buffer)
        self.longest = max(self.longest, size)
        while len(self._left) < size:
            part = next(self._pieces, None)
            if part is None:
                break
            self._left += part
        data, self._left = self._left[:size], self._left[size:]
        buffer[: len(data)] = data
        return len(data)

    def readline(self, size=-1):
        while b"\n" not in self._left:
            part = next(self._pieces, None)
            if part is None:
                break
            self._left += part
        end = self._left.find(b"\n") + 1 or len(self._left)
        data, self._left = self._left[:end], self._left[end:]
        return data


@tagged("post_install", "-at_install")
class TestFormatsCounter(BaseCase):
    """What the reader makes of good and of bad COUNTER reports."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.json = json.loads(_fixture("json"))
        cls.tsv = _fixture("tsv").decode("utf-8-sig").replace("\r\n", "\n")
        cls.first_row = cls.tsv.split("\n")[15]

    def _read(self, text, encoding="utf-8"):
        return counter.read_report(io.BytesIO(text.encode(encoding)))

    def _read_json(self, change=None, **header):
        report = copy.deepcopy(self.json)
        report["Report_Header"].update(header)
        if change:
            change(report)
        return self._read(json.dumps(report))

    def _read_view(self, report_id, platform="Reedbed", **options):
        """A report of one figure, in its first month, with a metric of that view."""
        metric = options.pop("metric", "Total_Item_Requests")
        filters = {"Begin_Date": "2026-01-01", "End_Date": "2026-03-31"}
        filters.update(options.pop("filters", {}))
        month = filters["Begin_Date"][:7]
        item = {
            "Platform": platform,
            "Database": options.pop("database", "Birds"),
            "Attribute_Performance": [{"Performance": {metric: {month: 5}}}],
        }

        def change(report):
            report["Report_Items"] = [item]

        return self._read_json(change, Report_ID=report_id, Report_Filters=filters)

    def assertRefused(self, text, reason, encoding="utf-8", **expected):
        with self.assertRaises(counter.ReportError) as caught:
            self._read(text, encoding)
        error = caught.exception
        told = "".join(traceback.format_exception(error))
        self.assertEqual(error.reason, reason, told)
        for name, value in expected.items():
            self.assertEqual(getattr(error, name), value, f"{name}: {told}")
        self.assertNotIn("secret", f"{error!r} {told} {vars(error)}".lower())
        return error

    def assertJsonRefused(self, change, reason, **expected):
        report = copy.deepcopy(self.json)
        change(report)
        return self.assertRefused(json.dumps(report), reason, **expected)

    def _with_count(self, count, month="2026-02"):
        def change(report):
            performance = report["Report_Items"][2]["Attribute_Performance"][0]
            performance["Performance"]["Total_Item_Requests"][month] = count

        return change

    # Figures

    def test_figures_are_summed_over_titles_by_platform_month_and_kind(self):
        figures = {
            (f.platform, f.month.month, f.metric_type, f.access_method): f
            for f in counter.read_report(io.BytesIO(_fixture("json")))
        }
        january = figures["Reedbed", 1, "Total_Item_Requests", "Regular"]
        self.assertEqual(
            january,
            counter.Figure(
                platform="Reedbed",
                database="",
                month=date(2026, 1, 1),
                metric_type="Total_Item_Requests",
                quantity=17,
                data_type="Book",
                access_type="Controlled",
                access_method="Regular",
            ),
        )
        quantities = {key: figure.quantity for key, figure in figures.items()}
        self.assertEqual(quantities["Reedbed", 2, "Total_Item_Requests", "Regular"], 5)
        self.assertEqual(quantities["Reedbed", 2, "Total_Item_Requests", "TDM"], 90)
        self.assertEqual(quantities["Reedbed", 3, "No_License", "Regular"], 2)
        self.assertEqual(
            quantities["Weir & Lock", 3, "Unique_Item_Requests", "Regular"], 1
        )
        self.assertEqual(len(figures), 20)

    def test_both_syntaxes_give_the_same(self):
        from_json = counter.read_report(io.BytesIO(_fixture("json")))
        from_tsv = counter.read_report(io.BytesIO(_fixture("tsv")))
        self.assertEqual(from_json.figures, from_tsv.figures)
        self.assertEqual(from_json.header, from_tsv.header)
        self.assertEqual(from_tsv.disagreements, [])
        self.assertEqual(from_json.disagreements, [])

    def test_nothing_that_names_a_title_comes_out(self):
        for suffix in ("json", "tsv"):
            with self.subTest(suffix=suffix):
                file = _fixture(suffix)
                self.assertIn(b"Secret", file)
                told = repr(counter.read_report(io.BytesIO(file))).lower()
                for text in ("secret", "979-8", "9999", "10.", "doi", "2019", "2021"):
                    self.assertNotIn(text, told)

    def test_header_says_what_the_report_is(self):
        def narrow(report):
            report["Report_Header"]["Report_Filters"].update(
                {
                    "Data_Type": ["Book", "Journal"],
                    "Author": ["Secret Author"],
                    "Item_ID": "ISBN:979-8-77777-777-7",
                    "secret": "secret",
                }
            )

        header = self._read_json(narrow).header
        self.assertEqual((header.report_id, header.release), ("TR", "5.1"))
        self.assertEqual(header.institution, "Town Library")
        self.assertEqual(
            (header.begin, header.end), (date(2026, 1, 1), date(2026, 3, 31))
        )
        self.assertEqual(header.created, "2026-04-15T09:00:00Z")
        self.assertEqual(header.created_by, "Reedbed Hosting")
        self.assertEqual(header.platforms, ("Reedbed", "Weir & Lock"))
        self.assertEqual(header.filters, {"Data_Type": ("Book", "Journal")})
        self.assertEqual(header.narrowed_by, ("Author", "Item_ID", "other"))
        self.assertNotIn("ecret", repr(header))

    def test_databases_are_kept_apart_in_database_reports_only(self):
        for report_id, databases in (("DR", ("Birds",)), ("TR", ()), ("PR", ())):
            with self.subTest(report_id=report_id):
                report = self._read_view(report_id)
                self.assertEqual(report.header.databases, databases)
                [figure] = report
                self.assertEqual(figure.database, "".join(databases))
        tsv = self.tsv.replace("Title\tPublisher", "Database\tPublisher")
        self.assertEqual(self._read(tsv).header.databases, ())
        tsv = tsv.replace("Report_ID\tTR", "Report_ID\tDR")
        self.assertEqual(len(self._read(tsv).header.databases), 3)

    def test_items_within_a_parent_are_read(self):
        def nest(report):
            items = report["Report_Items"]
            report["Report_Items"] = [{"Title": "Secret", "Items": items}]

        report = self._read_json(nest, Report_ID="IR")
        self.assertEqual(report.figures, self._read_json().figures)

    def test_order_within_the_file_does_not_matter(self):
        def reverse(value):
            if isinstance(value, dict):
                return {key: reverse(value[key]) for key in reversed(value)}
            return [*map(reverse, value)] if isinstance(value, list) else value

        report = self._read(json.dumps(reverse(self.json)))
        self.assertEqual(report.figures, self._read_json().figures)

    def test_table_may_have_commas_or_semicolons_and_no_blank_row(self):
        expected = self._read(self.tsv).figures
        rows = [line.split("\t") for line in self.tsv.splitlines()]
        for mark in ",;":
            with self.subTest(mark=mark):
                text = "\n".join(
                    mark.join(f'"{cell}"' if mark in cell else cell for cell in row)
                    for row in rows
                    if any(row)
                )
                self.assertEqual(self._read(text).figures, expected)

    def test_memory_is_that_of_the_figures(self):
        item = json.dumps(self.json["Report_Items"][2]).encode()
        header = json.dumps(self.json["Report_Header"]).encode()
        rows = self.tsv.splitlines(keepends=True)
        for file in (
            _Endless(
                b'{"Report_Header": ' + header + b', "Report_Items": [',
                item + b",",
                3000,
                item + b"]}",
            ),
            _Endless(
                "".join(rows[:15]).encode(),
                rows[-2].encode(),
                3000,
                rows[-2].encode(),
            ),
        ):
            report = counter.read_report(file)
            february = next(
                f.quantity
                for f in report
                if (f.month.month, f.metric_type) == (2, "Total_Item_Requests")
            )
            self.assertEqual(february, 3 * 3001)
            self.assertLessEqual(file.longest, 64 * 1024)

    # Files that are no report

    def test_files_that_are_no_report_are_refused_with_what_was_expected(self):
        for text, reason in (
            ("", "empty"),
            ("\ufeff \n", "empty"),
            ("Title\tISBN\nSecret\t979\n", "not_counter"),
            ("<secret/>", "not_counter"),
            ("PK\3\4secret", "not_counter"),
            ("{secret}", "not_json"),
            ('{"Report_Header": {"secret": ', "not_json"),
            (json.dumps(self.json)[:-1], "not_json"),
            (json.dumps(self.json) + "secret", "not_json"),
            ("[]", "missing"),
            ('{"secret": [1, null]}', "missing"),
            ("Report_Name\tTitle Report\n", "missing"),
        ):
            with self.subTest(text=text[:40]):
                error = self.assertRefused(text, reason)
                self.assertTrue(error.expected)

    def test_other_encodings_are_named(self):
        for text in (self.tsv, json.dumps(self.json, indent=1, ensure_ascii=False)):
            self.assertRefused(text, "encoding", "utf-16", found="UTF-16")
            line = text[: text.index("Secret Otters")].count("\n") + 1
            umlaut = text.replace("Secret Otters", "Secret Ötters")
            error = self.assertRefused(umlaut, "encoding", "latin-1", found="0xD6")
            self.assertEqual((error.line, error.expected), (line, "UTF-8"))
            self.assertTrue(self._read("\ufeff" + umlaut).figures)

    def test_nesting_without_end_is_an_error_with_a_name(self):
        for start in ('{"a":', "["):
            self.assertRefused(start * 10_000, "nesting")
        deep = json.dumps(self.json).replace(
            '{"DOI"', '{"secret": ' + "[" * 10_000 + "]" * 10_000 + ', "DOI"'
        )
        self.assertRefused(deep, "nesting", place="Report_Items[0].Item_ID")

    def test_another_release_is_told(self):
        def change(report):
            report["Report_Header"]["Release"] = "5"
            # As release 5 has it.
            report["Report_Header"]["Report_Filters"] = [
                {"Name": "Begin_Date", "Value": "2026-01-01"}
            ]

        self.assertJsonRefused(
            change, "release", place="Release", found="5", expected="5.1"
        )
        tsv = self.tsv.replace("Release\t5.1", "Release\t5")
        self.assertRefused(tsv, "release", found="5", expected="5.1")

    def test_header_has_to_be_whole(self):
        for name, reason, value in (
            ("Report_ID", "missing", None),
            ("Report_ID", "report_id", "JR1"),
            ("Release", "missing", None),
            ("Report_Filters", "missing", {}),
            ("Report_Filters", "period", {"Begin_Date": "01/2026"}),
            (
                "Report_Filters",
                "period",
                {"Begin_Date": "2026-04-01", "End_Date": "2026-03-31"},
            ),
            ("Report_Attributes", "no_months", {"Granularity": "Total"}),
            ("Report_Attributes", "components", {"Include_Component_Details": "True"}),
        ):
            with self.subTest(name=name, value=value):
                self.assertJsonRefused(
                    lambda report, name=name, value=value: report[
                        "Report_Header"
                    ].update({name: value}),
                    reason,
                )
        self.assertJsonRefused(
            lambda report: report.pop("Report_Header"),
            "missing",
            place="Report_Header",
        )
        self.assertJsonRefused(
            lambda report: report.pop("Report_Items"), "missing", place="Report_Items"
        )
        tsv = self.tsv.replace("Reporting_Period\t", "Period\t")
        self.assertRefused(tsv, "missing", place="Begin_Date")

    # What the platform says of its report

    def test_answer_without_report_is_told(self):
        answer = {"Code": 2010, "Message": "Requestor is Not Authorized"}
        for text in (answer, [answer], {"Exception": answer}):
            self.assertRefused(
                json.dumps(text), "refused", found="2010: Requestor is Not Authorized"
            )
        own = {"Code": 17, "Message": "Nothing on Secret Herons"}
        self.assertRefused(json.dumps(own), "refused", found="17: ")

    def test_report_without_data_is_no_report_of_zero_use(self):
        def change(report):
            report["Report_Items"] = []
            report["Report_Header"]["Exceptions"] = [
                {"Code": 3031, "Message": "Usage Not Ready", "Data": "2026-03"}
            ]

        self.assertJsonRefused(
            change, "no_data", found="3031: Usage Not Ready (2026-03)"
        )
        nobody = [{"Code": 3030, "Message": "No Usage", "Data": "Secret"}]
        report = self._read_json(
            lambda report: report.update(Report_Items=[]), Exceptions=nobody
        )
        self.assertTrue(report.header.is_without_usage)
        self.assertEqual((report.figures, report.disagreements), ([], []))
        self.assertNotIn("Secret", repr(report))

    def test_partial_report_says_so(self):
        self.assertFalse(self._read_json().header.is_partial)
        told = (
            "3031: Usage Not Ready for Requested Dates (asked to 2026-04; there is "
            "2026-03); 3040: Partial Data Returned (Secret Herons are missing)"
        )
        header = self._read(
            self.tsv.replace("Exceptions\t", f"Exceptions\t{told}")
        ).header
        self.assertTrue(header.is_partial)
        self.assertEqual(
            header.exceptions,
            (
                (
                    3031,
                    "Usage Not Ready for Requested Dates",
                    "asked to 2026-04; there is 2026-03",
                ),
                (3040, "Partial Data Returned", ""),
            ),
        )

    # Figures that can not be read

    def test_counts_are_whole_numbers_from_zero(self):
        place = (
            "Report_Items[2].Attribute_Performance[0].Performance"
            ".Total_Item_Requests.2026-02"
        )
        for count, found in (
            (-3, "-3"),
            (2.5, "2.5"),
            (3.0, "3.0"),
            ("3", ""),
            (None, ""),
            (True, "true"),
            (10**12, ""),
            ([], ""),
            ("Secret", ""),
        ):
            with self.subTest(count=count):
                self.assertJsonRefused(
                    self._with_count(count),
                    "count",
                    place=place,
                    found=found,
                    expected="a whole number from 0",
                )
        for cell in ("-3", "2.5", "", "1.2E+05", "²", "Secret"):
            with self.subTest(cell=cell):
                row = self.first_row.removesuffix("7\t5\t0") + f"7\t{cell}\t0"
                self.assertRefused(
                    self.tsv.replace(self.first_row, row),
                    "count",
                    line=16,
                    place="Feb-2026",
                    found=cell if cell.isascii() and cell != "Secret" else "",
                )
        for huge in ("9" * 30, "9" * 5000, "1e999999999999999999999"):
            text = json.dumps(self.json).replace('"2026-01": 7', f'"2026-01": {huge}')
            self.assertRefused(text, "not_json")

    def test_months_are_of_the_period_and_there_once(self):
        self.assertJsonRefused(
            self._with_count(1, "2026-04"),
            "outside_period",
            found="2026-04",
            expected="2026-01 to 2026-03",
        )
        self.assertJsonRefused(
            self._with_count(1, "Secret"), "no_months", found="", expected="2026-01"
        )
        twice = json.dumps(self.json).replace(
            '"2026-01": 7', '"2026-01": 7, "2026-01": 7'
        )
        self.assertRefused(twice, "repeated", found="2026-01")
        twice = json.dumps(self.json).replace('"No_License"', '"Unique_Item_Requests"')
        self.assertRefused(twice, "repeated", found="Unique_Item_Requests")
        for month, reason in (
            ("Apr-2026", "outside_period"),
            ("Jan-2026", "repeated"),
        ):
            tsv = self.tsv.replace("\tMar-2026", f"\t{month}")
            self.assertRefused(tsv, reason, line=15, place=month, found=month)
        tsv = self.tsv.replace("-2026", "-26")
        self.assertRefused(tsv, "no_months", line=15, expected="Jan-2026")

    def test_words_are_those_of_counter_or_announced_by_the_platform(self):
        for name, value, other in (
            ("Data_Type", "Book", "Pamphlet_Bound"),
            ("Access_Type", "Controlled", "OA_Gold"),
            ("Access_Method", "Regular", "By_Hand"),
        ):
            tsv = self.tsv.replace(f"\t{value}\t", f"\t{other}\t")
            error = self.assertRefused(tsv, "unknown", line=16, place=name, found=other)
            self.assertIn(value, error.expected)
        tsv = self.tsv.replace("No_License", "Secret Herons")
        self.assertRefused(tsv, "unknown", place="Metric_Type", found="")
        tsv = self.tsv.replace("No_License", "reedbed:Downloads")
        self.assertRefused(tsv, "unknown", place="Metric_Type")
        tsv = tsv.replace("Metric_Types\t", "Metric_Types\treedbed:Downloads")
        self.assertIn("reedbed:Downloads", {f.metric_type for f in self._read(tsv)})

    def test_platform_has_to_be_there(self):
        def change(report):
            del report["Report_Items"][1]["Platform"]

        self.assertJsonRefused(change, "missing", place="Report_Items[1].Platform")
        tsv = self.tsv.replace("\tReedbed\t", "\t\t")
        self.assertRefused(tsv, "missing", line=16, place="Platform")
        tsv = self.tsv.replace("\tReedbed\t", f"\t{'Reed' * 63}\t")
        self.assertRefused(tsv, "too_long", line=16, place="Platform")
        tsv = self.tsv.replace("\tPublisher_ID", "\tPlatform")
        self.assertRefused(tsv, "repeated", line=15, place="Platform")

    def test_components_are_not_guessed_at(self):
        def change(report):
            report["Report_Items"][0]["Components"] = [{"Item": "Secret"}]

        self.assertJsonRefused(change, "components", place="Report_Items[0].Components")
        tsv = self.tsv.replace("\tPublisher_ID", "\tComponent_DOI")
        self.assertRefused(tsv, "components", line=15)

    def test_lists_and_objects_stand_where_they_should(self):
        for change, expected in (
            (lambda report: report.update(Report_Items={}), "list"),
            (lambda report: report.update(Report_Items=None), "list"),
            (lambda report: report.update(Report_Items=["Secret"]), "object"),
            (
                lambda report: report["Report_Items"][0].update(
                    Attribute_Performance={}
                ),
                "list",
            ),
            (
                lambda report: report["Report_Items"][0]["Attribute_Performance"][
                    0
                ].update(Performance=[]),
                "object",
            ),
        ):
            self.assertJsonRefused(change, "structure", expected=expected)

    def test_rows_have_the_width_of_the_table(self):
        row = self.first_row
        for other, found in ((row.rpartition("\t")[0], "18"), (f"{row}\t1", "20")):
            self.assertRefused(
                self.tsv.replace(row, other),
                "width",
                line=16,
                found=found,
                expected="19",
            )
        self.assertEqual(
            self._read(self.tsv.replace(row, f"{row}\t\t")).figures,
            self._read(self.tsv).figures,
        )

    def test_open_quote_swallows_no_row(self):
        # The second quote, at the same place, would make one good row of two.
        tsv = self.tsv.replace(self.first_row, f'"{self.first_row}')
        self.assertRefused(tsv, "open_quote", line=16)
        self.assertRefused(
            tsv.replace("Secret Otters", '"Secret Otters', 1), "open_quote", line=16
        )
        *rows, last = self.tsv.strip().split("\n")
        self.assertRefused("\n".join([*rows, f'"{last}']), "open_quote", line=27)
        quoted = self.tsv.replace("Secret Otters, collected", '"Secret ""Otters"""')
        self.assertEqual(self._read(quoted).figures, self._read(self.tsv).figures)

    def test_file_with_too_many_platforms_is_refused(self):
        limit, counter_report._GROUP_LIMIT = counter_report._GROUP_LIMIT, 3
        try:
            self.assertRefused(self.tsv, "too_many", expected="3")
        finally:
            counter_report._GROUP_LIMIT = limit

    # Reports that contradict themselves

    def test_total_that_is_not_the_sum_of_its_months_is_told(self):
        row = self.first_row.replace("\t12\t", "\t13\t")
        report = self._read(self.tsv.replace(self.first_row, row))
        self.assertEqual(
            report.disagreements,
            [("total", "Reporting_Period_Total", "13", "12", 16)],
        )
        self.assertEqual(report.figures, self._read(self.tsv).figures)

    def test_part_that_is_larger_than_the_whole_is_told(self):
        def change(report):
            performance = report["Report_Items"][2]["Attribute_Performance"][0]
            performance["Performance"]["Unique_Item_Requests"]["2026-03"] = 4

        [disagreement] = self._read_json(change).disagreements
        self.assertEqual(
            disagreement,
            (
                "part",
                "Weir & Lock / Journal / Open / Regular / 2026-03"
                " / Unique_Item_Requests",
                "4",
                "Total_Item_Requests 3",
                None,
            ),
        )

    def test_month_without_column_is_told(self):
        tsv = self.tsv.replace("End_Date=2026-03-31", "End_Date=2026-04-30")
        self.assertEqual(
            self._read(tsv).disagreements,
            [("missing_month", "Apr-2026", "", "Apr-2026", 15)],
        )

    def test_word_of_no_use_beside_figures_is_told(self):
        nobody = [{"Code": 3030, "Message": "No Usage"}]
        [disagreement] = self._read_json(Exceptions=nobody).disagreements
        self.assertEqual(disagreement.reason, "no_usage")
        [disagreement] = self._read_json(
            lambda report: report.update(Report_Items=[])
        ).disagreements
        self.assertEqual(
            (disagreement.reason, disagreement.expected), ("no_usage", "3030")
        )

    def test_disagreements_are_counted_all_and_kept_up_to_a_limit(self):
        row = self.first_row.replace("\t12\t", "\t13\t")
        report = self._read(self.tsv + f"{row}\n" * 1200)
        self.assertEqual(report.disagreement_count, 1200)
        self.assertEqual(len(report.disagreements), 1000)

    # What counts for a use

    def test_uses_are_requests_searches_and_turnaways_of_people(self):
        for report_id, metric, use in (
            ("PR", "Total_Item_Requests", "eresource"),
            ("PR_P1", "Searches_Platform", "search"),
            ("DR_D1", "Searches_Regular", "search"),
            ("DR_D1", "Searches_Automated", None),
            ("DR_D1", "Searches_Federated", None),
            ("DR_D2", "No_License", "turnaway"),
            ("TR_J2", "Limit_Exceeded", "turnaway"),
            ("TR_J1", "Unique_Item_Requests", None),
            ("TR", "Total_Item_Investigations", None),
            ("IR_A1", "Total_Item_Requests", "eresource"),
        ):
            with self.subTest(report_id=report_id, metric=metric):
                report = self._read_view(report_id, metric=metric)
                [figure] = report
                self.assertEqual(counter.use_of(report.header, figure), use)
        mined = figure._replace(access_method="TDM")
        self.assertIsNone(counter.use_of(report.header, mined))

    def test_reports_that_count_the_same_use_overlap(self):
        def overlap(first, second, options=None, others=None):
            headers = [
                self._read_view(report_id, **(values or {})).header
                for report_id, values in ((first, options), (second, others))
            ]
            there, back = counter.overlaps(*headers), counter.overlaps(*headers[::-1])
            self.assertEqual(there, back)
            return there

        for first, second in (
            ("PR", "PR"),
            ("PR", "PR_P1"),
            ("PR", "TR"),
            ("PR_P1", "TR_J1"),
            ("TR", "TR_B1"),
            ("TR", "IR"),
            ("TR", "TR_J2"),
            ("TR_J1", "TR_J3"),
            ("TR_J1", "IR_A1"),
            ("DR", "DR_D2"),
            ("DR_D1", "PR_P1"),
            ("DR", "TR"),
        ):
            with self.subTest(overlap=(first, second)):
                self.assertTrue(overlap(first, second))
        for first, second in (
            ("TR_J1", "TR_J2"),
            ("TR_J1", "TR_B1"),
            ("PR", "TR_J2"),
            ("IR_A1", "IR_M1"),
            ("TR_B1", "IR_A1"),
            ("DR_D2", "TR_J2"),
            ("DR_D1", "DR_D2"),
        ):
            with self.subTest(apart=(first, second)):
                self.assertFalse(overlap(first, second))
        later = {"Begin_Date": "2026-03-15", "End_Date": "2026-04-30"}
        self.assertTrue(overlap("PR", "TR", others={"filters": later}))
        later["Begin_Date"] = "2026-04-01"
        self.assertFalse(overlap("PR", "TR", others={"filters": later}))
        self.assertTrue(overlap("PR", "TR", others={"platform": "REEDBED"}))
        self.assertFalse(overlap("PR", "TR", others={"platform": "Weir"}))
        self.assertFalse(overlap("DR", "DR", others={"database": "Fish"}))
        self.assertFalse(
            overlap(
                "TR",
                "TR",
                {"filters": {"Access_Type": ["Open"]}},
                {"filters": {"Access_Type": ["Controlled"]}},
            )
        )
        self.assertFalse(
            overlap("TR", "TR_B1", {"filters": {"Data_Type": ["Journal"]}})
        )
        searches = {"filters": {"Metric_Type": ["Searches_Platform"]}}
        self.assertFalse(overlap("PR", "TR", searches))
        self.assertTrue(overlap("PR", "DR_D1", searches))
