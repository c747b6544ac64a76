"""What the dashboards of the library show.

``python3 -m devkit.dashboards`` writes their files, which ship with `library_crm`; a
test holds that the files are what is written here. Nothing here reads a row of use: the
figures are those of roll-ups, of snapshots and of what was sent.
"""

from devkit.common import ROOT
from devkit.sheet import Dashboard, Formula

FOLDER = ROOT / "library_crm" / "data" / "files"
#: Months of a trend, branches, price tables and rows of other tables that are shown at
#: most: a sheet has as many rows as it was given.
MONTHS = 24
BRANCHES = 20
TABLES = 4
TARGETS = 8
ROWS = 10

USE = "library.service.usage.month"
INDICATOR = "library.indicator.value"
VALUE = "library.value.report"
MEMBERSHIP = "library.membership"
SEGMENT = "library.segment.snapshot"
MAILING = "library.mailing.result"
JOURNEY = "library.journey.result"
FUNNEL = "library.acquisition.funnel"
RETENTION = "library.retention"
COUNTER = "library.counter.report"
BRANCH = "library.branch"

PERIOD = {"type": "date", "label": "Period", "defaultValue": "last_12_months"}
FILTERS = {
    "period": PERIOD,
    "branch": {
        "type": "relation",
        "label": "Branch",
        "modelName": "library.branch",
        "defaultValueDisplayNames": [],
    },
    "category": {
        "type": "relation",
        "label": "Category",
        "modelName": "library.patron.category",
        "defaultValueDisplayNames": [],
    },
}
_BRANCH = ("branch_id", "many2one")
_CATEGORY = ("patron_category_id", "many2one")
MATCHING = {
    USE: {"period": ("month", "date"), "branch": _BRANCH, "category": _CATEGORY},
    INDICATOR: {"period": ("month", "date"), "branch": _BRANCH},
    VALUE: {"period": ("month", "date"), "branch": _BRANCH},
    MEMBERSHIP: {"branch": _BRANCH, "category": _CATEGORY},
    SEGMENT: {"period": ("date", "date")},
    MAILING: {"period": ("month", "date"), "branch": _BRANCH},
    JOURNEY: {"period": ("date", "date"), "branch": _BRANCH},
    FUNNEL: {"period": ("date", "datetime"), "branch": _BRANCH, "category": _CATEGORY},
    RETENTION: {
        "period": ("cohort", "date"),
        "branch": _BRANCH,
        "category": _CATEGORY,
    },
    COUNTER: {"period": ("month", "date")},
    BRANCH: {"branch": ("id", "integer")},
}
IN_BRANCHES = ["branch_id", "!=", False]
IN_LIBRARY = ["branch_id", "=", False]
#: From the youngest, as ``library.service.usage`` names them.
AGE_BANDS = ("0_5", "6_11", "12_17", "18_24", "25_39", "40_64", "65")
#: Who was counted once in each of several branches can not be added up.
OF_PEOPLE = {"active_users", "returned_users"}


SHOWN = {
    "visits": "Visits",
    "loans": "Loans",
    "attendances": "Programme attendance",
}


