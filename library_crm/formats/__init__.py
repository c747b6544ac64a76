"""File formats: plain Python without Odoo. Files go in, rows come out.

A ``FileFormat`` says which columns there may be, reads the rows and makes values of
them. A column that is not used is dropped before anything else happens to the row, so
nothing behind this package ever sees a password or a note about a person.
"""
