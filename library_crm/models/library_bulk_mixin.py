from copy import deepcopy

from odoo import api, models


class Bulk:
    """What was found out once for many records that are made alike; put into the
    context by ``library.bulk.mixin._in_bulk``."""

    def __init__(self):
        self.defaults = {}
        self._properties = {}

    def get_properties(self, records):
        """The fields of the model that hold properties, by name."""
        if records._name not in self._properties:
            self._properties[records._name] = {
                name: field
                for name, field in records._fields.items()
                if field.type == "properties"
            }
        return self._properties[records._name]


class LibraryBulkMixin(models.AbstractModel):
    """Ask once what is the same for each of a long list of new records.

    Odoo asks each new record by itself for the defaults of the fields that are not
    given, and for the company of whatever it points to. Of a file of patrons that is a
    third of the time, and the answer is the same for every row. Nothing is left out:
    each different question is asked of Odoo, once.
    """

    _name = "library.bulk.mixin"
    _description = "Records Made in Bulk"

    def _in_bulk(self):
        """These records, in an environment that keeps answers; to be used for one
        batch, since defaults may be changed at any time."""
        return self.with_context(library_bulk=Bulk())

    @api.model
    def _add_missing_default_values(self, values):
        bulk = self.env.context.get("library_bulk")
        if not bulk:
            return super()._add_missing_default_values(values)
        # What properties there are depends on the record: it is asked each time.
        properties = bulk.get_properties(self)
        key = (self._name, self.env.company.id, self.env.su, frozenset(values))
        known = bulk.defaults.get(key)
        if not known:
            completed = super()._add_missing_default_values(values)
            defaults = {
                name: value
                for name, value in completed.items()
                if name not in values and name not in properties
            }
            # Whoever gets a list may change it: each gets one of its own.
            mutable = {
                name: deepcopy(value)
                for name, value in defaults.items()
                if isinstance(value, list | dict)
            }
            bulk.defaults[key] = defaults, mutable
            return completed
        defaults, mutable = known
        completed = {**defaults, **deepcopy(mutable), **values}
        for name, field in properties.items():
            completed[name] = field._add_default_values(self.env, completed)
        return completed

    def _check_company(self, fnames=None):
        """One record is asked for all that have the same company and point to records
        of the same companies: the check compares nothing else."""
        if self.env.context.get("library_bulk") and len(self) > 1:
            self = self._get_one_of_each_company(fnames)
        return super()._check_company(fnames)

    def _get_one_of_each_company(self, fnames):
        if fnames is None or {"company_id", "company_ids"} & set(fnames):
            fnames = self._fields
        names = [
            name
            for name in fnames
            if self._fields[name].relational and self._fields[name].check_company
        ]
        found = {}
        for record in self.sudo():
            key = (
                record.company_id.id,
                *(self._get_company_key(record[name]) for name in names),
            )
            found.setdefault(key, record.id)
        return self.browse(found.values())

    @api.model
    def _get_company_key(self, records):
        """Two values with the same key belong to the same companies."""
        if not records:
            return None
        # Users have several companies: who they are is asked.
        has_one = "company_id" in records._fields and "company_ids" not in records
        if has_one and len(records) == 1:
            return records.company_id.id
        return records._name, records._ids