class Indicators:
    """Figures of indicators: of the whole library, or of the branches that are chosen
    in the filter. The figure of a period is that of the twelve months which end with
    its last month that was counted."""

    def __init__(self, board, *codes):
        self.codes = codes
        row = board.note_down("Branch", 'ODOO.FILTER.VALUE("Branch")')
        self.chosen = f"$B${row}"
        self.library, self.branches = self._ask(board, "", 0)
        self.library_before, self.branches_before = self._ask(board, ", before", -1)

    def _ask(self, board, when, offset):
        which = ["indicator_id.code", "in", list(self.codes)]
        measures = {"value": "avg", "value_year": "avg"}
        rows = ("indicator_id.code", "month:month desc")
        return (
            board.pivot(
                *(INDICATOR, f"Indicators of the library{when}", measures),
                rows=rows,
                domain=[which, IN_LIBRARY],
                offset=offset,
                without=["branch"],
            ),
            board.pivot(
                *(INDICATOR, f"Indicators of branches{when}", measures),
                rows=rows,
                domain=[which, IN_BRANCHES],
                offset=offset,
            ),
        )

    def now(self, code, place=1, measure="value_year"):
        """The formula of a figure, to be written into *Data*: of the last month, or of
        the one that is so many months before it."""
        return self._either(
            code,
            self.library.value(measure, *self._path(code, place)),
            self.branches.value(measure, *self._path(code, place)),
        )

    def before(self, code):
        return self._either(
            code,
            self.library_before.value("value_year", *self._path(code, 1)),
            self.branches_before.value("value_year", *self._path(code, 1)),
        )

    def month(self, code, place):
        return (
            f'IF({self.chosen}="",{self.library.header(*self._path(code, place))},'
            f"{self.branches.header(*self._path(code, place))})"
        )

    def trend(self, board, *series, digits=0):
        """The months one after the other, for a chart.

        :param series: code and name of each line
        """
        [(code, _name), *_more] = series
        return board.series(
            "Month",
            [name for _code, name in series],
            [
                (
                    self.month(code, place),
                    *(self.now(code, place) for code, _name in series),
                )
                for place in range(MONTHS, 0, -1)
            ],
            digits,
        )

    def _path(self, code, place):
        return ("indicator_id.code", code, "#month:month", place)

    def _either(self, code, library, branches):
        if code in OF_PEOPLE:
            several = f'ISNUMBER(FIND(",",{self.chosen}))'
            branches = f'IF({several},"",{branches})'
        return f'IF({self.chosen}="",{library},{branches})'


class Uses:
    """Uses of services in the period and in the one before, by what they count for.

    :param rows: fields by which those of the period are also known
    """

    def __init__(self, board, indicators, rows=()):
        self.sources = [
            board.pivot(
                *(USE, f"Uses{when}", {"quantity": "sum"}),
                rows=rows if not offset else (),
                columns=["indicator"],
                domain=[["indicator", "in", list(indicators)]],
                offset=offset,
            )
            for when, offset in (("", 0), (", before", -1))
        ]

    def both(self, indicator):
        """The formulas of now and of before."""
        return [
            source.value("quantity", "indicator", indicator) for source in self.sources
        ]


def director():
    board = Dashboard(FILTERS, MATCHING)
    figures = Indicators(
        board,
        *("active_users", "market_penetration", "user_retention"),
    )
    uses = Uses(board, SHOWN, rows=["branch_id"])
    value, value_range = ask_value(board)
    targets = ask_targets(board)

    def person(code, title, **options):
        board.card(title, figures.now(code), figures.before(code), **options)

    person("active_users", "Active users", menu="report_indicators")
    person(
        *("market_penetration", "People reached (%)"),
        digits=1,
        menu="report_indicators",
        compare="difference",
    )
    person(
        *("user_retention", "Users who stayed (%)"),
        digits=1,
        menu="report_indicators",
        compare="difference",
    )
    board.text_card("Value for 100 spent", value_range, menu="report_value")
    for indicator, title in SHOWN.items():
        board.card(title, *uses.both(indicator), menu="report_use")
    board.text_card("Targets met", count_met(board, targets), menu="report_indicators")
    board.charts(
        board.cell_chart(
            *("line", "Active users in twelve months, until each month"),
            figures.trend(board, ("active_users", "Active users")),
            menu="report_indicators",
        ),
        board.cell_chart(
            *("line", "Users who stayed, of those of the year before (%)"),
            figures.trend(board, ("user_retention", "Users who stayed"), digits=1),
            menu="report_indicators",
        ),
    )
    board.charts(
        board.odoo_chart(
            *("line", "Use by month", USE, ["month:month", "indicator"], "quantity"),
            domain=[["indicator", "in", list(SHOWN)]],
            menu="report_use",
        ),
        board.odoo_chart(
            *("bar", "Use by branch", USE, ["branch_id", "indicator"], "quantity"),
            domain=[["indicator", "in", list(SHOWN)]],
            menu="report_use",
            stacked=True,
        ),
    )
    show_targets(board, targets)
    show_value(board, value)
    show_branches(board, figures.codes, uses.sources[0])
    return board


