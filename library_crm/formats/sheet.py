"""The first (or a named) sheet of an XLSX workbook, as the text of a CSV file.

The workbook comes from outside, so nothing of it is unpacked before its directory was
looked at, and nothing is parsed before all of it was unpacked once to be counted.
"""

import csv
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from datetime import date, datetime, time

from openpyxl import load_workbook

from .encoding import open_stream
from .table import FileError

#: More than this is no workbook of a library: parts, bytes unpacked, bytes unpacked
#: for a byte of the file (in parts that are big enough to matter).
MAX_PARTS = 2_000
MAX_UNPACKED = 256 * 1024 * 1024
MAX_RATIO = 250
_SMALL_PART = 1024 * 1024
# As many as Excel has.
_MAX_ROWS = 1_048_576
# No export has more; a row is as long as the header.
_MAX_COLUMNS = 1_000
_MAGIC = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
# The digits that a spreadsheet shows of a long number, and those it keeps.
_SHOWN_DIGITS = 6
_KEPT_DIGITS = 15
_LONG_NUMBER = 12
_ZERO_FORMAT = re.compile(r"0{2,}")


@dataclass(frozen=True)
class NumberColumn:
    """A column in which a cell is a number and no text: zeros before it are lost, and
    nobody can say whether there were any. ``line`` is the first such cell."""

    column: str
    line: int
    found: str


def is_workbook(file):
    """Whether the file is a workbook (or tries to be one), by its first bytes."""
    start = file.tell()
    head = file.read(4)
    file.seek(start)
    return head in (_MAGIC, _OLD_EXCEL)


class Book:
    """A workbook that was looked at and may be read.

    :param file: binary file object that can seek
    :raise FileError: ``workbook`` if it is none, or holds what no workbook should;
        ``too_big``
    """

    def __init__(self, file):
        _check(file)
        try:
            self._book = load_workbook(
                file, read_only=True, data_only=True, keep_links=False
            )
        # Whatever a broken workbook does to the parser, it is a broken workbook.
        except Exception as error:
            raise _get_broken(error) from error
        #: The names of the sheets that have cells.
        self.names = [sheet.title for sheet in self._book.worksheets]

    def open(self, sheet="", header_line=1, numbers=None):
        """A sheet as a UTF-8 file with commas, each row on the line of its number.

        A date is written as in ISO, a number without ``.0``, a formula as the value
        that the workbook keeps for it. A whole number that was rounded, or has more
        digits than a spreadsheet keeps, is written as ``2.35E+13``, which
        ``read_number`` refuses. A cell formatted as ``00000`` keeps its zeros. Line
        breaks within a cell become spaces. Without a header the file is empty.

        :param str sheet: the name of the sheet; empty: the first one
        :param int header_line: the row with the names of the columns
        :param list numbers: takes a ``NumberColumn`` for each column in which a
            number was met, as the rows are read
        :return: binary file object
        :raise FileError: ``sheet`` if there is no such sheet; ``workbook`` if it is
            broken, here or as it is read
        """
        if sheet and sheet not in self.names:
            raise FileError("sheet", found=", ".join(self.names), expected=sheet)
        if not self.names:
            return open_stream(())
        place = self.names.index(sheet) if sheet else 0
        chosen = self._book.worksheets[place]
        # What the sheet says of its own size may be wrong.
        chosen.reset_dimensions()
        try:
            width = _measure_header(chosen, header_line)
        except _BROKEN_XML as error:
            raise _get_broken(error) from error
        if not width:
            return open_stream(())
        numbers = [] if numbers is None else numbers
        return open_stream(_write_lines(chosen, width, header_line, numbers))


_BROKEN_XML = (
    *(zipfile.BadZipFile, zlib.error, SyntaxError, ValueError, KeyError),
    *(TypeError, IndexError, AttributeError, OSError, EOFError, OverflowError),
)


def _get_broken(error):
    return FileError("workbook", found=str(error)[:80], expected="XLSX")


def _check(file):
    """Refuse what is no workbook, or one that is made to do harm."""
    start = file.tell()
    if file.read(4) == _OLD_EXCEL:
        raise FileError("workbook", found="XLS", expected="XLSX, CSV")
    file.seek(start)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_directory(archive.infolist())
            for part in archive.infolist():
                _check_part(archive, part)
            if "[Content_Types].xml" not in archive.namelist():
                raise FileError("workbook", found="ZIP", expected="XLSX")
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
        *(NotImplementedError, RuntimeError, ValueError),
    ) as error:
        raise _get_broken(error) from error
    file.seek(start)


