"""Three years of use of the demo library: plain rows from a seed, without a database.

A row is (number of the person or None, code of the service, code of the branch, day,
quantity): that a service was used, never what was read.
"""

from datetime import date, timedelta
from random import Random

YEARS = 3
HOLIDAYS = {(1, 1), (7, 4), (12, 25)}
ONLINE = {"ebook", "eresource", "renewal", "search", "turnaway"}
BRANCH_CHANNELS = {"BUS": "outreach"}
# The bus has neither rooms nor computers.
ON_THE_BUS = {"loan", "return", "visit", "reference", "programme", "ill"}

# How busy each month is, January first.
SEASONS = {
    "town": (1.1, 1.0, 1.05, 1.0, 0.95, 1.1, 1.15, 0.7, 1.0, 1.1, 1.05, 0.75),
    "child": (1.0, 0.95, 1.0, 1.0, 0.9, 1.7, 1.8, 0.6, 0.9, 1.05, 0.95, 0.7),
    "senior": (1.25, 1.2, 1.1, 1.0, 0.85, 0.8, 0.75, 0.7, 0.95, 1.1, 1.2, 0.9),
    "term": (0.8, 1.0, 1.1, 1.5, 1.6, 0.5, 0.2, 0.15, 0.9, 1.1, 1.6, 1.1),
}
SEASON_OF_PROFILE = {
    "child": "child",
    "young": "child",
    "senior": "senior",
    "student": "term",
    "faculty": "term",
    "institution": "term",
}

# For each kind of person: service, how likely on a day of use, least and most uses.
SERVICES = {
    "child": [
        ("loan", 0.85, 2, 8),
        ("return", 0.5, 1, 7),
        ("renewal", 0.15, 1, 4),
        ("programme", 0.25, 1, 1),
        ("inhouse", 0.1, 1, 3),
        ("visit", 0.2, 1, 1),
    ],
    "young": [
        ("loan", 0.6, 1, 4),
        ("return", 0.35, 1, 4),
        ("computer", 0.3, 1, 1),
        ("programme", 0.15, 1, 1),
        ("ebook", 0.15, 1, 2),
        ("visit", 0.3, 1, 1),
    ],
    "adult": [
        ("loan", 0.7, 1, 5),
        ("return", 0.45, 1, 4),
        ("renewal", 0.2, 1, 3),
        ("ebook", 0.2, 1, 2),
        ("computer", 0.07, 1, 1),
        ("printing", 0.08, 1, 2),
        ("reference", 0.06, 1, 1),
        ("programme", 0.07, 1, 1),
        ("room", 0.02, 1, 1),
        ("ill", 0.03, 1, 1),
        ("visit", 0.25, 1, 1),
    ],
    "reader": [
        ("loan", 0.95, 1, 4),
        ("return", 0.7, 1, 4),
        ("renewal", 0.2, 1, 2),
        ("ill", 0.06, 1, 1),
    ],
    "digital": [
        ("ebook", 0.9, 1, 3),
        ("eresource", 0.25, 1, 3),
    ],
    "senior": [
        ("loan", 0.8, 1, 6),
        ("return", 0.55, 1, 5),
        ("reference", 0.09, 1, 1),
        ("programme", 0.12, 1, 1),
        ("computer", 0.1, 1, 1),
        ("inhouse", 0.2, 1, 2),
        ("ebook", 0.06, 1, 1),
        ("visit", 0.35, 1, 1),
    ],
    "student": [
        ("eresource", 0.6, 1, 7),
        ("computer", 0.3, 1, 2),
        ("room", 0.2, 1, 1),
        ("loan", 0.25, 1, 3),
        ("return", 0.15, 1, 3),
        ("printing", 0.3, 1, 3),
        ("reference", 0.06, 1, 1),
        ("consultation", 0.05, 1, 1),
        ("visit", 0.3, 1, 1),
    ],
    "faculty": [
        ("eresource", 0.7, 1, 9),
        ("ill", 0.18, 1, 2),
        ("consultation", 0.1, 1, 1),
        ("loan", 0.3, 1, 4),
        ("return", 0.15, 1, 4),
    ],
    "institution": [
        ("loan", 0.8, 8, 30),
        ("return", 0.6, 8, 30),
        ("programme", 0.2, 8, 18),
        ("room", 0.1, 1, 1),
    ],
}

# People through the door on an ordinary day who show no card.
DOOR = {"MAIN": 60, "WEST": 24, "HARB": 19, "OAKH": 12, "CAMP": 45, "BUS": 7}
# A weekend is busier than a Monday: Monday first.
WEEKDAYS = (0.85, 1.0, 1.05, 1.0, 0.9, 1.3, 1.2)


