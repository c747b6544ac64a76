"""File formats: plain Python without Odoo. Files go in, rows come out.

A format is a ``Layout`` (which columns there may be) and a function that reads the
rows. A column that is not used is dropped before anything else happens to the row,
so nothing behind this package ever sees a password or a note about a person.
"""

from . import koha, table

#: By the technical name of the format: its columns, and the function that reads it.
FORMATS = {
    "koha_patrons": (koha.PATRONS, koha.read_patrons),
    "koha_statistics": (koha.STATISTICS, koha.read_statistics),
}
