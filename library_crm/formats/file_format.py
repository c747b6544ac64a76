from abc import ABC, abstractmethod

from .table import CLEAN_MARK, Table, clean


class FileFormat(ABC):
    """A kind of file with a header and rows, and what is to be made of them.

    A file is cleaned once, on its way in: only used columns are kept. The copy is
    read as often as need be. Values are made of a row by ``convert``, apart from
    reading it, so that who knows the row already can spare them.
    """

    def clean(self, source, target):
        """Copy a file without the columns that are not used; see ``table.clean``.

        :param source: binary file object that can seek, open for reading
        :param target: binary file object, open for writing
        :rtype: table.Summary
        :raise FileError: if the file can not be read
        """
        stream, layout, encoding = self._open(source)
        return clean(stream, target, layout, encoding)

    def rows(self, file):
        """Yield a ``Row`` without values for each row that is not blank.

        :param file: binary file object that can seek: a cleaned copy, or the file
        :raise FileError: if the file can not be read
        """
        start = file.tell()
        is_clean = file.read(len(CLEAN_MARK)) == CLEAN_MARK
        file.seek(start)
        if is_clean:
            yield from Table(file, self._get_layout())
        else:
            yield from Table(*self._open(file))

    def read_all(self, file):
        """Yield a ``Row`` with values or an error for each row that is not blank."""
        return map(self.convert, self.rows(file))

    @abstractmethod
    def convert(self, row):
        """The row with its values, or with what is wrong with it.

        :rtype: Row
        """

    @abstractmethod
    def _get_layout(self):
        """The columns of a cleaned file.

        :rtype: Layout
        """

    @abstractmethod
    def _open(self, file):
        """The file as UTF-8, its layout, and the encoding that it had."""