def _check_directory(parts):
    if len(parts) > MAX_PARTS:
        raise FileError("too_big", found=f"{len(parts)} parts", expected=str(MAX_PARTS))
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MAX_UNPACKED:
        raise FileError(
            "too_big", found=f"{unpacked} bytes", expected=f"{MAX_UNPACKED} bytes"
        )
    for part in parts:
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError("workbook", found=part.filename[:80], expected="XLSX")
        if part.flag_bits & 1:
            raise FileError("workbook", found="password", expected="XLSX")
        ratio = part.file_size / max(part.compress_size, 1)
        if part.file_size > _SMALL_PART and ratio > MAX_RATIO:
            raise FileError(
                "too_big", found=f"{ratio:.0f} : 1", expected=f"{MAX_RATIO} : 1"
            )


def _check_part(archive, part):
    """Unpack a part without keeping it: is it as long as it says, and plain XML?

    A document type is where entities are declared, those that read other files and
    those that grow; no program writes one into a workbook.
    """
    is_xml = part.filename.lower().endswith((".xml", ".rels", ".vml"))
    size = 0
    tail = b""
    with archive.open(part) as content:
        while chunk := content.read(1 << 16):
            if (
                is_xml
                and not size
                and (chunk.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in chunk[:4])
            ):
                raise FileError("workbook", found=part.filename[:80], expected="UTF-8")
            size += len(chunk)
            if size > part.file_size:
                raise FileError(
                    "too_big", found=f"{size} bytes", expected=f"{part.file_size} bytes"
                )
            seen = tail + chunk
            if is_xml and (b"<!DOCTYPE" in seen or b"<!ENTITY" in seen):
                raise FileError("workbook", found="<!DOCTYPE", expected="XLSX")
            tail = chunk[-16:]


def _measure_header(sheet, header_line):
    rows = sheet.iter_rows(
        min_row=header_line, max_row=header_line, max_col=_MAX_COLUMNS, values_only=True
    )
    cells = next(rows, ())
    return max(
        (place for place, cell in enumerate(cells, 1) if cell is not None), default=0
    )


def _write_lines(sheet, width, header_line, numbers):
    line = 0
    names = []
    seen = set()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    # One more, so that a row that is too long is seen to be.
    rows = sheet.iter_rows(max_col=width + 1)
    while True:
        try:
            cells = next(rows, None)
        except _BROKEN_XML as error:
            raise _get_broken(error) from error
        if cells is None:
            return
        line += 1
        if line > _MAX_ROWS:
            raise FileError(
                "too_big", line=line, found=str(line), expected=str(_MAX_ROWS)
            )
        found = [_write_cell(cell) for cell in cells]
        if line == header_line:
            names = found
        elif line > header_line:
            for place, cell in enumerate(cells[:width]):
                if place not in seen and _has_lost_zeros(cell):
                    seen.add(place)
                    numbers.append(NumberColumn(names[place], line, found[place]))
        if len(found) > width and not found[width]:
            found = found[:width]
        if any(found):
            # A row of a workbook has no empty cells at its end.
            writer.writerow(found + [""] * (width - len(found)))
        else:
            text.write("\n")
        yield text.getvalue().encode("utf-8", "replace")
        text.seek(0)
        text.truncate()


def _has_lost_zeros(cell):
    value = cell.value
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and not _ZERO_FORMAT.fullmatch(cell.number_format or "")
    )


def _write_cell(cell):
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return _write_number(value, cell.number_format or "")
    if isinstance(value, datetime):
        return value.strftime(
            "%Y-%m-%d" if value.time() == time() else "%Y-%m-%d %H:%M:%S"
        )
    if isinstance(value, date):
        return value.isoformat()
    return " ".join(str(value).split())


def _write_number(value, number_format):
    if value != value or value in (float("inf"), float("-inf")):
        return "#NUM!"
    if value != int(value):
        return repr(value)
    digits = str(abs(int(value)))
    if len(digits) >= _LONG_NUMBER and (
        len(digits) > _KEPT_DIGITS or not digits[_SHOWN_DIGITS:].strip("0")
    ):
        return re.sub(r"\.?0*E", "E", f"{value:.14E}")
    if _ZERO_FORMAT.fullmatch(number_format):
        digits = digits.zfill(len(number_format))
    return f"-{digits}" if value < 0 else digits
