import io
import ssl
import tempfile
import traceback
from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from odoo.tests import BaseCase, common, tagged

from ..connectors.http import (
    ConnectorError,
    NoAuth,
    Patience,
    Session,
    check_address,
)
from . import servers


class ConnectorCase(BaseCase):
    """Requests to this machine go out, with the timeout that they have; no others."""

    @classmethod
    def _request_handler(cls, s, r, /, **kw):
        if r.url.startswith(("http://127.0.0.1:", "https://127.0.0.1:")):
            return common._super_send(s, r, **kw)
        return super()._request_handler(s, r, **kw)

    def setUp(self):
        super().setUp()
        self.clock = servers.FakeClock()
        # A proxy of this machine has no part in it.
        self.enterContext(patch.dict("os.environ", {"NO_PROXY": "*"}))

    def enterContext(self, context):  # unittest has it from Python 3.11 on
        entered = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return entered

    def start(self, server):
        return self.enterContext(server)

    def assertFails(self, reason, function, *arguments, **named):
        with self.assertRaises(ConnectorError) as caught:
            function(*arguments, **named)
        self.assertEqual(caught.exception.reason, reason, caught.exception)
        return caught.exception


class Secret(NoAuth):
    secrets = ("s3cret/key",)

    def __call__(self, request):
        request.headers["Authorization"] = self.secrets[0]
        return request


