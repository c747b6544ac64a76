"""How a dashboard is put together: figures, charts and tables on a sheet as Odoo's
spreadsheet reads it. What the dashboards of the library show stands in `dashboards`.

A dashboard has two sheets. On the first one stand cards, charts and tables, from the
top down; on the second one, *Data*, the numbers behind the cards and the charts, a card
a row, so that whoever opens it as a spreadsheet can follow them.

Where Odoo draws a chart itself, a click on a point opens the rows behind it. A chart of
cells is for what Odoo can not ask for in one query: the figure of the whole library, or
that of a branch when one is chosen.
"""

import json
import re

VERSION = "18.4.14"
#: The width of the columns of the first sheet, and of all together.
COLUMNS = (280, 120, 120, 120, 120, 120, 120)
WIDTH = sum(COLUMNS)
ROW = 23
GAP = 10
CARD = {"width": (WIDTH - 3 * GAP) // 4, "height": 105}
CHART_HEIGHT = 330
TEXT = "#434343"
BETTER, WORSE = "#146C43", "#B02A37"
CARD_COLORS = ("#EFF6FF", "#FFF7ED")
STYLES = {
    "heading": {"textColor": "#01666b", "fontSize": 16, "bold": True},
    "column": {"textColor": TEXT, "bold": True},
    "column_right": {"textColor": TEXT, "bold": True, "align": "right"},
    "text": {"textColor": TEXT, "verticalAlign": "middle"},
    "number": {"textColor": TEXT, "align": "right"},
    "note": {"textColor": "#6B7280", "fontSize": 9, "italic": True},
}
FORMATS = {0: "#,##0", 1: "#,##0.0", 2: "#,##0.00"}


class Source:
    """A pivot: what is asked of a model, in one query."""

    def __init__(self, number, measures):
        self.number = number
        self.measures = measures

    def value(self, measure, *path):
        """The formula of a figure, without ``=``; ``path`` are fields and values."""
        return f"PIVOT.VALUE({self._join(self._id(measure), *path)})"

    def header(self, *path):
        return f"PIVOT.HEADER({self._join(*path)})"

    def _id(self, measure):
        return f"{measure}:{self.measures[measure]}"

    def _join(self, *parts):
        return ",".join(
            str(part) if isinstance(part, (int, Formula)) else f'"{part}"'
            for part in (self.number, *parts)
        )


class Formula(str):
    """A part of a formula that is not a text."""

    __slots__ = ()


class Dashboard:
    """A dashboard in the making.

    :param filters: global filters in their order, by id
    :param matching: the field that each filter is about, by model
    """

    def __init__(self, filters, matching):
        self.filters = filters
        self.matching = matching
        self.pivots = {}
        self.lists = {}
        self.menus = {}
        self.figures = []
        self.cells = {}
        self.styles = {}
        self.formats = {}
        self.borders = {}
        self.data_cells = {"A1": '=_t("Figure")', "B1": '=_t("Current")'}
        self.data_cells["C1"] = '=_t("Previous")'
        self.data_formats = {}
        self.data_row = 2
        self.row = 0  # of the first sheet, the next that is free
        self.cards = 0  # in the row of cards that is being filled

    # ------------------------------------------------------------
    # WHAT IS ASKED
    # ------------------------------------------------------------

    def _match(self, model, offset=0, without=()):
        return {
            name: {
                "chain": chain,
                "type": kind,
                **({"offset": offset} if kind in ("date", "datetime") else {}),
            }
            for name, (chain, kind) in self.matching[model].items()
            if name in self.filters and name not in without
        }

    def pivot(
        self,
        model,
        name,
        measures,
        rows=(),
        columns=(),
        domain=(),
        offset=0,
        without=(),
        sort=None,
    ):
        """Ask for figures.

        :param dict measures: aggregators by field
        :param rows: fields, with ``:month`` and ``:month desc`` of a date
        :param int offset: periods before the chosen one (-1: the one before)
        :param without: filters that are left out
        :param sort: the measure by which the rows stand, the largest first
        :rtype: Source
        """
        number = len(self.pivots) + 1
        self.pivots[str(number)] = {
            "type": "ODOO",
            "fieldMatching": self._match(model, offset, without),
            "context": {},
            "domain": list(domain),
            "id": str(number),
            "measures": [
                {"id": f"{field}:{how}", "fieldName": field, "aggregator": how}
                for field, how in measures.items()
            ],
            "model": model,
            "name": name,
            "sortedColumn": sort
            and {"measure": f"{sort}:{measures[sort]}", "order": "desc", "domain": []},
            "formulaId": str(number),
            "columns": [self._dimension(spec) for spec in columns],
            "rows": [self._dimension(spec) for spec in rows],
        }
        return Source(number, measures)

    @staticmethod
    def _dimension(spec):
        spec, _space, order = spec.partition(" ")
        field, _colon, granularity = spec.partition(":")
        return {
            "fieldName": field,
            **({"granularity": granularity} if granularity else {}),
            **({"order": order} if order else {}),
        }

    def list(self, model, name, columns, domain=(), order=(), without=()):
        """Ask for records.

        :param order: fields, with a minus before them: from the last one
        :return: the formula of a field of the n-th record, by number and field
        """
        number = len(self.lists) + 1
        self.lists[str(number)] = {
            "columns": list(columns),
            "domain": list(domain),
            "model": model,
            "context": {},
            "orderBy": [
                {"name": field.lstrip("-"), "asc": not field.startswith("-")}
                for field in order
            ],
            "id": str(number),
            "name": name,
            "fieldMatching": self._match(model, without=without),
        }
        return lambda place, field: Formula(f'ODOO.LIST({number},{place},"{field}")')

    # ------------------------------------------------------------
    # THE SHEET OF DATA
    # ------------------------------------------------------------

    def note_down(self, label, *formulas, digits=None):
        """Write formulas beside a label in a row of *Data*; empty ones are left out.

        :return: the number of the row
        """
        row = self.data_row
        self.data_row += 1
        self.data_cells[f"A{row}"] = label if label[:1] == "=" else f'=_t("{label}")'
        for column, formula in zip("BCDEFGHIJ", formulas, strict=False):
            if formula:
                self.data_cells[f"{column}{row}"] = f"={formula}"
                if digits is not None:
                    self.data_formats[f"{column}{row}"] = digits
        return row

    def series(self, label, names, rows, digits=0):
        """Write a table for a chart of cells into *Data*, below a line of names.

        :param label: of its first column
        :param rows: formulas of the label and of each number, in their order
        :return: the ranges of the labels and of each series, with their names
        """
        self.data_row += 1
        first = self.data_row
        self.note_down(label, *(f'_t("{name}")' for name in names))
        for name, *numbers in rows:
            self.note_down(f'=IFERROR({name},"")', *numbers, digits=digits)
        last = self.data_row - 1
        return [f"Data!{column}{first}:{column}{last}" for column in "ABCDEFGHIJ"][
            : len(names) + 1
        ]

    # ------------------------------------------------------------
    # WHAT IS SHOWN
    # ------------------------------------------------------------

    def card(
        self,
        title,
        now,
        before=None,
        digits=0,
        menu=None,
        compare="percentage",
        less_is_better=False,
    ):
        """A number with its change, four a row.

        :param now: its formula; what is no number is shown as a dash
        :param before: that of the period before
        :param compare: ``percentage`` or ``difference``
        """
        row = self.data_row
        self.note_down(
            title,
            f'IF(ISNUMBER(D{row}),ROUND(D{row},{digits}),"–")',
            before and f'IF(ISNUMBER(E{row}),ROUND(E{row},{digits}),"")',
            now,
            before,
            digits=digits,
        )
        self._place_card(title, row, before, menu, compare, less_is_better)

    def text_card(self, title, text, menu=None):
        """A card with a text, from its formula."""
        self._place_card(title, self.note_down(title, text), None, menu, "text")

    def _place_card(self, title, row, before, menu, compare, less_is_better=False):
        place = self.cards % 4
        if not place and self.cards:
            self.row += 5
        self._figure(
            {
                "baselineColorDown": BETTER if less_is_better else WORSE,
                "baselineColorUp": WORSE if less_is_better else BETTER,
                "baselineMode": compare,
                "title": {"text": title, "bold": True, "color": TEXT},
                "type": "scorecard",
                "background": CARD_COLORS[(self.cards // 4) % 2],
                **(
                    {
                        "baseline": f"Data!C{row}",
                        "baselineDescr": {"text": "than before"},
                    }
                    if before
                    else {}
                ),
                "keyValue": f"Data!B{row}",
                "humanize": False,
            },
            x=place * (CARD["width"] + GAP),
            menu=menu,
            **CARD,
        )
        self.cards += 1

    def _end_cards(self):
        if self.cards:
            self.row += 5
            self.cards = 0

    def charts(self, *charts):
        """One chart, or two side by side; each as ``odoo_chart`` or ``cell_chart``."""
        self._end_cards()
        width = (WIDTH - GAP * (len(charts) - 1)) // len(charts)
        for place, (data, menu) in enumerate(charts):
            self._figure(
                data,
                x=place * (width + GAP),
                width=width,
                height=CHART_HEIGHT,
                menu=menu,
            )
        self.row += CHART_HEIGHT // ROW + 1

    def odoo_chart(
        self,
        kind,
        title,
        model,
        group_by,
        measure,
        domain=(),
        menu=None,
        order=None,
        stacked=False,
        horizontal=False,
        action=None,
        without=(),
    ):
        """A chart that Odoo asks for: a point opens the rows behind it. A month without
        a figure is left out, and not drawn as zero."""
        group_by = list(group_by)
        return (
            {
                "title": {"text": title, "bold": True, "color": TEXT},
                "background": "#FFFFFF",
                "legendPosition": "top"
                if kind == "pie" or len(group_by) > 1
                else "none",
                "metaData": {
                    "groupBy": group_by,
                    "measure": measure,
                    "order": order,
                    "resModel": model,
                    "mode": kind,
                    "cumulatedStart": False,
                },
                "searchParams": {
                    "comparison": None,
                    "context": {"fill_temporal": False},
                    "domain": list(domain),
                    "groupBy": group_by,
                    "orderBy": [],
                },
                "type": f"odoo_{kind}",
                "dataSets": [],
                "verticalAxisPosition": "left",
                "stacked": stacked,
                **({"horizontal": True} if horizontal else {}),
                **({"actionXmlId": action} if action else {}),
                "fieldMatching": self._match(model, without=without),
            },
            menu,
        )

    def cell_chart(self, kind, title, ranges, menu=None):
        """A chart of a table in *Data*, see ``series``."""
        labels, *series = ranges
        return (
            {
                "title": {"text": title, "bold": True, "color": TEXT},
                "background": "#FFFFFF",
                "legendPosition": "top" if len(series) > 1 else "none",
                "type": kind,
                "dataSets": [{"dataRange": name, "yAxisId": "y"} for name in series],
                "dataSetsHaveTitle": True,
                "labelRange": labels,
                "labelsAsText": True,
                "stacked": False,
                "aggregated": False,
                "cumulative": False,
            },
            menu,
        )

    def _figure(self, data, x, width, height, menu):
        slug = re.sub(r"[^a-z]+", "_", data["title"]["text"].lower()).strip("_")
        name = f"library_{slug}"
        if any(figure["id"] == name for figure in self.figures):
            raise ValueError(f"Two figures of one title: {name}")
        self.figures.append(
            {
                "id": name,
                "width": width,
                "height": height,
                "tag": "chart",
                "data": data,
                "offset": {"x": x, "y": self.row * ROW + GAP},
                "col": 0,
                "row": 0,
            }
        )
        if menu:
            self.menus[name] = f"library_crm.library_crm_menu_{menu}"

    def table(self, title, link, columns, rows, digits=()):
        """A table with a heading that leads into its list.

        :param link: action, model, view and context of that list
        :param rows: formulas without ``=``, a row each
        :param digits: of the numbers from the second column on; None: a text
        """
        self._end_cards()
        self.row += 1
        self._put(0, self._link(title, link), "heading")
        last = "ABCDEFG"[len(COLUMNS) - 1]
        self.borders[f"A{self.row + 1}:{last}{self.row + 1}"] = 1
        self.row += 1
        for place, column in enumerate(columns):
            if not isinstance(column, Formula):
                column = f'_t("{column}")'
            self._put(place, f"={column}", "column_right" if place else "column")
        for row in rows:
            self.row += 1
            for place, formula in enumerate(row):
                self._put(place, f"={formula}", "number" if place else "text")
                if place and digits[place - 1] is not None:
                    self.formats["ABCDEFG"[place] + str(self.row + 1)] = digits[
                        place - 1
                    ]
        self.row += 1

    def note(self, text):
        """A word of what is meant, below what was shown last."""
        self._end_cards()
        self._put(0, f'=_t("{text}")', "note")
        self.row += 1

    def _put(self, column, content, style):
        cell = "ABCDEFG"[column] + str(self.row + 1)
        self.cells[cell] = content
        self.styles[cell] = style

    @staticmethod
    def _link(title, link):
        action, model, view, context = link
        target = {
            "viewType": view,
            "action": {
                "xmlId": f"library_crm.{action}",
                "domain": [],
                "context": context,
                "modelName": model,
                "views": [[False, view], [False, "search"]],
            },
            "threshold": 0,
            "name": title,
        }
        return f"[{title}](odoo://view/{json.dumps(target, separators=(',', ':'))})"

    # ------------------------------------------------------------
    # THE FILE
    # ------------------------------------------------------------

    def dump(self):
        """The text of the file."""
        return json.dumps(self._data(), indent=2, ensure_ascii=False) + "\n"

    def _data(self):
        self._end_cards()
        style_ids = {name: number for number, name in enumerate(STYLES, 1)}
        format_ids = {digits: number for number, digits in enumerate(FORMATS, 1)}
        return {
            "version": VERSION,
            "sheets": [
                {
                    **self._sheet("dashboard", "Dashboard", self.row + 2, COLUMNS),
                    "cells": self.cells,
                    "styles": {
                        cell: style_ids[name] for cell, name in self.styles.items()
                    },
                    "formats": {
                        cell: format_ids[digits]
                        for cell, digits in self.formats.items()
                    },
                    "borders": self.borders,
                    "figures": self.figures,
                    "areGridLinesVisible": False,
                },
                {
                    **self._sheet("data", "Data", self.data_row + 2, (200,) * 10),
                    "cells": self.data_cells,
                    "styles": {"A1:C1": style_ids["column"]},
                    "formats": {
                        cell: format_ids[digits]
                        for cell, digits in self.data_formats.items()
                    },
                    "borders": {},
                    "figures": [],
                    "areGridLinesVisible": True,
                },
            ],
            "styles": {str(style_ids[name]): STYLES[name] for name in STYLES},
            "formats": {str(format_ids[digits]): FORMATS[digits] for digits in FORMATS},
            "borders": {"1": {"bottom": {"style": "thin", "color": "#CCCCCC"}}},
            "revisionId": "START_REVISION",
            "uniqueFigureIds": True,
            "settings": {
                "locale": {
                    "name": "English (US)",
                    "code": "en_US",
                    "thousandsSeparator": ",",
                    "decimalSeparator": ".",
                    "dateFormat": "mm/dd/yyyy",
                    "timeFormat": "hh:mm:ss",
                    "formulaArgSeparator": ",",
                    "weekStart": 7,
                }
            },
            "pivots": self.pivots,
            "pivotNextId": len(self.pivots) + 1,
            "customTableStyles": {},
            "globalFilters": [
                {"id": name, **values} for name, values in self.filters.items()
            ],
            "lists": self.lists,
            "listNextId": len(self.lists) + 1,
            "chartOdooMenusReferences": self.menus,
        }

    @staticmethod
    def _sheet(name, title, rows, columns):
        return {
            "id": name,
            "name": title,
            "colNumber": len(columns),
            "rowNumber": max(rows, 40),
            "rows": {},
            "cols": {str(at): {"size": size} for at, size in enumerate(columns)},
            "merges": [],
            "conditionalFormats": [],
            "dataValidationRules": [],
            "tables": [],
            "isVisible": True,
            "headerGroups": {"ROW": [], "COL": []},
            "comments": {},
        }
