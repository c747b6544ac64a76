"""Text in any of the encodings that library systems write, as UTF-8.

The readers of this package take UTF-8. What comes in another encoding is passed
through ``as_utf8``, line ends are made alike on the way.
"""

import codecs
import io
import re
from dataclasses import dataclass

from .table import FileError

#: What a file may be written in.
ENCODINGS = (
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "windows-1252",
    "iso-8859-1",
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK = 1 << 16
# UTF-8 that was read as Windows-1252 and written as UTF-8 once more.
_TWICE = re.compile("Ã[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")


class ByteStream(io.RawIOBase):
    """A binary file to read, made of pieces as they come."""

    def __init__(self, pieces):
        super().__init__()
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self._rest:
            self._rest = next(self._pieces, None)
            if self._rest is None:
                self._rest = b""
                return 0
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def open_stream(pieces):
    """A buffered binary file of the pieces, which are bytes."""
    return io.BufferedReader(ByteStream(pieces))


@dataclass(frozen=True)
class EncodingGuess:
    """In what a file is written, and what says so.

    ``line`` is the first line that decided it (0: nothing had to), ``found`` what
    stands there. ``broken_line`` is the first line that is not in the encoding, if
    the file mixes two; ``broken_found`` what stands there. ``twice_line`` is the
    first line that was made UTF-8 twice.
    """

    encoding: str
    has_mark: bool = False
    line: int = 0
    found: str = ""
    broken_line: int = 0
    broken_found: str = ""
    twice_line: int = 0
    twice_found: str = ""


def guess_encoding(head):
    """Guess from the beginning of a file in what it is written.

    UTF-8 that is valid is taken for UTF-8, since other text hardly ever looks like
    it. Windows-1252 holds Latin-1, but for control characters that nobody writes.

    :param bytes head: whole lines, but for the last one
    :rtype: EncodingGuess
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            guess = EncodingGuess(encoding, has_mark=True)
            return _look_at_lines(head, guess) if encoding == "utf-8" else guess
    if wide := _guess_wide(head):
        return EncodingGuess(wide)
    return _look_at_lines(head, EncodingGuess("utf-8"))


def _guess_wide(head):
    # In UTF-16 without a mark, one of the two bytes of each Latin letter is NUL.
    sample = head[:4096]
    evens, odds = sample[::2].count(0), sample[1::2].count(0)
    if odds > len(sample) * 0.3 and evens < odds / 4:
        return "utf-16-le"
    if evens > len(sample) * 0.3 and odds < evens / 4:
        return "utf-16-be"
    return None


def _look_at_lines(head, guess):
    good = bad = twice = None
    for number, line in enumerate(head.split(b"\n"), start=1):
        if line.isascii():
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            part = line[max(error.start - 15, 0) : error.start + 15]
            bad = bad or (number, part)
            continue
        good = good or (number, text.strip()[:60])
        if not twice and (match := _TWICE.search(text)):
            twice = (number, text[max(match.start() - 15, 0) : match.end() + 15])
    found = {"has_mark": guess.has_mark}
    if twice:
        found.update(twice_line=twice[0], twice_found=twice[1])
    if bad and not good and not guess.has_mark:
        line, part = bad
        # These five bytes are no letters in Windows-1252.
        is_latin = any(byte in head for byte in b"\x81\x8d\x8f\x90\x9d")
        encoding = "iso-8859-1" if is_latin else "windows-1252"
        return EncodingGuess(encoding, line=line, found=part.decode(encoding))
    if good:
        found.update(line=good[0], found=good[1])
    if bad:
        line, part = bad
        found.update(
            broken_line=line, broken_found=part.decode("windows-1252", "replace")
        )
    return EncodingGuess("utf-8", **found)


def as_utf8(file, encoding):
    """The text of a binary file as UTF-8 with plain line ends.

    A byte order mark has the last word about the encoding. Bytes that are none of
    its letters become ``BROKEN``, so that one of them does not cost the file.

    :param file: binary file object, open for reading
    :param str encoding: one of ``ENCODINGS``
    :return: binary file object
    :raise FileError: ``encoding``, if the mark says another one than UTF-8 where
        UTF-8 was expected
    """
    head = file.read(_CHUNK)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked and marked != "utf-8" and not encoding.startswith("utf-16"):
        raise FileError("encoding", found="UTF-16", expected=encoding.upper())
    if not marked and encoding == "utf-16":
        encoding = _guess_wide(head) or "utf-16-le"
    return open_stream(_recode(file, head, marked or encoding))


def _recode(file, head, encoding):
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)("replace"), translate=True
    )
    chunk = head
    is_first = True
    while chunk:
        text = decoder.decode(chunk)
        if is_first:
            text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
            is_first = not text
        # Lone surrogates of UTF-16 can not be written as UTF-8.
        yield text.encode("utf-8", "replace")
        chunk = file.read(_CHUNK)
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")