def branch():
    board = Dashboard(FILTERS, MATCHING)
    figures = Indicators(
        board,
        *("active_users", "requests_in_time", "membership_renewal", "new_users"),
    )
    uses = Uses(board, SHOWN)
    board.card(
        "Active users",
        figures.now("active_users"),
        figures.before("active_users"),
        menu="report_indicators",
    )
    for indicator, title in SHOWN.items():
        board.card(title, *uses.both(indicator), menu="report_use")
    ending = ending_soon(60)
    board.card(
        "To renew in 60 days",
        board.pivot(
            *(MEMBERSHIP, "Memberships that end", {"__count": "sum"}), domain=ending
        ).value("__count"),
        menu="memberships",
    )
    for title, code in (
        ("Requests in time (%)", "requests_in_time"),
        ("Renewed (%)", "membership_renewal"),
    ):
        board.card(
            title,
            figures.now(code),
            figures.before(code),
            digits=1,
            menu="report_indicators",
            compare="difference",
        )
    board.card(
        "New patrons",
        figures.now("new_users"),
        figures.before("new_users"),
        menu="report_indicators",
    )
    board.charts(
        board.odoo_chart(
            *("line", "Use by month", USE, ["month:month", "indicator"], "quantity"),
            domain=[["indicator", "not in", ["none", "turnaways"]]],
            menu="report_use",
        ),
        board.odoo_chart(
            *("bar", "Use by service", USE, ["service_id"], "quantity"),
            order="DESC",
            menu="report_use",
        ),
    )
    board.charts(
        board.cell_chart(
            *("bar", "Use by age, where it is known", use_by_age(board)),
            menu="report_use",
        ),
        board.odoo_chart(
            *("bar", "Use by category, where it is known", USE),
            *(["patron_category_id"], "quantity"),
            domain=[["patron_category_id", "!=", False]],
            order="DESC",
            menu="report_use",
        ),
    )
    board.charts(
        board.cell_chart(
            *("line", "Answered in time in twelve months, until each month (%)"),
            figures.trend(board, ("requests_in_time", "Answered"), digits=1),
            menu="report_indicators",
        ),
        board.odoo_chart(
            *("bar", "Memberships that end, by week", MEMBERSHIP, ["date_end:week"]),
            "__count",
            domain=ending,
            menu="memberships",
        ),
    )
    return board


def use_by_age(board):
    """From the youngest to the oldest, which Odoo's own chart would sort as texts."""
    source = board.pivot(USE, "Uses by age", {"quantity": "sum"}, rows=["age_band"])
    rows = []
    for band in AGE_BANDS:
        uses = source.value("quantity", "age_band", band)
        name = source.header("age_band", band)
        rows.append((f'IF(ISNUMBER({uses}),{name},"")', uses))
    return board.series("Age", ["Uses"], rows)


def ending_soon(days):
    """Memberships that are to be renewed within so many days."""
    return [
        ["state", "in", ["active", "grace"]],
        ["date_end", ">=", "today"],
        ["date_end", "<=", f"today +{days}d"],
    ]


