from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import format_date
from odoo.tools.misc import formatLang

from ..report.library_survey_figures import FEWEST_ANSWERS, FEWEST_IN_CELL

#: What the tables are told by, in this order.
DIMENSIONS = (
    "branch_id",
    "service_id",
    "patron_category_id",
    "segment_id",
    "round_id",
)
#: The scores, each with its margin and its number of answers, the ends of its scale and
#: how many decimals it is told with.
SCORES = (
    ("nps", "nps_margin", "nps_answers", (-100, 100), 0),
    ("csat", "csat_margin", "csat_answers", (0, 100), 0),
    ("effort", "effort_margin", "effort_answers", (1, 5), 1),
    ("outcome", "outcome_margin", "outcome_answers", (1, 5), 1),
)
#: The scale of a question about service quality.
GAP_SCALE = (1, 9)
#: The picture of a trend, in its own units.
TREND_WIDTH, TREND_HEIGHT = 300, 110


class LibrarySurveyOverview(models.TransientModel):
    """The results of surveys on one page, to be read on the screen or printed for the
    board: what is asked for stands in the fields, what came of it in ``body``.

    All figures come from the models of results, with the rights of whoever looks, in
    a few queries whatever the number of answers.
    """

    _name = "library.survey.overview"
    _description = "Survey Results"

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        default=lambda self: self.env.company,
    )
    date_from = fields.Date(
        string="From",
        required=True,
        default=lambda self: (
            fields.Date.context_today(self).replace(day=1) - relativedelta(months=11)
        ),
    )
    date_to = fields.Date(
        string="To", required=True, default=lambda self: fields.Date.context_today(self)
    )
    survey_id = fields.Many2one(
        "survey.survey", domain="[('library_company_id', '=', company_id)]"
    )
    round_id = fields.Many2one(
        "library.survey.round", domain="[('company_id', '=', company_id)]"
    )
    branch_id = fields.Many2one(
        "library.branch", domain="[('company_id', '=', company_id)]"
    )
    service_id = fields.Many2one("library.service")
    patron_category_id = fields.Many2one(
        "library.patron.category",
        string="Category",
        domain="[('company_id', '=', company_id)]",
    )
    segment_id = fields.Many2one(
        "library.segment", domain="[('company_id', '=', company_id)]"
    )
    body = fields.Html(compute="_compute_body", sanitize=False)

    @api.readonly
    def onchange(self, values, field_names, fields_spec):
        """The page is read while its form is filled in, which writes nothing."""
        return super().onchange(values, field_names, fields_spec)

    @api.depends_context("uid", "lang", "allowed_company_ids")
    @api.depends(
        *("company_id", "date_from", "date_to", "survey_id", "round_id", "branch_id"),
        *("service_id", "patron_category_id", "segment_id"),
    )
    def _compute_body(self):
        for overview in self:
            overview.body = self.env["ir.qweb"]._render(
                "library_crm_survey.library_survey_overview_body",
                overview._prepare_values(),
            )

    @api.depends_context("lang")
    @api.depends("company_id", "date_from", "date_to")
    def _compute_display_name(self):
        for overview in self:
            overview.display_name = self.env._(
                "Survey results %(date_from)s – %(date_to)s",
                date_from=format_date(self.env, overview.date_from),
                date_to=format_date(self.env, overview.date_to),
            )

    def _get_domain(self):
        """:return: which results are asked for"""
        self.ensure_one()
        domain = Domain("company_id", "=", self.company_id.id)
        if self.date_from:
            domain &= Domain("date", ">=", self.date_from)
        if self.date_to:
            domain &= Domain("date", "<=", self.date_to)
        for name in ("survey_id", *DIMENSIONS):
            if self[name]:
                domain &= Domain(name, "=", self[name].id)
        return domain

    def action_explore(self):
        """Open the same results to be grouped at will."""
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm_survey.library_survey_result_action"
            ),
            "domain": list(self._get_domain()),
            "context": {},
        }

    # ------------------------------------------------------------
    # FIGURES
    # ------------------------------------------------------------

    def _prepare_values(self):
        """:return: what the page shows, by the names of its template"""
        self.ensure_one()
        asked, total, months, outcomes, tables = self._read_satisfaction()
        items, dimensions, whole = self._read_gaps()
        return {
            "overview": self,
            "chosen": self._get_chosen(),
            "scores": [self._prepare_score(total, *score) for score in asked],
            "outcomes": outcomes,
            "trends": [
                trend
                for score in asked
                if (trend := self._prepare_trend(months, *score))
            ],
            "tables": tables,
            "score_names": [
                self._get_label("library.survey.result", name) for name, *_ in asked
            ],
            "gap_items": items,
            "gap_dimensions": dimensions,
            "gap_whole": whole,
            "verdicts": list(self._get_verdicts().items()),
            "notes": self._say_notes(whole),
            "is_empty": not asked and not items,
        }

    def _say_notes(self, whole):
        """What the page says of its figures, in whole sentences: in pieces they could
        not be translated.

        :param whole: the ratings of service quality of all answers; None without any
        """
        fewer = self.env._("fewer than %(fewest)s", fewest=FEWEST_IN_CELL)
        reasons = "; ".join(
            f"{label}: {count or fewer}" for label, count in self._read_set_aside()
        )
        return {
            "empty": self.env._(
                "Figures are shown from %(fewest)s answers on. Choose a longer period, "
                "or share a survey with more people.",
                fewest=FEWEST_ANSWERS,
            ),
            "figures": self.env._(
                "± is half of a 95 %% interval: so far the figure can be from that of "
                "all patrons, if those who answered are like those who did not. "
                "Figures of fewer than %(fewest)s answers are hidden, groups of fewer "
                "than %(fewest_in_group)s are not listed. NPS: share of 9 and 10 less "
                "share of 0 to 6. Satisfied: answers of 4 or 5. Adequacy: perceived "
                "less minimum. Superiority: perceived less desired.",
                fewest=FEWEST_ANSWERS,
                fewest_in_group=FEWEST_IN_CELL,
            ),
            "set_aside": self.env._(
                "Set aside, and not in the means: %(reasons)s.", reasons=reasons
            ),
            "gaps": whole
            and self.env._(
                "Without an opinion: %(no_opinion)s times; minimum above the desired: "
                "%(inverted)s times.",
                no_opinion=whole["no_opinion"],
                inverted=whole["inverted"],
            ),
        }

    @api.model
    def _get_verdicts(self):
        """:return: what is said of an item by where it lies to its zone"""
        return {
            "below": self.env._("Below the minimum"),
            "within": self.env._("Within the zone"),
            "above": self.env._("Better than desired"),
        }

    def _get_chosen(self):
        """:return: names and values of the filters that are set"""
        return [
            (self._get_label(self._name, name), self[name].sudo().display_name)
            for name in ("survey_id", *DIMENSIONS)
            if self[name]
        ]

    @api.model
    def _get_label(self, model, name):
        return self.env[model]._fields[name]._description_string(self.env)

    def _read_satisfaction(self):
        """All the figures on recommendation, satisfaction, effort and outcome.

        :return: the scores that were asked for; figures of all answers, by month, by
            kind of outcome, and a table for each dimension that is not chosen already
            and tells groups apart
        """
        Result = self.env["library.survey.result"]
        specs = {"__count": "__count", **Result._get_figure_specs()}
        dimensions = [name for name in DIMENSIONS if not self[name]]
        found = Result._read_grouping_sets(
            self._get_domain(),
            [[], ["date:month"], ["outcome_kind"], *([name] for name in dimensions)],
            list(specs.values()),
        )
        total, months, kinds, *tables = (
            [
                (
                    group[: len(group) - len(specs)],
                    dict(zip(specs, group[-len(specs) :], strict=True)),
                )
                for group in groups
            ]
            for groups in found
        )
        labels = dict(Result._fields["outcome_kind"]._description_selection(self.env))
        whole = total[0][1] if total else dict.fromkeys(specs, False)
        for groups in (months, *tables):
            self._hide_remainder(whole, groups)
        asked = [score for score in SCORES if whole[score[2]]]
        return (
            asked,
            whole,
            [(month, figures) for [month], figures in months],
            [
                (labels[kind], self._prepare_score(figures, *SCORES[-1]))
                for [kind], figures in kinds
                if kind and figures["outcome"] is not False
            ],
            [
                {
                    "name": self._get_label(Result._name, name),
                    "rows": sorted(
                        (
                            {
                                "name": group.sudo().display_name,
                                "scores": [
                                    self._prepare_score(figures, *score)
                                    for score in asked
                                ],
                            }
                            for [group], figures in groups
                            if group
                        ),
                        key=lambda row: row["name"],
                    ),
                }
                for name, groups in zip(dimensions, tables, strict=True)
                if sum(bool(group) for [group], _figures in groups) > 1
            ],
        )

    @api.model
    def _hide_remainder(self, whole, groups):
        """Hide the smallest figure of a table where the ones that are hidden already
        are few: they could be reckoned from the whole and the others. The page is
        printed and handed on, so it holds by itself."""
        for name, margin, answers, *_scale in SCORES:
            shown = [
                figures
                for [group], figures in groups
                if group and figures[name] is not False
            ]
            rest = (whole[answers] or 0) - sum(figures[answers] for figures in shown)
            if shown and 0 < rest < FEWEST_ANSWERS:
                smallest = min(shown, key=lambda figures: figures[answers])
                smallest[name] = smallest[margin] = False

    def _read_gaps(self):
        """The ratings of service quality.

        :return: by item, by dimension, and of all; the first two as a list
        """
        Gap = self.env["library.survey.gap.result"]
        specs = Gap._get_figure_specs()
        del specs["set_aside"]  # counting different ones would sort all ratings
        by_item, by_dimension, total = Gap._read_grouping_sets(
            self._get_domain(),
            [["dimension", "item_id"], ["dimension"], []],
            list(specs.values()),
        )
        labels = dict(Gap._fields["dimension"]._description_selection(self.env))

        def prepare(groups, get_name):
            return [
                {
                    "dimension": group[0],
                    "name": get_name(group),
                    **self._prepare_gap(figures),
                }
                for group, figures in (
                    (group, dict(zip(specs, group[-len(specs) :], strict=True)))
                    for group in groups
                )
                if figures["perceived"] is not False
            ]

        items = prepare(
            sorted(by_item, key=lambda group: (group[1].sudo().sequence, group[1].id)),
            lambda group: group[1].sudo().value,
        )
        order = list(labels)
        dimensions = prepare(
            sorted(
                by_dimension,
                key=lambda group: order.index(group[0]) if group[0] else len(order),
            ),
            lambda group: labels.get(group[0], self.env._("Other items")),
        )
        whole = prepare([(False, *row) for row in total], lambda _group: None)
        return items, dimensions, whole[0] if whole else None

    def _read_set_aside(self):
        """How many answers were set aside, by the reason.

        :return: reasons and numbers; None where it is fewer than 5, or none
        """
        Gap = self.env["library.survey.gap.result"]
        counts = dict(
            Gap._read_group(
                self._get_domain() & Domain("set_aside_reason", "!=", False),
                ["set_aside_reason"],
                [Gap._get_figure_specs()["set_aside"]],
            )
        )
        return [
            (label, counts.get(reason))
            for reason, label in Gap._fields["set_aside_reason"]._description_selection(
                self.env
            )
        ]

    # ------------------------------------------------------------
    # PICTURES
    # ------------------------------------------------------------

    @api.model
    def _format(self, value, digits, sign=False):
        """:return: a figure as text; an em dash where it is hidden"""
        if value is False or value is None:
            return "—"
        value = round(value, digits) or 0.0  # never a minus before nothing
        text = formatLang(self.env, value, digits=digits)
        return f"+{text}" if sign and value > 0 else text

    @api.model
    def _prepare_score(self, figures, name, margin, answers, scale, digits):
        """:return: a score as the page shows it, from the figures of a group"""
        Result = self.env["library.survey.result"]
        value, lowest, highest = figures[name], *scale
        score = {
            "id": name,
            "name": self._get_label(Result._name, name),
            "help": Result._fields[name]._description_help(self.env),
            "value": self._format(value, digits, sign=lowest < 0),
            "margin": self._format(figures[margin], digits),
            "answers": figures[answers] and self._format(figures[answers], 0),
            "answers_text": self.env._(
                "%(count)s answers", count=self._format(figures[answers] or 0, 0)
            ),
            "is_hidden": value is False,
            "place": value is not False
            and round(100 * (value - lowest) / (highest - lowest), 1),
        }
        if name == "nps" and value is not False:
            promoters, detractors = (
                figures["promoter_share"],
                figures["detractor_share"],
            )
            score["shares"] = self.env._(
                "%(promoters)s %% promoters, %(passives)s %% passives, "
                "%(detractors)s %% detractors",
                promoters=self._format(promoters, 0),
                passives=self._format(100 - promoters - detractors, 0),
                detractors=self._format(detractors, 0),
            )
        return score

    @api.model
    def _prepare_trend(self, months, name, margin, answers, scale, digits):
        """A line over the months; where a month has no figure the line is broken.

        :param months: first days and figures, in order
        :return: what the picture needs; None with fewer than two months to tell of
        """
        shown = [
            (month, figures)
            for month, figures in months
            if month and figures[name] is not False
        ]
        if len(shown) < 2:
            return None
        first, last = shown[0][0], shown[-1][0]
        lowest, highest = scale

        def count_months(month):
            return 12 * (month.year - first.year) + month.month - first.month

        def get_height(value):
            return round(TREND_HEIGHT * (highest - value) / (highest - lowest), 1)

        points, lines = [], []
        for month, figures in shown:
            value = figures[name]
            point = {
                "count": count_months(month),
                "x": round(TREND_WIDTH * count_months(month) / count_months(last), 1),
                "y": get_height(value),
                "month": format_date(self.env, month, date_format="MMM y"),
                **self._prepare_score(figures, name, margin, answers, scale, digits),
            }
            point["low"], point["high"] = (
                get_height(max(lowest, min(highest, value + side * figures[margin])))
                for side in (-1, 1)
            )
            if points and point["count"] == points[-1]["count"] + 1:
                lines[-1].append(point)
            else:
                lines.append([point])
            points.append(point)
        label = self._get_label("library.survey.result", name)
        return {
            "name": label,
            "title": self.env._("%(figure)s, by month", figure=label),
            "points": points,
            "lines": [
                " ".join(f"{point['x']},{point['y']}" for point in line)
                for line in lines
            ],
            "width": TREND_WIDTH,
            "height": TREND_HEIGHT,
            "marks": [
                {"y": get_height(value), "name": self._format(value, 0)}
                for value in (lowest, (lowest + highest) / 2, highest)
            ],
        }

    @api.model
    def _prepare_gap(self, figures):
        """:return: the zone of tolerance of an item and where what people perceive
        lies, as the page shows it"""
        levels = {name: figures[name] for name in ("minimum", "desired", "perceived")}
        lowest, highest = GAP_SCALE
        places = {
            f"{name}_place": round(100 * (value - lowest) / (highest - lowest), 1)
            for name, value in levels.items()
        }
        if figures["adequacy"] < 0:
            verdict = "below"
        elif figures["superiority"] > 0:
            verdict = "above"
        else:
            verdict = "within"
        texts = {name: self._format(value, 2) for name, value in levels.items()}
        return {
            **texts,
            **places,
            "margin": self._format(figures["perceived_margin"], 2),
            "adequacy": self._format(figures["adequacy"], 2, sign=True),
            "superiority": self._format(figures["superiority"], 2, sign=True),
            **{
                name: self._format(figures[name], 0)
                for name in ("answers", "inverted", "no_opinion")
            },
            "verdict": verdict,
            "title": self.env._(
                "%(verdict)s: minimum %(minimum)s, desired %(desired)s, perceived "
                "%(perceived)s",
                verdict=self._get_verdicts()[verdict],
                **texts,
            ),
        }
