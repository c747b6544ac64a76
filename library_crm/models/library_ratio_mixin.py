from odoo import models
from odoo.tools import SQL


class LibraryRatioMixin(models.AbstractModel):
    """Shares in reports. The share of several rows together is that of their sums, not
    the average of their shares: a branch of ten patrons does not weigh as much as one
    of a thousand."""

    _name = "library.ratio.mixin"
    _description = "Shares in Reports"

    #: The fields that are shares, in percent: name of the part, and of the whole.
    _ratios = {}

    def _read_group_select(self, aggregate_spec, query):
        name, _colon, function = aggregate_spec.partition(":")
        if function != "avg" or name not in self._ratios:
            return super()._read_group_select(aggregate_spec, query)
        part, whole = (
            self._field_to_sql(self._table, field, query)
            for field in self._ratios[name]
        )
        return SQL("100.0 * SUM(%s) / NULLIF(SUM(%s), 0)", part, whole)

    def _sql_ratios(self):
        """The columns of the shares, for a query that has parts and wholes."""
        return SQL(", ").join(
            SQL(
                "100.0 * %s / NULLIF(%s, 0) AS %s",
                *map(SQL.identifier, (part, whole, name)),
            )
            for name, (part, whole) in self._ratios.items()
        )
