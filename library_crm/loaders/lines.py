"""On which lines of a file somebody stands, in little memory: there may be millions."""

from array import array

# Of patron ids, those that are kept in one array.
_PART = 1 << 16
_NO_LINE = 0xFFFFFFFF


class PatronLines:
    """By the id of a patron, the line on which the patron stands: 4 bytes an id."""

    def __init__(self):
        self._parts = {}

    def set(self, patron_id, line):
        """:param int line: from 1 on"""
        number, place = divmod(patron_id, _PART)
        if number not in self._parts:
            self._parts[number] = array("I", bytes(4 * _PART))
        if self._parts[number][place] in (0, _NO_LINE):
            self._parts[number][place] = line

    def mark(self, patron_id):
        """The patron stands in the file, in a row of which nothing was taken."""
        self.set(patron_id, _NO_LINE)

    def get(self, patron_id):
        """The first line of which something was taken; 0: none."""
        line = self._get(patron_id)
        return 0 if line == _NO_LINE else line

    def __contains__(self, patron_id):
        return self._get(patron_id) != 0

    def _get(self, patron_id):
        number, place = divmod(patron_id, _PART)
        part = self._parts.get(number)
        return part[place] if part else 0


class KeyLines:
    """By a key, the line on which it stands: some 20 bytes a key.

    The key itself is not kept, only 64 bits that follow from it; that two of a million
    keys have the same is as good as impossible.
    """

    def __init__(self):
        self._hashes = array("Q", bytes(8 * 1024))
        self._lines = array("I", bytes(4 * 1024))
        self._count = 0

    def add(self, key, line):
        """Keep the line, unless there is one already."""
        number = self.hash_key(key)
        place = self._find(number)
        if self._hashes[place]:
            return
        self._hashes[place], self._lines[place] = number, line
        self._count += 1
        if self._count * 3 > len(self._hashes) * 2:
            self._grow()

    def get(self, key):
        """The line; 0: none."""
        return self.get_by_hash(self.hash_key(key))

    def get_by_hash(self, number):
        return self._lines[self._find(number)]

    @staticmethod
    def hash_key(key):
        # Python mixes a secret of the process into it, so nobody can make two alike.
        return hash(key) & 0xFFFFFFFFFFFFFFFF or 1

    def _find(self, number):
        """Where the number is, or where it is to be put."""
        hashes, mask = self._hashes, len(self._hashes) - 1
        place = number & mask
        while hashes[place] and hashes[place] != number:
            place = (place + 1) & mask
        return place

    def _grow(self):
        hashes, lines = self._hashes, self._lines
        self._hashes = array("Q", bytes(16 * len(hashes)))
        self._lines = array("I", bytes(8 * len(lines)))
        for number, line in zip(hashes, lines, strict=True):
            if number:
                place = self._find(number)
                self._hashes[place], self._lines[place] = number, line