class Use:
    """What the people did in the last three years.

    :param int seed: the same seed, people, hours and day give the same rows
    :param list[Person] people: see :class:`.people.Town`
    :param dict[str, set[int]] open_days: by branch code, the weekdays on which it is
        open (Monday is 0)
    :param datetime.date today: rows end the day before
    """

    def __init__(self, seed, people, open_days, today):
        self.random = Random(f"use {seed}")
        self.people = people
        self.open_days = open_days
        self.last = today - timedelta(days=1)
        self.first = date(today.year - YEARS, today.month, 1)

    def rows(self):
        rows = []
        for person in self.people:
            for day in self._days_of(person):
                rows.extend(self._uses_on(person, day))
        rows.extend(self._door_counts())
        rows.extend(self._platform_counts())
        return rows

    # ------------------------------------------------------------
    # PERSONS
    # ------------------------------------------------------------

    def _days_of(self, person):
        """The days on which somebody used the library, in their own rhythm."""
        if person.rhythm == "never":
            return
        season = SEASONS[SEASON_OF_PROFILE.get(person.profile, "town")]
        first, last, hole = max(self.first, person.enrolled_on), self.last, None
        if person.rhythm == "gone":
            last -= timedelta(days=self.random.randint(190, 800))
        elif person.rhythm == "drifting":
            last -= timedelta(days=self.random.randint(35, 170))
        elif person.rhythm == "returned":
            back = self.last - timedelta(days=self.random.randint(20, 150))
            hole = (back - timedelta(days=self.random.randint(240, 420)), back)
        start = first + timedelta(days=self.random.randint(0, person.gap))
        if person.rhythm == "new":
            start = first
        day = start
        while day <= last:
            if not hole or not hole[0] < day < hole[1]:
                yield day
            step = person.gap * self.random.uniform(0.5, 1.5) / season[day.month - 1]
            if person.rhythm == "drifting" and (last - day).days < 330:
                step *= 2.5
            day += timedelta(days=max(1, min(round(step), 75 + person.gap)))

    def _uses_on(self, person, day):
        branch = person.branch
        if self.random.random() < 0.12:
            branch = self.random.choice(("MAIN", "WEST", "HARB"))
        at_branch = self._next_open_day(branch, day)
        trend = 0.8 + 0.4 * (day - self.first).days / (self.last - self.first).days
        for service, likely, least, most in SERVICES[person.profile]:
            if service in ("ebook", "eresource"):
                likely *= trend
            if service == "programme" and day.month in (6, 7):
                likely *= 1.8
            if branch == "BUS" and service not in ON_THE_BUS | ONLINE:
                continue
            if self.random.random() >= likely:
                continue
            when = day if service in ONLINE else at_branch
            if when <= self.last:
                yield (
                    person.number,
                    service,
                    branch,
                    when,
                    self.random.randint(least, most),
                )

    def _next_open_day(self, branch, day):
        while not self._is_open(branch, day):
            day += timedelta(days=1)
        return day

    def _is_open(self, branch, day):
        return (
            day.weekday() in self.open_days[branch]
            and (day.month, day.day) not in HOLIDAYS
        )

    # ------------------------------------------------------------
    # THE DOOR AND THE WI-FI
    # ------------------------------------------------------------

    def _door_counts(self):
        """What the counters say: visits and wi-fi sessions of people without a name."""
        for branch, ordinary in DOOR.items():
            season = SEASONS["term" if branch == "CAMP" else "town"]
            for offset in range((self.last - self.first).days + 1):
                day = self.first + timedelta(days=offset)
                if not self._is_open(branch, day):
                    continue
                visits = (
                    ordinary
                    * season[day.month - 1]
                    * WEEKDAYS[day.weekday()]
                    * self.random.uniform(0.8, 1.2)
                )
                yield None, "visit", branch, day, max(1, round(visits))
                if branch != "BUS":
                    sessions = visits * self.random.uniform(0.25, 0.4)
                    yield None, "wifi", branch, day, max(1, round(sessions))

    def _platform_counts(self):
        """What platforms report of each month that is over: searches, and how often
        somebody was turned away."""
        month = self.first.replace(day=1)
        while month < self.last.replace(day=1):
            season = SEASONS["term"][month.month - 1]
            yield None, "search", "CAMP", month, round(90 * season) + 5
            yield None, "turnaway", "CAMP", month, round(14 * season) + 1
            month = (month + timedelta(days=31)).replace(day=1)
