import json
from contextlib import contextmanager
from tempfile import TemporaryFile

from odoo import fields

from ..connectors import koha_rest
from ..formats.table import CleanWriter
from .fetcher import Fetcher, Parcel

#: Patrons of one load: some minutes of fetching and loading.
PART = 10_000
_SAMPLE = 20


class KohaFetcher(Fetcher):
    """The patrons of Koha's REST API: all of them, then who has changed, in parts.

    The cursor is JSON: ``since`` (the cursor of the last whole reading) and, within a
    reading, ``begun`` (where the next part begins).
    """

    def _open(self):
        source = self.source.sudo()
        auth = {
            "basic": koha_rest.BasicAuth,
            "oauth2": koha_rest.OAuth2,
        }[source.koha_auth](source.login or "", source.secret or "")
        return koha_rest.open_session(source.address, auth)

    def test(self):
        with self.described():
            session = self._open()
            try:
                found = koha_rest.test_connection(session)
            finally:
                session.close()
            if found["error"]:
                raise found["error"]
        texts = [
            self.env._("Koha %s answers.", found["version"])
            if found["version"]
            else self.env._("Koha answers.")
        ]
        if found["patrons"] is not None:
            texts.append(self.env._("Patrons: %s.", found["patrons"]))
        if found["changed_on"]:
            texts.append(
                self.env._("Last change of a patron: %s.", found["changed_on"])
            )
        if not found["encrypted"]:
            texts.append(
                self.env._(
                    "The connection is not encrypted: patrons and password can be read "
                    "on the way. Use an address that begins with https."
                )
            )
        return texts

    @contextmanager
    def fetch(self, sample=False):
        cursor = json.loads(self.source.cursor or "{}")
        since = cursor.get("since")
        columns = list(koha_rest.COLUMNS.values())
        with TemporaryFile() as file:
            with self.described():
                session = self._open()
                try:
                    reader = koha_rest.read_patrons(
                        session,
                        since=None if sample else since,
                        begun=None if sample else cursor.get("begun"),
                        limit=_SAMPLE if sample else PART,
                    )
                    writer = CleanWriter(file, columns)
                    count = 0
                    for row in reader:
                        count += 1
                        cells = [row.cells.get(column, "") for column in columns]
                        writer.add(
                            row.line,
                            cells if row.cells else [],
                            None if row.cells else row.error,
                        )
                finally:
                    session.close()
            if reader.rest:
                place = {"since": since, "begun": reader.rest}
            else:
                place = {"since": reader.cursor or since}
            file.seek(0)
            if not count and not sample and place == cursor:
                yield None
                return
            is_part = bool(cursor.get("begun") or reader.rest)
            yield Parcel(
                self.env._("Koha %s", fields.Datetime.to_string(fields.Datetime.now())),
                file,
                cursor=json.dumps(place),
                is_delta=bool(since) or is_part,
                has_more=bool(reader.rest),
                dropped=tuple(sorted(reader.forbidden)),
                remarks=tuple(self._make_remarks(reader)),
            )

    def _make_remarks(self, reader):
        if reader.hidden:
            yield self.env._(
                "Koha hides patrons of other libraries from this account: they are "
                "not read."
            )
        if reader.anonymized:
            yield self.env._(
                "Made anonymous in Koha, and left out: %s", len(reader.anonymized)
            )
