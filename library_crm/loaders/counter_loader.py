import hashlib

from dateutil.relativedelta import relativedelta

from odoo.tools import groupby

from ..formats.counter import make_header, overlaps
from .loader import Loader

# As many contradictions of a report are told one by one.
_TOLD = 20


class CounterLoader(Loader):
    """Figures of a COUNTER report become ``library.service.usage``: one row for each
    platform or database, month and kind of use, on the first day of the month and of
    nobody.

    A month of a platform is counted from one report. The same report of the same
    source replaces what it said before; any other that counts the same uses is refused.

    All is merged at once, when all was read: a report has some hundred figures.
    """

    def __init__(self, load, file_format, dry_run):
        super().__init__(load, file_format, dry_run)
        self._rows = []
        self._details = load.details
        self._services = {
            service.code: service
            for service in self.env["library.service"].search(
                [("company_id", "in", (self.company.id, False))],
                order="company_id DESC",
            )
        }
        self._mapped = {
            value.found: value.service_id
            for value in self.source.value_ids
            if value.field == "service_code"
        }

    def begin(self):
        for reason, place, found, expected, line in self._details["disagreements"]:
            where = self.env._("line %(line)s, %(place)s", line=line, place=place)
            self.notes[
                self.env._(
                    "The report contradicts itself (%(reason)s) at %(place)s: it says "
                    "%(found)s; expected %(expected)s.",
                    reason=self._describe_disagreement(reason),
                    place=where if line else place,
                    found=found or "—",
                    expected=expected or "—",
                )
            ] = 1
        more = self._details["disagreement_count"] - len(self._details["disagreements"])
        if more:
            self.notes[self.env._("More contradictions of the report: %s", more)] = 1
        header = make_header(self._details)
        if header.narrowed_by:
            self.notes[
                self.env._(
                    "The report was narrowed by %s: it is about a part only.",
                    ", ".join(header.narrowed_by),
                )
            ] = 1
        if header.is_partial:
            self.notes[
                self.env._(
                    "The platform says that figures are missing: %s",
                    "; ".join(
                        " ".join(filter(None, (str(code), message, detail)))
                        for code, message, detail in header.exceptions
                    ),
                )
            ] = 1

    def _describe_disagreement(self, reason):
        return {
            "total": self.env._("the total is not the sum of its months"),
            "part": self.env._("a part is larger than the whole"),
            "missing_month": self.env._("a month is missing"),
            "no_usage": self.env._("whether there was use at all"),
        }[reason]

    def skip(self, rows):
        self._rows += rows

    def take(self, rows):
        self._rows += rows

    def finish(self):
        with self.provisional():
            converted = [self.convert(row) for row in self._rows]
            good = []
            for row in converted:
                if row.error:
                    self.refuse(row, self.describe(row.error))
                else:
                    good.append(row)

            def by_report(row):
                return row.values["platform"].casefold(), row.values["month"]

            for __, group in groupby(good, by_report):
                self._merge(group)
            if not self.dry_run:
                self._take_out_missing(converted)
        yield from ()

    # ------------------------------------------------------------
    # ONE PLATFORM AND MONTH
    # ------------------------------------------------------------

    def _merge(self, rows):
        platform, month = (rows[0].values[name] for name in ("platform", "month"))
        header = make_header(
            self._details,
            platforms=(platform,),
            databases=tuple(sorted({row.values["database"] for row in rows} - {""})),
            begin=month,
            end=month + relativedelta(months=1, days=-1),
        )
        Report = self.env["library.counter.report"]
        counted = Report.search(
            [("company_id", "=", self.company.id), ("month", "=", month)]
        )
        own = counted.filtered(lambda report: self._is_same(report, header))
        for other in counted - own:
            if overlaps(header, other._make_header()):
                for row in rows:
                    self.refuse(row, self._describe_overlap(other))
                return
        own = own[:1] or Report.create(
            {
                "source_id": self.source.id,
                "report": header.report_id,
                "platform": platform,
                "month": month,
                "details": self._details,
            }
        )
        self._replace(own, rows)
        own.write(
            {
                "load_id": self.load.id,
                "details": {**self._details, "databases": list(header.databases)},
                "quantity": sum(row.values["quantity"] for row in rows),
            }
        )

    def _is_same(self, report, header):
        return (
            report.source_id == self.source
            and report.report == header.report_id
            and report.platform.casefold() == header.platforms[0].casefold()
            and self._get_limits(report._make_header()) == self._get_limits(header)
        )

    def _get_limits(self, header):
        return header.narrowed_by, {
            name: sorted(values)
            for name, values in header.filters.items()
            if name != "Platform"
        }

    def _describe_overlap(self, other):
        return self.env._(
            "%(platform)s, %(month)s: the same uses are counted already from the "
            "report %(report)s of “%(origin)s”. To count this one instead, delete that "
            "one from the counted reports.",
            platform=other.platform,
            month=f"{other.month:%Y-%m}",
            report=other.report,
            origin=other.source_id.name,
        )

    def _replace(self, report, rows):
        """Let the rows of use be those of the report as it is now."""
        known = report._get_usages()
        new = []
        for row in rows:
            values = self._prepare_usage(report, row.values)
            usage = known.pop(values["external_ref"], None)
            if not values["service_id"]:
                self.refuse(
                    row,
                    self.describe_unknown(
                        "service_code", row.values["use"], self._services
                    ),
                )
            elif not usage:
                new.append(values)
            elif any(usage[name] != values[name] for name in ("quantity", "date")) or (
                usage.service_id.id != values["service_id"]
                or usage.branch_id.id != values["branch_id"]
            ):
                usage.write(values)
                self.counts["changed"] += 1
            else:
                self.counts["unchanged"] += 1
        self.env["library.service.usage"].create(new)
        self.counts["new"] += len(new)
        self._take_out(known.values())

    def _prepare_usage(self, report, values):
        """One row of use; a hook."""
        use, database = values["use"], values["database"]
        service = self._services.get(use)
        if use == "eresource":
            service = next(
                (
                    self._mapped[name]
                    for name in (database, values["platform"], False)
                    if name != "" and name in self._mapped
                ),
                service,
            )
        digest = hashlib.blake2b(f"{use}\n{database}".encode(), digest_size=12)
        return {
            "service_id": service.id if service else False,
            "branch_id": self.source.branch_id.id,
            "date": values["month"],
            "quantity": values["quantity"],
            "source_id": self.source.id,
            "external_ref": f"{report._get_prefix()}{digest.hexdigest()}",
        }

    def _take_out_missing(self, rows):
        """What the report said before and says no more was a mistake."""
        header = make_header(self._details)
        if header.is_partial:
            return
        present = {
            (row.values["platform"].casefold(), row.values["month"])
            for row in rows
            if row.values
        }
        platforms = {platform for platform, __ in present}
        for report in self.env["library.counter.report"].search(
            [
                ("source_id", "=", self.source.id),
                ("month", ">=", header.begin.replace(day=1)),
                ("month", "<=", header.end),
            ]
        ):
            platform = report.platform.casefold()
            if (
                platform in platforms
                and (platform, report.month) not in present
                and self._is_same(
                    report, make_header(self._details, platforms=(report.platform,))
                )
            ):
                self._note_taken_out(len(report._get_usages()))
                report.unlink()

    def _take_out(self, usages):
        usages = list(usages)
        self._note_taken_out(len(usages))
        for usage in usages:
            usage.unlink()

    def _note_taken_out(self, count):
        if count:
            self.notes[
                self.env._("Figures that the report no longer has: taken out.")
            ] += count
