import hashlib
import os
import stat
import time
from contextlib import contextmanager
from pathlib import Path

from odoo.tools import config

from .fetcher import Fetcher, FetchError, Parcel

#: Seconds without a change after which a file counts as complete.
QUIET = 60
# Names that programs give to a file that they are still writing.
_UNFINISHED = (".part", ".tmp", ".filepart", ".crdownload", ".swp", "~")


class FolderFetcher(Fetcher):
    """Files that somebody or something puts into the folder of the source, the oldest
    first.

    The folder lies within the data directory of the server, so that no setting leads to
    another file of the machine; an administrator may mount any place there. A file that
    was taken is deleted: what may be kept of it is in its load.
    """

    @property
    def folder(self):
        """:rtype: Path"""
        root = Path(config["data_dir"]) / "library_crm" / self.env.cr.dbname
        return root / f"source_{self.source.id}"

    def make(self):
        """Make the folder.

        :raise FetchError: if that is not possible
        """
        try:
            self.folder.mkdir(mode=0o770, parents=True, exist_ok=True)
        except OSError as error:
            raise self._get_error(error) from error

    def _get_error(self, error):
        return FetchError(
            self.env._(
                "The folder %(folder)s can not be used: %(reason)s.",
                folder=str(self.folder),
                reason=error.strerror or type(error).__name__,
            )
        )

    def _list(self):
        """The files that are complete, the oldest first, and those that are not."""
        self.make()
        complete, unfinished = [], []
        try:
            for entry in os.scandir(self.folder):
                found = entry.stat(follow_symlinks=False)
                # A link might lead out of the folder.
                if not stat.S_ISREG(found.st_mode) or entry.name.startswith("."):
                    continue
                is_quiet = time.time() - found.st_mtime >= QUIET
                is_named = not entry.name.lower().endswith(_UNFINISHED)
                files = complete if is_quiet and is_named else unfinished
                files.append((found.st_mtime, entry.name))
        except OSError as error:
            raise self._get_error(error) from error
        return [name for __, name in sorted(complete)], unfinished

    def test(self):
        complete, unfinished = self._list()
        texts = [
            self.env._("Put files into %s on the server.", str(self.folder)),
            self.env._("Files that wait there: %s.", len(complete)),
        ]
        if unfinished:
            texts.append(
                self.env._("Files that are still being written: %s.", len(unfinished))
            )
        return texts

    @contextmanager
    def fetch(self, sample=False):
        names, __ = self._list()
        if not names:
            yield None
            return
        try:
            file = open(self.folder / names[0], "rb")
        except OSError as error:
            raise self._get_error(error) from error
        with file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            # The name may be in an encoding of its own.
            name = os.fsencode(names[0]).decode(errors="replace")
            yield Parcel(
                name, file, digest=digest, has_more=len(names) > 1, place=names[0]
            )

    def dispose(self, parcel):
        try:
            (self.folder / parcel.place).unlink(missing_ok=True)
        except OSError as error:
            raise self._get_error(error) from error

    def put_aside(self, parcel):
        try:
            aside = self.folder / "refused"
            aside.mkdir(exist_ok=True)
            (self.folder / parcel.place).replace(aside / parcel.place)
        except OSError as error:
            raise self._get_error(error) from error