@tagged("post_install", "-at_install")
class TestConnectorHttp(ConnectorCase):
    """What a session makes of a server that is not well."""

    def setUp(self):
        super().setUp()
        self.server = self.start(servers.Server())
        self.server.answer = lambda handler, path, query: servers.send(
            handler, 200, {"path": path}
        )

    def get(self, path="x", address=None, params=None, **options):
        options = {"clock": self.clock, "timeout": 5.0, **options}
        session = Session(address or self.server.address, **options)
        self.addCleanup(session.close)
        return session.request(
            "GET", path, lambda a: session.read_json(session.check(a)), params=params
        )

    def test_passing_trouble_is_tried_again_and_the_answer_comes(self):
        for name, fault in {
            "server": servers.status(500),
            "gateway": servers.status(502, b"<html>"),
            "unavailable": servers.status(503),
            "late gateway": servers.status(504),
            "reset": servers.reset,
            "half a body": servers.half(),
            "broken JSON": servers.status(200, b'{"patron_id": '),
            "a page": servers.status(200, b"<html>", Content_Type="text/html"),
        }.items():
            with self.subTest(name):
                self.server.faults = [fault, fault]
                self.clock.slept.clear()
                self.assertEqual(self.get(rate=1e9), {"path": "/x"})
                pauses = [pause for pause in self.clock.slept if pause > 0.1]
                self.assertEqual(len(pauses), 2)

    def test_pauses_double_and_end_with_the_tries(self):
        self.server.faults = [servers.status(500)] * 9
        patience = Patience(tries=6, first=4, longest=30, total=1000)
        error = self.assertFails("server", self.get, patience=patience, rate=1e9)
        self.assertEqual((error.tries, error.status), (6, 500))
        self.assertEqual(len(self.server.seen), 6)
        pauses = [pause for pause in self.clock.slept if pause > 0.1]
        for pause, longest in zip(pauses, (4, 8, 16, 30, 30), strict=True):
            self.assertTrue(longest / 2 <= pause <= longest, pauses)

    def test_pauses_together_have_an_end(self):
        self.server.faults = [servers.status(500)] * 99
        patience = Patience(tries=99, first=10, longest=10, total=60)
        self.assertFails("server", self.get, patience=patience)
        self.assertLessEqual(sum(self.clock.slept), 60)
        self.assertGreater(len(self.server.seen), 5)

    def test_a_server_that_says_when_is_asked_then(self):
        later = self.clock.start + timedelta(seconds=100)
        for text, least in {
            "37": 37,
            later.strftime("%a, %d %b %Y %H:%M:%S GMT"): 100,
        }.items():
            with self.subTest(text):
                self.clock.slept.clear()
                self.server.faults = [servers.status(429, Retry_After=text)]
                self.get()
                self.assertAlmostEqual(max(self.clock.slept), least)

    def test_a_server_that_wants_too_long_a_pause_is_left_at_once(self):
        self.server.faults = [servers.status(429, Retry_After="999999999")]
        error = self.assertFails("busy", self.get)
        self.assertEqual((error.tries, error.retry_after), (1, 999_999_999))

    def test_nonsense_for_a_pause_is_ignored(self):
        for text in ("-1", "inf", "soon", "9" * 400, "Mon, 99 Foo"):
            with self.subTest(text):
                self.server.faults = [servers.status(503, Retry_After=text)]
                self.get()
                self.assertLess(max(self.clock.slept), 2)

    def test_what_somebody_has_to_mend_is_not_tried_again(self):
        for number, reason in {
            400: "refused",
            401: "unauthorized",
            403: "forbidden",
            404: "missing",
            501: "refused",
        }.items():
            with self.subTest(number):
                self.server.seen.clear()
                self.server.faults = [servers.status(number)]
                error = self.assertFails(reason, self.get)
                self.assertEqual(error.status, number)
                self.assertEqual(len(self.server.seen), 1)

    def test_a_server_that_says_nothing_is_given_up(self):
        self.server.faults = [lambda handler: self.server.closing.wait(5)] * 2
        error = self.assertFails(
            "timeout", self.get, timeout=0.2, patience=Patience(tries=2)
        )
        self.assertEqual(error.tries, 2)

    def test_a_server_that_stops_in_the_middle_is_given_up(self):
        def stop(handler):
            servers.send(handler, 200, b"[1,", {"Content-Length": "9"})
            self.server.closing.wait(5)

        self.server.faults = [stop]
        self.assertFails("timeout", self.get, timeout=0.2, patience=Patience(tries=1))

    def test_nobody_at_the_address(self):
        with servers.Server() as gone:
            pass
        error = self.assertFails("connect", self.get, address=gone.address)
        self.assertEqual(error.found, "Connection refused")
        self.assertEqual(error.tries, 5)

    def test_an_endless_body_is_cut(self):
        self.server.faults = [servers.endless()]
        self.assertFails("too_large", self.get, max_bytes=100_000)
        self.assertEqual(len(self.server.seen), 1)

    def test_a_body_that_takes_too_long_is_cut(self):
        self.server.faults = [servers.endless()]
        clock = self.clock
        clock.monotonic = lambda: clock.slept.append(1) or sum(clock.slept)
        self.assertFails(
            "timeout", self.get, max_bytes=1e12, longest=50, patience=Patience(tries=1)
        )

    def test_an_endless_error_is_not_read_to_its_end(self):
        self.server.faults = [servers.endless(400)]
        self.assertFails("refused", self.get)

    def test_an_endless_redirect_is_not_read(self):
        self.server.faults = [servers.endless(302, Location="http://example.com/")]
        self.assertFails("redirect", self.get)
        self.server.faults = [servers.endless(302, Location="/other")]
        self.assertEqual(self.get(), {"path": "/other"})

    def test_deep_json_is_refused(self):
        self.server.faults = [servers.nested(10_000)]
        error = self.assertFails("shape", self.get)
        self.assertEqual(error.found, "nested too deeply")

    def test_requests_keep_their_rate(self):
        session = Session(self.server.address, rate=4, clock=self.clock)
        self.addCleanup(session.close)
        for _time in range(9):
            session.request("GET", "x", session.check)
        self.assertAlmostEqual(sum(self.clock.slept), 2)

    def test_redirect_to_another_server_is_not_followed(self):
        other = self.start(servers.Server())
        port = self.server.address.rpartition(":")[2]
        for location in (
            other.address + "/x",
            "//example.com/x",
            f"http://localhost:{port}/x",
            f"https://127.0.0.1:{port}/x",
            f"http://127.0.0.1:{port}\\@example.com/",
            f"http://user@127.0.0.1:{port}/",
            "file:///etc/passwd",
            "http://[::1",
        ):
            for number in (301, 302, 303, 307, 308):
                with self.subTest(location, number=number):
                    self.server.seen.clear()
                    self.server.faults = [servers.status(number, Location=location)]
                    self.assertFails("redirect", self.get, auth=Secret())
                    self.assertEqual(len(self.server.seen), 1)
        self.assertFalse(other.seen)

    def test_redirect_within_the_server_is_followed(self):
        self.server.faults = [servers.status(302, Location="/other?who=me@example.com")]
        self.assertEqual(self.get(), {"path": "/other"})

    def test_redirects_in_a_circle_have_an_end(self):
        self.server.faults = [servers.status(302, Location="/x")] * 99
        self.assertFails("redirect", self.get)
        self.assertLess(len(self.server.seen), 10)

    def test_cookies_are_not_kept(self):
        self.server.faults = [
            servers.status(302, Location="/y", Set_Cookie="CGISESSID=1; Path=/")
        ]
        self.get()
        self.assertNotIn("Cookie", self.server.seen[-1][3])

    def test_a_file_holds_the_last_answer_alone(self):
        file = io.BytesIO(b"before")
        file.seek(6)
        self.server.faults = [servers.half(b"x" * 50_000), servers.status(500, b"no")]
        session = Session(self.server.address, clock=self.clock)
        self.addCleanup(session.close)
        answer = session.request("GET", "x", session.check, target=file)
        self.assertEqual(file.getvalue(), b'before{"path": "/x"}')
        self.assertEqual((answer.body, answer.size), (b"", 14))

    def test_no_secret_in_an_error_or_a_log(self):
        secret = Secret.secrets[0]
        for fault in (
            servers.reset,
            servers.half(),
            servers.endless(),
            servers.status(401, {"error": secret}),
            servers.status(302, Location=f"http://other/?api_key={secret}"),
            servers.status(200, b"{", Content_Type=secret),
        ):
            self.server.faults = [fault]
            with self.assertLogs("urllib3", "DEBUG") as log:
                with self.assertRaises(ConnectorError) as caught:
                    self.get(
                        auth=Secret(),
                        params={"api_key": secret},
                        patience=Patience(tries=1),
                        max_bytes=100_000,
                    )
            error = caught.exception
            told = "\n".join(
                (
                    *traceback.format_exception(error),
                    repr(vars(error)),
                    repr(error.__context__),
                    *log.output,
                )
            )
            for part in ("s3cret", "api_key"):
                self.assertNotIn(part, told)
        with servers.Server() as gone:
            pass
        error = self.assertFails(
            "connect", self.get, address=gone.address, params={"api_key": secret}
        )
        self.assertNotIn("s3cret", "".join(traceback.format_exception(error)))

    def test_addresses_that_are_none(self):
        for address in (
            *("", None, "koha", "ftp://host/", "file:///etc/passwd", "http://"),
            *("https://host:99999", "https://[::1", "https://ho st/", "https://h/?q=1"),
            *("https://h/#x", "https://user:s3cret@host/", "javascript://x"),
        ):
            with self.subTest(address):
                error = self.assertFails("address", check_address, address)
                self.assertNotIn("s3cret", str(error))
        self.assertEqual(
            check_address(" https://host:8443/koha/ "), "https://host:8443/koha"
        )

    def test_a_certificate_that_does_not_hold_ends_it(self):
        with tempfile.TemporaryDirectory() as folder:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(_make_certificate(Path(folder)))
        server = self.start(servers.Server(tls=context))
        error = self.assertFails("tls", self.get, address=server.address)
        self.assertIn("self", error.found)
        self.assertEqual(error.tries, 1)
        self.assertFalse(server.seen)


def _make_certificate(folder):
    """A certificate of our own, which nobody trusts, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