def marketing():
    board = Dashboard(FILTERS, MATCHING)
    figures = Indicators(board, "reached_with_consent", "new_users", "returned_users")
    rates = {"opened_rate": "avg", "clicked_rate": "avg", "used_rate": "avg"}
    measures = {"sent": "sum", "unsubscribed_rate": "avg", **rates}
    mails, mails_before = (
        board.pivot(MAILING, f"Mailings{when}", measures, offset=offset)
        for when, offset in (("", 0), (", before", -1))
    )

    def indicator(code, title, **options):
        board.card(
            title,
            figures.now(code),
            figures.before(code),
            menu="report_indicators",
            **options,
        )

    def mail(measure, title, digits=1, compare="difference"):
        board.card(
            title,
            mails.value(measure),
            mails_before.value(measure),
            digits=digits,
            compare=compare,
            menu="report_mailings",
        )

    indicator(
        *("reached_with_consent", "Agreed to news (%)"),
        digits=1,
        compare="difference",
    )
    mail("used_rate", "Used after a mail (%)")
    indicator("new_users", "New patrons")
    indicator("returned_users", "Users who came back")
    mail("sent", "Mails sent", digits=0, compare="percentage")
    mail("opened_rate", "Opened (%)")
    mail("clicked_rate", "Clicked (%)")
    mail("unsubscribed_rate", "Opted out (%)")
    by_month = board.pivot(MAILING, "Mailings by month", rates, rows=["month:month"])
    board.charts(
        board.odoo_chart(
            *("bar", "From the first word to the first use", FUNNEL, ["step"]),
            "people",
            menu="report_funnel",
        ),
        board.cell_chart(
            *("line", "What came of mailings, by month (%)"),
            board.series(
                "Month",
                ["Opened", "Clicked", "Used the library after"],
                [
                    (
                        by_month.header("#month:month", place),
                        *(
                            by_month.value(rate, "#month:month", place)
                            for rate in rates
                        ),
                    )
                    for place in range(1, MONTHS + 1)
                ],
                digits=1,
            ),
            menu="report_mailings",
        ),
    )
    board.charts(
        board.odoo_chart(
            *("bar", "Segments by size", SEGMENT, ["segment_id"], "patron_count"),
            order="DESC",
            menu="report_segments",
        ),
        board.odoo_chart(
            *("bar", "Who joined and still comes, by quarter (%)", RETENTION),
            *(["period"], "share"),
            menu="report_retention",
        ),
    )
    board.charts(
        board.odoo_chart(
            *("line", "Segments by month", SEGMENT, ["date:month", "segment_id"]),
            "patron_count",
            menu="report_segments",
        )
    )
    show_mailings(
        *(board, "Mailings", MAILING, "mailing_id", "library_mailing_result_action"),
        {**measures, "delivered": "sum"},
        ("sent", "opened_rate", "clicked_rate", "unsubscribed_rate", "used_rate"),
    )
    show_mailings(
        *(board, "Journeys", JOURNEY, "journey_id", "library_journey_result_action"),
        {"sent": "sum", "held_out": "sum", **rates},
        ("sent", "opened_rate", "clicked_rate", "held_out", "used_rate"),
    )
    return board


NAMES = {
    "sent": ("Sent", 0),
    "held_out": ("Held out", 0),
    "opened_rate": ("Opened (%)", 1),
    "clicked_rate": ("Clicked (%)", 1),
    "unsubscribed_rate": ("Opted out (%)", 1),
    "used_rate": ("Used after (%)", 1),
}


def show_mailings(board, title, model, field, action, measures, shown):
    source = board.pivot(model, title, measures, rows=[field], sort="sent")
    board.table(
        title,
        (action, model, "pivot", {"pivot_row_groupby": [field]}),
        [title[:-1], *(NAMES[measure][0] for measure in shown)],
        [
            [
                source.header(f"#{field}", place),
                *(source.value(measure, f"#{field}", place) for measure in shown),
            ]
            for place in range(1, ROWS + 1)
        ],
        [NAMES[measure][1] for measure in shown],
    )


