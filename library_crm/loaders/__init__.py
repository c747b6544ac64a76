"""Loaders: rows of a format go in, records come out.

``library.data.source._get_loaders`` says which loader a format has.
"""

from .patron_loader import PatronLoader
from .usage_loader import UsageLoader
