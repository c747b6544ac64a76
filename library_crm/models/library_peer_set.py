from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ..formats.peers import INDICATOR, MEASURE


class LibraryPeerSet(models.Model):
    """What the libraries of a country reported of a year, as somebody published it.

    Sets of one name are the years of one publication. Figures of ours are compared with
    the last year of it that is not after them.
    """

    _name = "library.peer.set"
    _description = "Data Set of Libraries"
    _order = "year desc, name, id"
    _library_personal_data = {"*": "setting"}

    name = fields.Char(
        required=True, help="The same each year, e.g. Public Libraries Survey."
    )
    year = fields.Integer(required=True, aggregator=None, help="Of the figures.")
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        index="btree_not_null",
        ondelete="cascade",
        help="Empty: all libraries may use it.",
    )
    source = fields.Char(help="Who published it, and where.")
    licence = fields.Char(help="What may be done with it, e.g. public domain.")
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        default=lambda self: self.env.company.currency_id,
        ondelete="restrict",
        help="Money is compared with libraries of this currency only.",
    )
    decimal_mark = fields.Selection(
        [(".", "Point: 1,234.5"), (",", "Comma: 1.234,5")], required=True, default="."
    )
    column_ids = fields.One2many(
        "library.peer.column",
        "set_id",
        string="Columns",
        help="How the file was read; that of the next year is read alike.",
    )
    peer_ids = fields.One2many("library.peer", "set_id", string="Libraries")
    peer_count = fields.Integer(
        string="Number of Libraries", compute="_compute_peer_count"
    )

    _year_uniq = models.UniqueIndex(
        "(name, year, COALESCE(company_id, 0))",
        "Data set: there is one of this name and year already.",
    )
    _year_plausible = models.Constraint(
        "CHECK (year BETWEEN 1900 AND 2200)", "Year: a year such as 2026 is expected."
    )

    @api.depends("name", "year")
    def _compute_display_name(self):
        for peer_set in self:
            peer_set.display_name = f"{peer_set.name or ''} {peer_set.year or ''}"

    @api.depends("peer_ids")
    def _compute_peer_count(self):
        counts = dict(
            self.env["library.peer"]._read_group(
                [("set_id", "in", self.ids)], ["set_id"], ["__count"]
            )
        )
        for peer_set in self:
            peer_set.peer_count = counts.get(peer_set, 0)

    def _get_earlier(self):
        """The set of the year before, or of the last one that there is."""
        self.ensure_one()
        return self.search(
            [
                ("name", "=", self.name),
                ("company_id", "in", (self.company_id.id, False)),
                ("year", "<", self.year),
            ],
            order="year DESC",
            limit=1,
        )

    @api.model
    def _get_figures(self):
        """What a column may hold of a library's figures, with what it is called.

        :rtype: list[tuple[str, str]]
        """
        return [
            *(
                (f"{INDICATOR}{indicator.code}", indicator.name)
                for indicator in self.env["library.indicator"].search(Domain.TRUE)
            ),
            *(
                (f"{MEASURE}{name}", self.env._("Number: %s", label))
                for name, label in self.env["library.indicator.measure"]
                ._get_labels()
                .items()
                if name != "population"
            ),
        ]

    def action_view_peers(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_peer_action"
            ),
            "name": self.display_name,
            "domain": [("set_id", "=", self.id)],
            "context": {"default_set_id": self.id},
        }

    def action_import(self):
        """Load a file into the set: the same again, or one that was corrected."""
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_peer_import_action"
            ),
            "context": {
                "default_set_id": self.id,
                "default_name": self.name,
                "default_year": self.year,
                "default_company_id": self.company_id.id,
                "default_source": self.source,
                "default_licence": self.licence,
                "default_currency_id": self.currency_id.id,
            },
        }

    # ------------------------------------------------------------
    # LOADING
    # ------------------------------------------------------------

    def _merge(self, rows, figures):
        """Take over what libraries reported. What is the same already is not written,
        and figures that the file does not speak of stay.

        Cost: two statements for all rows.

        :param list rows: values as ``formats.peers.Peers`` gives them, each library
            once
        :param figures: the figures of which the file speaks
        :return: ids of the libraries that are new, and of those that have changed
        :rtype: tuple[set, set]
        """
        self.ensure_one()
        self.env["library.peer"].flush_model()
        self.env["library.peer.value"].flush_model()
        libraries = self.env.execute_query(
            SQL(
                """
                INSERT INTO library_peer AS peer (set_id, ref, name, region, population)
                SELECT %s, ref, name, nullif(region, ''), population
                  FROM unnest(%s::text[], %s::text[], %s::text[], %s::int[])
                       AS row (ref, name, region, population)
           ON CONFLICT (set_id, ref)
             DO UPDATE SET name = EXCLUDED.name,
                       region = EXCLUDED.region,
                       population = EXCLUDED.population
                 WHERE (peer.name, peer.region, peer.population)
                       IS DISTINCT FROM
                       (EXCLUDED.name, EXCLUDED.region, EXCLUDED.population)
             RETURNING id, xmax = 0
                """,
                self.id,
                *(
                    [row[name] for row in rows]
                    for name in ("ref", "name", "region", "population")
                ),
            )
        )
        changed = {
            peer_id
            for (peer_id,) in self.env.execute_query(
                self._sql_merge_values(rows, figures)
            )
        } | {peer_id for peer_id, _is_new in libraries}
        new = {peer_id for peer_id, is_new in libraries if is_new}
        self.env["library.peer"].invalidate_model()
        self.env["library.peer.value"].invalidate_model()
        return new, changed - new

    def _sql_merge_values(self, rows, figures):
        indicators = {
            f"{INDICATOR}{indicator.code}": indicator.id
            for indicator in self.env["library.indicator"].search(Domain.TRUE)
        }
        given = [
            (
                row["ref"],
                None if figure in indicators else figure.removeprefix(MEASURE),
                indicators.get(figure),
                amount,
            )
            for row in rows
            for figure, amount in row["figures"].items()
        ]
        return SQL(
            """
            WITH library AS (
                SELECT id, ref
                  FROM library_peer
                 WHERE set_id = %(set)s
                   AND ref = ANY(%(refs)s)
            ),
            given AS MATERIALIZED (
                SELECT library.id AS peer_id, row.measure, row.indicator_id, row.amount
                  FROM unnest(
                           %(given_refs)s::text[], %(measures)s::text[],
                           %(indicators)s::int[], %(amounts)s::float8[]
                       ) AS row (ref, measure, indicator_id, amount)
                  JOIN library ON library.ref = row.ref
            ),
            written AS (
                INSERT INTO library_peer_value AS value (
                       peer_id, measure, indicator_id, amount
                       )
                SELECT * FROM given
           ON CONFLICT (peer_id, COALESCE(indicator_id, 0), COALESCE(measure, ''))
             DO UPDATE SET amount = EXCLUDED.amount
                 WHERE value.amount IS DISTINCT FROM EXCLUDED.amount
             RETURNING value.peer_id
            ),
            gone AS (
                DELETE FROM library_peer_value value
                 USING library
                 WHERE value.peer_id = library.id
                   AND (value.measure = ANY(%(all_measures)s)
                        OR value.indicator_id = ANY(%(all_indicators)s))
                   AND NOT EXISTS (
                           SELECT FROM given
                            WHERE given.peer_id = value.peer_id
                              AND given.measure IS NOT DISTINCT FROM value.measure
                              AND given.indicator_id
                                  IS NOT DISTINCT FROM value.indicator_id
                       )
             RETURNING value.peer_id
            )
            SELECT peer_id FROM written UNION SELECT peer_id FROM gone
            """,
            set=self.id,
            refs=[row["ref"] for row in rows],
            given_refs=[line[0] for line in given],
            measures=[line[1] for line in given],
            indicators=[line[2] for line in given],
            amounts=[line[3] for line in given],
            all_measures=[
                figure.removeprefix(MEASURE)
                for figure in figures
                if figure not in indicators
            ],
            all_indicators=[
                indicators[figure] for figure in figures if figure in indicators
            ],
        )

    def _recognise_own(self):
        """Who was our library in the year before is it again."""
        self.ensure_one()
        own = self._get_earlier().peer_ids.filtered("is_own")
        self.peer_ids.filtered_domain([("ref", "in", own.mapped("ref"))]).is_own = True

    @api.constrains("column_ids")
    def _check_columns(self):
        for peer_set in self:
            what = peer_set.column_ids.filtered("what").mapped("what")
            if len(what) != len(set(what)):
                raise ValidationError(
                    self.env._("Columns: two of them are said to be the same.")
                )
