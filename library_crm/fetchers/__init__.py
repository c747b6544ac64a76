"""Fetchers: bring in what lies elsewhere, in a folder of the server or in another
system, for ``library.data.source`` to load.

``library.data.source._make_fetcher`` says which fetcher a source has.
"""

from .counter_fetcher import CounterFetcher
from .fetcher import Fetcher, FetchError, Parcel
from .folder_fetcher import FolderFetcher
from .koha_fetcher import KohaFetcher
