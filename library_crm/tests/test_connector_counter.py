import io
import json
from datetime import date

from odoo.tests import tagged

from ..connectors.counter_api import REPORTS, CounterService
from ..connectors.http import Patience
from . import servers
from .test_connector_http import ConnectorCase

REPORT = {
    "Report_Header": {
        "Release": "5.1",
        "Report_ID": "TR",
        "Report_Filters": {"Begin_Date": "2026-01-01", "End_Date": "2026-02-28"},
    },
    "Report_Items": [],
}


def exception(code, number=200, message="What is wrong", data="", **headers):
    body = {"Code": code, "Message": message, "Data": data}
    return servers.status(number, body, **headers)


@tagged("post_install", "-at_install")
class TestConnectorCounter(ConnectorCase):
    """Reports from a COUNTER server that takes its time."""

    def setUp(self):
        super().setUp()
        self.server = self.start(servers.Server())
        self.file = io.BytesIO()

    def open(self, **options):
        options = {"clock": self.clock, "timeout": 5.0, **options}
        service = CounterService(
            self.server.address, "cust-1", "req-secret", "key-secret", **options
        )
        self.addCleanup(service.close)
        return service

    def fetch(self, *faults, report="tr", **options):
        self.server.faults = list(faults)
        return self.open(**options).fetch_report(
            report, date(2026, 1, 1), date(2026, 2, 28), self.file
        )

    def test_report_is_written_to_the_file(self):
        fetched = self.fetch(servers.status(200, REPORT))
        self.assertEqual(json.loads(self.file.read()), REPORT)
        self.assertEqual((fetched.size, fetched.notices), (self.file.tell(), []))
        [(method, path, query, _headers)] = self.server.seen
        self.assertEqual((method, path), ("GET", "/r51/reports/tr"))
        self.assertEqual(
            query,
            {
                "customer_id": "cust-1",
                "requestor_id": "req-secret",
                "api_key": "key-secret",
                "begin_date": "2026-01",
                "end_date": "2026-02",
            },
        )

    def test_large_report_is_written_whole_and_its_header_read(self):
        notice = {"Code": 3031, "Message": "Usage Not Ready", "Data": "2026-02"}
        header = {**REPORT["Report_Header"], "Exceptions": [notice, "x", {"Code": 1}]}
        report = {"Report_Header": header, "Report_Items": ["x" * 100] * 9000}
        fetched = self.fetch(servers.status(200, report))
        self.assertEqual(json.loads(self.file.read()), report)
        self.assertEqual(fetched.notices, [(3031, "Usage Not Ready", "2026-02")])

    def test_report_that_is_being_made_is_waited_for(self):
        fetched = self.fetch(
            exception(1011, 202),
            servers.status(202),
            exception(1011, 202, Retry_After="77"),
            servers.status(200, REPORT),
        )
        self.assertTrue(fetched.size)
        pauses = [pause for pause in self.clock.slept if pause > 4]
        self.assertEqual(len(pauses), 3)
        self.assertEqual(pauses[2], 77)

    def test_report_that_is_never_made_is_left_for_later(self):
        error = self.assertFails(
            "queued",
            self.fetch,
            *[exception(1011, 202)] * 99,
            queue=Patience(tries=99, first=10, longest=60, total=600),
        )
        self.assertEqual(error.code, "1011")
        self.assertLess(sum(self.clock.slept), 700)
        self.assertEqual(self.file.getvalue(), b"")

    def test_busy_server_is_asked_again(self):
        for code, number in ((1000, 503), (1010, 503), (1020, 429), (1010, 200)):
            with self.subTest(code, number=number):
                self.file = io.BytesIO()
                self.fetch(exception(code, number), servers.status(200, REPORT))
                self.assertEqual(json.loads(self.file.read()), REPORT)

    def test_exceptions_without_a_report_are_errors(self):
        for code, number, reason in (
            (1030, 400, "incomplete"),
            (2000, 401, "unauthorized"),
            (2010, 403, "forbidden"),
            (2011, 403, "forbidden"),
            (2020, 401, "unauthorized"),
            (3020, 400, "dates"),
            (3030, 200, "no_usage"),
            (3031, 200, "not_ready"),
            (3032, 200, "no_longer"),
            (9999, 400, "refused"),
        ):
            with self.subTest(code):
                self.server.seen.clear()
                error = self.assertFails(
                    reason, self.fetch, exception(code, number, "Bad", "2026-02")
                )
                self.assertEqual(error.code, str(code))
                # The detail is told where it names months; it might be a title.
                is_month = code in (3031, 3032)
                self.assertEqual(error.found, "Bad – 2026-02" if is_month else "Bad")
                self.assertEqual(len(self.server.seen), 1)

    def test_exceptions_in_a_list_tell_the_worst(self):
        body = [
            {"Code": 3050, "Message": "Parameter ignored"},
            {"Code": "2020", "Message": "Key invalid"},
        ]
        error = self.assertFails("unauthorized", self.fetch, servers.status(200, body))
        self.assertEqual(error.code, "2020")

    def test_no_key_in_an_error(self):
        error = self.assertFails(
            "unauthorized",
            self.fetch,
            exception(2020, 401, "key-secret of req-secret is unknown"),
        )
        self.assertEqual(error.found, "… of … is unknown")

    def test_broken_reports_are_fetched_again(self):
        whole = json.dumps(REPORT).encode()
        for fault in (
            servers.half(whole[:40]),
            servers.status(200, whole[:-1]),
            servers.status(200, b"<html>try later</html>"),
            servers.status(200, b'{"x": "' + b"x" * 300_000),
            servers.reset,
        ):
            self.file = io.BytesIO()
            self.fetch(fault, servers.status(200, REPORT))
            self.assertEqual(self.file.read(), whole)

    def test_report_that_does_not_end_is_cut(self):
        self.assertFails(
            "too_large", self.fetch, servers.endless(), max_bytes=1_000_000
        )
        self.assertLessEqual(len(self.file.getvalue()), 1_000_000)

    def test_deep_json_is_refused(self):
        self.assertFails("shape", self.fetch, servers.nested(10_000))

    def test_reports_that_are_none(self):
        for report in ("xx", "../status", "TR", ""):
            with self.assertRaises(ValueError):
                self.fetch(report=report)
        self.assertEqual(len(REPORTS), 16)
        self.assertFalse(self.server.seen)

    def test_address_may_be_with_or_without_the_path(self):
        address = self.server.address
        for end in ("", "/", "/r51", "/r51/", "/r51/reports"):
            self.server.address = address + end
            self.fetch(servers.status(200, REPORT))
            self.assertEqual(self.server.get_paths()[-1], "/r51/reports/tr")

    def test_connection_that_works(self):
        status = {
            "Service_Active": True,
            "Note": "New address in May.",
            "Alerts": [
                {"Date_Time": "2026-03-01T00:00:00Z", "Alert": "Closed Sunday."}
            ],
        }
        reports = [{"Report_ID": "TR", "Report_Name": "Title Report"}]
        self.server.faults = [
            servers.status(200, [status]),
            servers.status(200, reports),
        ]
        self.assertEqual(
            self.open(platform="plat").test_connection(),
            {
                "error": None,
                "encrypted": False,
                "active": True,
                "alerts": ["Closed Sunday.", "New address in May."],
                "reports": ["tr"],
            },
        )
        [(_, _, asked, _), (_, _, listed, _)] = self.server.seen
        # The status is public; no key goes there.
        self.assertEqual(asked, {"platform": "plat"})
        self.assertEqual(listed["api_key"], "key-secret")

    def test_connection_with_a_wrong_key(self):
        self.server.faults = [
            servers.status(200, [{"Service_Active": False}]),
            exception(2020, 401),
        ]
        found = self.open().test_connection()
        self.assertEqual(
            (found["active"], found["error"].reason), (False, "unauthorized")
        )

    def test_status_that_is_none(self):
        for body in ([1], "x", [{}], None):
            self.server.faults = [servers.status(200, body)]
            self.assertFails("shape", self.open().get_status)