def services():
    board = Dashboard(FILTERS, MATCHING)
    costs = {
        "cost_per_use": "All services",
        "cost_per_loan": "Lending",
        "cost_per_visit": "Visits",
        "cost_per_attendance": "Programmes",
        "cost_per_euse": "E-resources",
    }
    figures = Indicators(board, *costs, "loans_per_active_user")
    totals = [
        board.pivot(
            *(USE, f"All uses{when}", {"quantity": "sum"}),
            columns=["channel"],
            domain=[["indicator", "!=", "turnaways"]],
            offset=offset,
        )
        for when, offset in (("", 0), (", before", -1))
    ]
    variety = [
        board.pivot(
            *(USE, f"Services in use{when}", {"service_id": "count_distinct"}),
            domain=[["indicator", "!=", "turnaways"]],
            offset=offset,
        )
        for when, offset in (("", 0), (", before", -1))
    ]
    value, value_range = ask_value(board)
    board.card(
        "Uses", *(source.value("quantity") for source in totals), menu="report_use"
    )
    board.card(
        "Cost per use",
        figures.now("cost_per_use"),
        figures.before("cost_per_use"),
        digits=2,
        less_is_better=True,
        menu="report_indicators",
    )
    board.text_card("Value for 100 spent", value_range, menu="report_value")
    board.card(
        "Loans per active user",
        figures.now("loans_per_active_user"),
        figures.before("loans_per_active_user"),
        digits=1,
        menu="report_indicators",
    )
    for title, channel in (
        ("On site", "onsite"),
        ("Online", "online"),
        ("Outreach", "outreach"),
    ):
        board.card(
            f"Uses, {title.lower()}",
            *(source.value("quantity", "channel", channel) for source in totals),
            menu="report_use",
        )
    board.card(
        "Services in use",
        *(source.value("service_id") for source in variety),
        compare="difference",
        menu="report_use",
    )
    no_turnaways = [["indicator", "!=", "turnaways"]]
    board.charts(
        board.odoo_chart(
            *("bar", "Uses by service", USE, ["service_id", "channel"], "quantity"),
            domain=no_turnaways,
            order="DESC",
            stacked=True,
            menu="report_use",
        )
    )
    board.charts(
        board.odoo_chart(
            *("line", "Uses by month", USE, ["month:month", "category"], "quantity"),
            domain=no_turnaways,
            menu="report_use",
        )
    )
    board.charts(
        board.odoo_chart(
            *("pie", "Uses by channel", USE, ["channel"], "quantity"),
            domain=no_turnaways,
            menu="report_use",
        ),
        board.cell_chart(
            *("line", "Loans per active user in twelve months"),
            figures.trend(board, ("loans_per_active_user", "Loans"), digits=1),
            menu="report_indicators",
        ),
    )
    board.table(
        "Cost per Use",
        indicator_link(),
        ["Kind of service", "12 months", "Before"],
        [
            [
                f'_t("{name}")',
                figures_of(figures, code),
                figures_of(figures, code, True),
            ]
            for code, name in costs.items()
        ],
        [2, 2],
    )
    show_value(board, value)
    show_value_by_kind(board)
    return board


def figures_of(figures, code, before=False):
    """A figure for the first sheet."""
    formula = figures.before(code) if before else figures.now(code)
    return formula.replace(figures.chosen, f"Data!{figures.chosen}")


def indicator_link():
    return (
        "library_indicator_value_action",
        INDICATOR,
        "list",
        {"search_default_last_month": 1, "search_default_whole_library": 1},
    )


