from abc import ABC, abstractmethod

from .table import CLEAN_MARK, Table, clean


class FileFormat(ABC):
    """A kind of file that holds rows, and what is to be made of them.

    A file is cleaned once, on its way in: only what is used is kept. The copy is read
    as often as need be. Values are made of a row by ``convert``, apart from reading
    it, so that who knows the row already can spare them.
    """

    #: The columns of a cleaned copy, as a ``Layout``.
    layout = None

    @abstractmethod
    def clean(self, source, target):
        """Copy what is used of a file.

        :param source: binary file object that can seek, open for reading
        :param target: binary file object, open for writing
        :rtype: table.Summary
        :raise FileError: if the file can not be read
        """

    def rows(self, file):
        """Yield a ``Row`` without values for each row that is not blank.

        :param file: binary file object that can seek: a cleaned copy
        :raise FileError: if the file can not be read
        """
        yield from Table(file, self.layout)

    @abstractmethod
    def convert(self, row):
        """The row with its values, or with what is wrong with it.

        :rtype: table.Row
        """

    def get_column(self, name):
        """What the file calls a field of ours, for messages."""
        return name

    def get_settings(self):
        """What decides, beside its cells, which values a row has, as a text."""
        return f"{type(self).__name__} {vars(self)}"


class TableFormat(FileFormat):
    """A file with a header and rows; ``rows`` reads it as it is, too."""

    def clean(self, source, target):
        """See ``table.clean``."""
        stream, *how = self._open(source)
        return clean(stream, target, *how)

    def rows(self, file):
        start = file.tell()
        is_clean = file.read(len(CLEAN_MARK)) == CLEAN_MARK
        file.seek(start)
        yield from Table(file, self.layout) if is_clean else Table(*self._open(file))

    def read_all(self, file):
        """Yield a ``Row`` with values or an error for each row that is not blank."""
        return map(self.convert, self.rows(file))

    @abstractmethod
    def _open(self, file):
        """The file as UTF-8, its layout, and the encoding that it had."""
