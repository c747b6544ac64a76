from contextlib import contextmanager
from tempfile import TemporaryFile

from dateutil.relativedelta import relativedelta

from odoo import fields

from ..connectors.counter_api import CounterService
from ..connectors.http import ConnectorError, Patience
from .fetcher import Fetcher, Parcel

# A job must not wait long for a report that is being made: it asks again later.
_QUEUE = Patience(tries=4, first=5, longest=20, total=60)
#: Months that are asked for again: platforms are late, and correct themselves.
AGAIN = 3


class CounterFetcher(Fetcher):
    """A report of the COUNTER API, for the months from the first one wanted to the last
    that has ended. The cursor is the last month that was loaded."""

    def _open(self):
        source = self.source.sudo()
        return CounterService(
            source.address,
            source.customer_id or "",
            requestor_id=source.login or "",
            api_key=source.secret or "",
            platform=source.platform or "",
            queue=_QUEUE,
        )

    def test(self):
        with self.described():
            service = self._open()
            try:
                found = service.test_connection()
            finally:
                service.close()
            if found["error"]:
                raise found["error"]
        texts = [self.env._("The platform answers.")]
        if found["active"] is False:
            texts.append(self.env._("It says that it delivers no reports just now."))
        if self.source.counter_report not in found["reports"]:
            texts.append(
                self.env._(
                    "It does not offer the report %(report)s, but these: %(reports)s.",
                    report=self.source.counter_report.upper(),
                    reports=", ".join(found["reports"]).upper() or "—",
                )
            )
        texts += found["alerts"]
        return texts

    def _get_months(self):
        """The first and the last month to ask for; None if there is none yet."""
        today = fields.Date.context_today(self.source)
        last = today.replace(day=1) - relativedelta(months=1)
        first = self.source.counter_since.replace(day=1)
        if self.source.cursor:
            loaded = fields.Date.to_date(f"{self.source.cursor}-01")
            first = max(first, loaded - relativedelta(months=AGAIN - 1))
        return (first, last) if first <= last else None

    @contextmanager
    def fetch(self, sample=False):
        months = self._get_months()
        if not months:
            yield None
            return
        first, last = months
        if sample:
            first = last
        report = self.source.counter_report
        with TemporaryFile() as file:
            with self.described():
                service = self._open()
                try:
                    service.fetch_report(report, first, last, file)
                except ConnectorError as error:
                    # Neither is a fault: there may be something next month.
                    if error.reason not in ("no_usage", "not_ready") or sample:
                        raise
                    file = None
                finally:
                    service.close()
            if not file:
                yield None
                return
            yield Parcel(
                f"{report.upper()} {first:%Y-%m}–{last:%Y-%m}",
                file,
                cursor=f"{last:%Y-%m}",
            )