def eresources():
    board = Dashboard(FILTERS, MATCHING)
    figures = Indicators(
        board, "cost_per_euse", "turnaways_per_hundred", "euse_per_capita"
    )
    uses = Uses(board, ["eresource_uses", "turnaways"])
    others = [
        board.pivot(
            *(USE, f"Searches and digital loans{when}", {"quantity": "sum"}),
            rows=["category"],
            domain=[
                ["category", "in", ["eresource", "digital"]],
                ["indicator", "in", ["none", "loans"]],
            ],
            offset=offset,
        )
        for when, offset in (("", 0), (", before", -1))
    ]
    board.card("Uses of e-resources", *uses.both("eresource_uses"), menu="report_use")
    board.card(
        "Cost per use",
        figures.now("cost_per_euse"),
        figures.before("cost_per_euse"),
        digits=2,
        less_is_better=True,
        menu="report_indicators",
    )
    board.card(
        "Turn-aways",
        *uses.both("turnaways"),
        menu="report_use",
        less_is_better=True,
    )
    board.card(
        "Turn-aways per 100",
        figures.now("turnaways_per_hundred"),
        figures.before("turnaways_per_hundred"),
        digits=1,
        compare="difference",
        menu="report_indicators",
        less_is_better=True,
    )
    for title, category in (
        ("Searches in databases", "eresource"),
        ("Digital loans", "digital"),
    ):
        board.card(
            title,
            *(source.value("quantity", "category", category) for source in others),
            menu="report_use",
        )
    board.card(
        "Uses per person",
        figures.now("euse_per_capita"),
        figures.before("euse_per_capita"),
        digits=2,
        menu="report_indicators",
    )
    board.charts(
        board.odoo_chart(
            *("line", "Uses by month", USE, ["month:month", "service_id"], "quantity"),
            domain=[["category", "=", "eresource"], ["indicator", "!=", "turnaways"]],
            menu="report_use",
        ),
        board.odoo_chart(
            *("bar", "Turn-aways by month", USE, ["month:month"], "quantity"),
            domain=[["indicator", "=", "turnaways"]],
            menu="report_use",
        ),
    )
    board.charts(
        board.odoo_chart(
            *(
                "bar",
                "Uses by platform, from COUNTER reports",
                COUNTER,
                ["platform"],
                "quantity",
            ),
            order="DESC",
            menu="data_counter_reports",
        ),
        board.cell_chart(
            *("line", "Cost per use in twelve months, until each month"),
            figures.trend(board, ("cost_per_euse", "Cost per use"), digits=2),
            menu="report_indicators",
        ),
    )
    return board


# ----------------------------------------------------------------
# WHAT SEVERAL OF THEM SHOW
# ----------------------------------------------------------------


def ask_value(board):
    """The value of use by each table of prices.

    :return: the source, and the formula of what comes back for 100 spent, at the lowest
        and at the highest prices
    """
    source = board.pivot(
        *(VALUE, "Value of use"),
        {"value": "sum", "cost": "sum", "value_rate": "avg"},
        rows=["table_id"],
    )
    rows = [
        board.note_down(
            f"={source.header('#table_id', place)}",
            source.value("value_rate", "#table_id", place),
            digits=0,
        )
        for place in range(1, 2 * TABLES + 1)
    ]
    rates = f"B{rows[0]}:B{rows[-1]}"
    low, high = (f'TEXT({name}({rates}),"#,##0")' for name in ("MIN", "MAX"))
    return source, f'IF(COUNT({rates})=0,"–",IF({low}={high},{low},{low}&"–"&{high}))'


def show_value(board, source):
    measures = ("value", "cost", "value_rate")
    board.table(
        "Value of Use",
        (
            "library_value_report_action",
            VALUE,
            "pivot",
            {"pivot_row_groupby": ["table_id"], "pivot_column_groupby": []},
        ),
        ["Prices", "Value", "Cost", "For 100 spent"],
        [
            [
                source.header("#table_id", place),
                *(source.value(measure, "#table_id", place) for measure in measures),
            ]
            for place in range(1, TABLES + 1)
        ],
        [0, 0, 0],
    )
    board.note("Money is in the currency of each table of prices.")


def show_value_by_kind(board):
    source = board.pivot(
        *(VALUE, "Value of use by kind", {"value": "sum"}),
        rows=["category"],
        columns=["table_id"],
        domain=[["value", "!=", False]],
    )
    tables = range(1, TABLES + 1)
    board.table(
        "Value by Kind of Service",
        (
            "library_value_report_action",
            VALUE,
            "pivot",
            {"pivot_row_groupby": ["category"], "pivot_column_groupby": ["table_id"]},
        ),
        [
            "Kind of service",
            *(Formula(source.header("#table_id", place)) for place in tables),
        ],
        [
            [
                source.header("#category", kind),
                *(
                    source.value("value", "#category", kind, "#table_id", place)
                    for place in tables
                ),
            ]
            for kind in range(1, ROWS + 2)
        ],
        [0] * len(tables),
    )


