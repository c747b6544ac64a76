"""Loaders: rows of a format go in, records come out.

``library.data.source._get_loader`` says which loader a source has.
"""

from .counter_loader import CounterLoader
from .file_errors import describe_file_error
from .patron_loader import PatronLoader
from .usage_loader import UsageLoader
