import base64
import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import config

from .common import LibraryCommon

ROWS = 3000


@tagged("post_install", "-at_install")
class TestFullDisk(LibraryCommon):
    """Where there is no room for a file, it is refused whole, with what to do, and
    taken when there is room."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = cls.env["library.data.source"].create(
            {
                "name": "Statistics",
                "format": "koha_statistics",
                "company_id": cls.library.id,
            }
        )
        rows = (
            f"2025-03-03 10:{n // 60 % 60:02}:{n % 60:02},TMAIN,issue,"
            for n in range(ROWS)
        )
        header = "datetime,branch,type,borrowernumber"
        cls.content = "\n".join((header, *rows)).encode()

    def _upload(self):
        return (
            self.env["library.data.load"]
            .with_user(self.manager)
            .create(
                {
                    "source_id": self.source.id,
                    "file": base64.b64encode(self.content),
                    "file_name": "use.csv",
                }
            )
        )

    @contextmanager
    def _no_room(self):
        """No file grows beyond some bytes: the same error as that of a full disk."""
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    def _stored(self):
        files = Path(config.filestore(self.env.cr.dbname)).rglob("*")
        return {
            path for path in files if path.is_file() and "checklist" not in str(path)
        }

    def assertRefused(self, work):
        before = self._stored(), self.env["library.data.load"].search_count([])
        with self._no_room(), self.assertRaises(UserError) as caught:
            work()
        for words in ("no room", "Make room", config["data_dir"], "same file again"):
            self.assertIn(words, str(caught.exception))
        self.assertEqual(
            (self._stored(), self.env["library.data.load"].search_count([])), before
        )

    def test_upload_is_refused_and_succeeds_when_there_is_room(self):
        self.assertRefused(self._upload)
        load = self._upload()
        self.patch(type(load), "_AT_ONCE_ROWS", ROWS)
        load.action_run()
        self.assertEqual((load.state, load.rows_new), ("done", ROWS))

    def test_file_on_the_server_is_refused_and_succeeds_when_there_is_room(self):
        with TemporaryDirectory() as folder:
            path = Path(folder, "use.csv")
            path.write_bytes(self.content)
            self.assertRefused(lambda: self.source.load_file(str(path)))
            self.assertEqual(self.source.load_file(str(path)).rows_new, ROWS)

    def test_half_of_an_attachment_is_not_left(self):
        content = os.urandom(60_000)
        values = {"name": "half", "raw": content}
        before = self._stored()
        with self._no_room(), self.assertRaises(OSError) as caught:
            self.env["ir.attachment"].create(values)
        self.assertEqual(caught.exception.errno, errno.EFBIG)
        self.assertEqual(self._stored(), before)
        self.assertEqual(self.env["ir.attachment"].create(values).raw, content)