def ask_targets(board):
    """The indicators that have targets, of the library and of branches; the last month
    first."""
    columns = ["indicator_id", "month", "value_text", "target_text", "standing"]
    return [
        board.list(
            *(INDICATOR, f"Targets of {what}", [*columns, "branch_id"]),
            domain=[["indicator_id.target_ids", "!=", False], which],
            order=["-month", "indicator_id", "branch_id"],
            without=without,
        )
        for what, which, without in (
            ("the library", IN_LIBRARY, ["branch"]),
            ("branches", IN_BRANCHES, []),
        )
    ]


def count_met(board, targets):
    """Write the standing of each target of the last month into *Data*.

    :return: the formula of how many are met, out of how many
    """
    rows = [
        board.note_down(
            "Target", target_cell(targets, place, "standing", chosen="$B$2")
        )
        for place in range(1, TARGETS + 1)
    ]
    standing = f"B{rows[0]}:B{rows[-1]}"
    met, missed = (
        f'COUNTIF({standing},_t("{name}"))' for name in ("Target met", "Target missed")
    )
    return f'IF({met}+{missed}=0,"–",{met}&" / "&({met}+{missed}))'


def target_cell(targets, place, field, chosen="Data!$B$2"):
    library, branches = (
        f'IF({target(place, "month")}={target(1, "month")},{target(place, field)},"")'
        for target in targets
    )
    if field == "branch_id":
        month = targets[0](place, "month")
        is_there = f'AND({month}<>"",{month}={targets[0](1, "month")})'
        library = f'IF({is_there},_t("Whole library"),"")'
    return f'IF({chosen}="",{library},{branches})'


def show_targets(board, targets):
    columns = {
        "indicator_id": "Indicator",
        "value_text": "12 months",
        "target_text": "Target",
        "standing": "Standing",
        "branch_id": "Branch",
    }
    board.table(
        "Targets",
        indicator_link(),
        columns.values(),
        [
            [target_cell(targets, place, field) for field in columns]
            for place in range(1, TARGETS + 1)
        ],
        [None] * len(columns),
    )


def show_branches(board, codes, uses):
    """Branches beside each other.

    :param codes: of indicators, of which each month has the figure of twelve
    :param uses: what was used, by branch
    """
    of_list = board.list(BRANCH, "Branches", ["name"], order=["name"])
    figures = board.pivot(
        *(INDICATOR, "Indicators by branch", {"value_year": "avg"}),
        rows=["branch_id"],
        columns=["indicator_id.code"],
        domain=[["indicator_id.code", "in", list(codes)], IN_BRANCHES],
    )

    def row(place):
        number = of_list(place, "id")
        cells = [
            *(
                uses.value("quantity", "branch_id", number, "indicator", indicator)
                for indicator in SHOWN
            ),
            *(
                figures.value(
                    *("value_year", "branch_id", number, "indicator_id.code", code)
                )
                for code in codes
            ),
        ]
        return [
            of_list(place, "name"),
            *(f'IF({number}="","",{cell})' for cell in cells),
        ]

    board.table(
        "Branches",
        (
            "library_service_usage_month_action",
            USE,
            "pivot",
            {"pivot_row_groupby": ["branch_id"], "pivot_column_groupby": ["indicator"]},
        ),
        [
            *("Branch", "Visits", "Loans", "Attendance", "Active users"),
            *("Reached (%)", "Stayed (%)"),
        ],
        [row(place) for place in range(1, BRANCHES + 1)],
        [0, 0, 0, 0, 1, 1],
    )
    board.note(
        "Active users, reached and stayed: of twelve months, on average of the months "
        "of the period."
    )


DASHBOARDS = {
    "director": director,
    "branch": branch,
    "marketing": marketing,
    "services": services,
    "eresources": eresources,
}


def paths():
    """The files with what belongs into them."""
    return {
        FOLDER / f"library_{name}_dashboard.json": make().dump()
        for name, make in DASHBOARDS.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in paths().items():
        path.write_text(text)
