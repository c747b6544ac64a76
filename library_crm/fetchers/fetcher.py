from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..connectors.http import ConnectorError


class FetchError(Exception):
    """Nothing could be fetched; the text says in the user's language what to mend.

    :param str message: the text
    :param bool is_passing: whether it may work when it is tried again
    """

    def __init__(self, message, is_passing=True):
        super().__init__(message)
        self.is_passing = is_passing


class Parcel(NamedTuple):
    """Something that was fetched and is to be loaded.

    ``cursor`` is where to go on once it is loaded; ``is_delta`` says that it holds only
    what has changed, ``has_more`` that more can be fetched at once. ``digest`` tells
    the same file from another, ``place`` is where the fetcher finds it again.
    ``dropped`` names what may not be kept and was dropped, ``remarks`` are texts for
    whoever looks at the load.
    """

    name: str
    file: Any
    cursor: str = ""
    is_delta: bool = False
    has_more: bool = False
    digest: str = ""
    place: str = ""
    dropped: tuple = ()
    remarks: tuple = ()


class Fetcher(ABC):
    """Fetches for one source.

    :param source: ``library.data.source``
    """

    def __init__(self, source):
        self.source = source
        self.env = source.env

    @abstractmethod
    def test(self):
        """Whether it can be fetched from there.

        :return: what a person should know, as a list of texts
        :raise FetchError: if it can not
        """

    @abstractmethod
    def fetch(self, sample=False):
        """A context manager that gives a ``Parcel``, or None if there is nothing new;
        its file is there within the block only.

        :param bool sample: a few rows will do, and nothing is taken away
        :raise FetchError: if it can not be fetched; nothing is lost
        """

    def dispose(self, parcel):  # noqa: B027
        """Take away what was fetched: it is kept as a load now."""

    def put_aside(self, parcel):  # noqa: B027
        """Leave what can not be read where a person finds it and nobody fetches it
        again."""

    @contextmanager
    def described(self):
        """Turn what is wrong with the other system into words."""
        try:
            yield
        except ConnectorError as error:
            raise self.describe(error) from error

    def describe(self, error):
        """What is wrong with the other system, in words that help to mend it.

        :param ConnectorError error: what the connector found
        :rtype: FetchError
        """
        names = {
            "place": error.place,
            "found": error.found or "—",
            "expected": error.expected,
        }
        texts = {
            "address": lambda: self.env._(
                "The address can not be used. It should look like %(expected)s, "
                "without a login in it.",
                **names,
            ),
            "connect": lambda: self.env._(
                "Nobody answers at %(place)s (%(found)s). Is the address right, and "
                "may this server reach it?",
                **names,
            ),
            "tls": lambda: self.env._(
                "The certificate of %(place)s does not hold: %(found)s. Ask its "
                "operator to renew it.",
                **names,
            ),
            "timeout": lambda: self.env._(
                "%(place)s does not answer in time.", **names
            ),
            "broken": lambda: self.env._(
                "The answer of %(place)s broke off: %(found)s instead of %(expected)s.",
                **names,
            ),
            "too_large": lambda: self.env._(
                "The answer of %(place)s is too large: %(found)s, at most "
                "%(expected)s. Ask for a shorter period.",
                **names,
            ),
            "redirect": lambda: self.env._(
                "%(place)s sends us on to another server (%(found)s). If that is "
                "right, enter that address.",
                **names,
            ),
            "unauthorized": lambda: self.env._(
                "%(place)s does not take the credentials: %(found)s.", **names
            ),
            "forbidden": lambda: self.env._(
                "%(place)s does not let this account read: %(found)s. It needs the "
                "permission %(expected)s.",
                **{**names, "expected": error.expected or "—"},
            ),
            "missing": lambda: self.env._(
                "There is nothing at %(place)s. Is the address right?", **names
            ),
            "busy": lambda: self.env._(
                "%(place)s has too much to do: %(found)s.", **names
            ),
            "server": lambda: self.env._("%(place)s has failed: %(found)s.", **names),
            "json": lambda: self.env._(
                "%(place)s answers with %(found)s instead of JSON. Is the address that "
                "of the API?",
                **names,
            ),
            "shape": lambda: self.env._(
                "%(place)s answers with %(found)s; expected was %(expected)s.", **names
            ),
            "oauth_off": lambda: self.env._(
                "Koha does not take client credentials: %(found)s. Switch on its "
                "system preference %(expected)s.",
                **names,
            ),
            "basic_off": lambda: self.env._(
                "Koha does not take login and password: %(found)s. Switch on its "
                "system preference %(expected)s, or use client credentials.",
                **names,
            ),
            "order": lambda: self.env._(
                "%(place)s does not list the patrons in order: %(found)s, expected "
                "%(expected)s.",
                **names,
            ),
            "hidden": lambda: self.env._(
                "Koha hides patrons of other libraries from this account. It needs the "
                "permission %(expected)s.",
                **names,
            ),
            "queued": lambda: self.env._(
                "%(place)s is still making the report; it is asked again later.",
                **names,
            ),
            "not_ready": lambda: self.env._(
                "%(place)s does not have these months yet: %(found)s.", **names
            ),
            "no_longer": lambda: self.env._(
                "%(place)s does not have these months any more: %(found)s. Begin "
                "later.",
                **names,
            ),
            "no_usage": lambda: self.env._(
                "%(place)s: nobody used it in these months.", **names
            ),
        }
        text = texts.get(
            error.reason,
            lambda: self.env._("%(place)s does not give it: %(found)s.", **names),
        )()
        passing = ("address", "unauthorized", "forbidden", "basic_off", "oauth_off")
        return FetchError(text, is_passing=error.reason not in passing)
