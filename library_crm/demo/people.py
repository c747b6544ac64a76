"""Who lives in the demo town: plain data from a seed, without a database."""

import unicodedata
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from string import ascii_lowercase

from .names import CULTURES, INSTITUTIONS, REMARKABLE, STREETS

# The branch near which people live, with its postcode: how many of a hundred.
BRANCHES = {
    "MAIN": (38, "97499"),
    "WEST": (22, "97498"),
    "HARB": (17, "97497"),
    "OAKH": (13, "97496"),
    "BUS": (10, "97494"),
}
CAMPUS = "CAMP"
# Reserved for fiction: 555-0100 to 555-0199 of each area; the first are the staff's.
PHONES = [
    f"+1 {area}-555-01{line:02}"
    for area in (541, 503, 971, 458)
    for line in range(20 if area == 541 else 0, 100)
]
INTERESTS = {
    "child": ["children_story_time", "children_games", "children_summer"],
    "young": ["children_games", "children_homework", "science_makerspace", "arts_film"],
    "adult": [
        "arts_music",
        "arts_crafts",
        "arts_photography",
        "home_gardening",
        "home_cooking",
        "home_repair",
        "language_english",
        "language_spanish",
        "language_conversation",
        "science_makerspace",
        "science_computing",
        "science_nature",
        "work_jobs",
        "work_business",
        "reading_groups",
        "reading_writing",
    ],
    "senior": [
        "history_genealogy",
        "history_local",
        "reading_large_print",
        "reading_groups",
        "reading_poetry",
        "science_computing",
        "home_gardening",
    ],
    "student": ["research_citation", "research_data", "work_jobs", "arts_film"],
    "faculty": ["research_data", "research_open_access", "research_citation"],
    "institution": ["children_story_time", "work_grants", "history_local"],
}


@dataclass
class Person:
    """One patron to be. Days are dates; what does not apply is None."""

    number: int
    name: str
    handle: str
    category: str
    branch: str
    profile: str
    rhythm: str
    gap: int
    enrolled_on: date
    birth_date: date | None = None
    birth_year: int = 0
    household: int | None = None
    guardian: int | None = None
    street: str = ""
    zip: str = ""
    email: str = ""
    phone: str = ""
    preferred_channel: str = "email"
    interests: list = field(default_factory=list)
    archived: bool = False  # when the membership has ended too


class Town:
    """The people of the demo town.

    ``people`` are the patrons, ``households`` the names of the households, by the
    number that the people carry.

    :param int seed: the same seed and day give the same people
    :param datetime.date today: the day that all dates are counted from
    """

    def __init__(self, seed, today):
        self.random = Random(f"people {seed}")
        self.today = today
        self.people = []
        self.households = []
        self._names = set()
        self._handles = set()
        self._phones = iter(PHONES)
        for _index in range(38):
            self._add_family(parents=2 if self.random.random() < 0.8 else 1)
        for _index in range(16):
            self._add_family(parents=1)
        for _index in range(26):
            self._add_couple((24, 63))
        for _index in range(22):
            self._add_couple((65, 91))
        for _index in range(7):
            self._add_family(parents=2, grandparents=self.random.choice((1, 2)))
        for _index in range(16):
            self._add_flat()
        self._add_singles()
        self._add_remarkable()
        self._add_institutions()

    # ------------------------------------------------------------
    # HOUSEHOLDS
    # ------------------------------------------------------------

    def _add_household(self, name):
        """Open a household; its members live at one address, near one branch."""
        branch, (street, zip_code) = self._pick_home()
        self.households.append(f"{name}, {street}")
        return {
            "household": len(self.households) - 1,
            "branch": branch,
            "street": street,
            "zip": zip_code,
        }

    def _add_family(self, parents, grandparents=0):
        culture = self._pick_culture()
        family = self._pick(culture[2])
        home = self._add_household(family[0])
        age = self.random.randint(27, 49)
        adults = [
            self._add_person(culture, family, age + self.random.randint(-4, 4), **home)
            for _index in range(parents)
        ]
        for _index in range(grandparents):
            self._add_person(culture, family, age + self.random.randint(27, 34), **home)
        for _index in range(self.random.choice((1, 1, 2, 2, 2, 3, 4))):
            years = self.random.randint(1, min(17, age - 21))
            self._add_person(
                culture,
                family,
                years,
                guardian=self.random.choice(adults).number,
                **home,
            )

    def _add_couple(self, ages):
        culture, other = self._pick_culture(), self._pick_culture()
        family = self._pick(culture[2])
        home = self._add_household(family[0])
        age = self.random.randint(*ages)
        self._add_person(culture, family, age, **home)
        second = family if self.random.random() < 0.7 else self._pick(other[2])
        self._add_person(
            culture if second == family else other,
            second,
            max(ages[0], age + self.random.randint(-6, 3)),
            **home,
        )

    def _add_flat(self):
        """Students who share a flat."""
        home = self._add_household("Shared flat")
        home["branch"] = CAMPUS
        for _index in range(self.random.choice((2, 2, 3, 3))):
            self._add_person(
                self._pick_culture(),
                None,
                self.random.randint(18, 27),
                "STUDENT",
                **home,
            )

    def _add_singles(self):
        for count, category, ages in (
            (22, None, (20, 63)),
            (14, None, (66, 93)),
            (18, "STUDENT", (18, 33)),
            (13, "FACULTY", (29, 68)),
            (12, "NONRES", (24, 72)),
            (5, "STAFF", (25, 61)),
        ):
            for _index in range(count):
                branch, (street, zip_code) = self._pick_home()
                if category in ("STUDENT", "FACULTY"):
                    branch = CAMPUS
                if category == "NONRES":
                    zip_code = "97488"
                self._add_person(
                    self._pick_culture(),
                    None,
                    self.random.randint(*ages),
                    category,
                    branch=branch,
                    street=street,
                    zip=zip_code,
                )

    def _add_remarkable(self):
        for entry in REMARKABLE:
            name, _bar, handle = entry.partition("|")
            branch, (street, zip_code) = self._pick_home()
            person = self._add(
                name=name,
                handle=handle,
                category="ADULT",
                profile="adult",
                branch=branch,
                street=street,
                zip=zip_code,
            )
            self._set_birth(person, self.random.randint(25, 60))

    def _add_institutions(self):
        for name in INSTITUTIONS:
            branch, (street, zip_code) = self._pick_home()
            self._add(
                name=name,
                handle=name.lower().replace(" ", "-"),
                category="INST",
                profile="institution",
                branch=branch,
                street=street,
                zip=zip_code,
            )

    # ------------------------------------------------------------
    # PERSONS
    # ------------------------------------------------------------

    def _add_person(self, culture, family, age, category=None, **values):
        family = family or self._pick(culture[2])
        name, handle = self._pick_name(culture, family)
        category = category or self._get_category(age)
        person = self._add(
            name=name,
            handle=handle,
            category=category,
            profile=self._get_profile(category),
            **values,
        )
        self._set_birth(person, age)
        if age < 18:
            person.enrolled_on = max(
                person.enrolled_on, person.birth_date + timedelta(days=200)
            )
        return person

    def _add(self, handle, **values):
        rhythm, gap = self._pick_rhythm(values["profile"])
        person = Person(
            number=len(self.people),
            handle=self._unique_handle(handle),
            rhythm=rhythm,
            gap=gap,
            enrolled_on=self._pick_enrolment(rhythm),
            **values,
        )
        self.people.append(person)
        self._set_contact(person)
        wishes = INTERESTS.get(
            {"reader": "adult", "digital": "adult"}.get(person.profile, person.profile)
        )
        person.interests = self.random.sample(
            wishes, min(self.random.choice((0, 0, 1, 1, 2, 3)), len(wishes))
        )
        person.archived = person.rhythm == "gone" and self.random.random() < 0.3
        return person

    def _get_category(self, age):
        """By age; one child in ten has not been moved on after a birthday."""
        if age in (12, 18) and self.random.random() < 0.6:
            age -= 1
        if age < 12:
            return "CHILD"
        if age < 18:
            return "YA"
        return "SENIOR" if age >= 65 else "ADULT"

    def _get_profile(self, category):
        """What people like this use."""
        if category == "ADULT":
            return self.random.choice(("adult", "adult", "adult", "digital", "reader"))
        return {
            "CHILD": "child",
            "YA": "young",
            "SENIOR": "senior",
            "STUDENT": "student",
            "FACULTY": "faculty",
        }.get(category, "adult")

    def _pick_rhythm(self, profile):
        """How somebody comes and goes, and how many days lie between two visits."""
        rhythm = self.random.choices(
            ("steady", "drifting", "gone", "returned", "new", "never"),
            (52, 11, 13, 8, 10, 6),
        )[0]
        if profile == "institution":
            rhythm = "steady"
        gap = self.random.choices((6, 9, 14, 28, 75), (14, 22, 28, 24, 12))[0]
        return rhythm, gap

    def _pick_enrolment(self, rhythm):
        days = {
            "new": self.random.randint(3, 88),
            "gone": self.random.randint(800, 3600),
        }.get(rhythm, self.random.randint(120, 3900))
        return self.today - timedelta(days=days)

    def _set_birth(self, person, age):
        born = self.today - timedelta(
            days=int(age * 365.25) + 1 + self.random.randint(0, 363)
        )
        if age >= 18 and self.random.random() < 0.15:
            person.birth_year = born.year
        elif age < 18 or self.random.random() < 0.93:
            person.birth_date = born

    def _set_contact(self, person):
        chances = {"child": (0, 0), "young": (0.4, 0.3), "senior": (0.65, 0.9)}
        has_email, has_phone = chances.get(person.profile, (0.92, 0.65))
        if self.random.random() < has_email:
            domain = self.random.choice(("example.org", "example.com", "example.net"))
            person.email = f"{person.handle}@{domain}"
        if self.random.random() < has_phone:
            person.phone = next(self._phones, "")
        if not person.email:
            person.preferred_channel = "phone" if person.phone else "post"
        elif self.random.random() < 0.04:
            person.preferred_channel = "none"

    # ------------------------------------------------------------
    # CHOICES
    # ------------------------------------------------------------

    def _pick_culture(self):
        return self.random.choices(
            CULTURES, [weight for weight, _given, _family in CULTURES]
        )[0]

    def _pick(self, names):
        """A name as it is written, and as it stands in an email address."""
        written, _bar, latin = self.random.choice(names.split()).partition("|")
        return written, latin or self._to_latin(written)

    def _pick_name(self, culture, family):
        """A full name that nobody else has, and its handle."""
        for _try in range(30):
            given = self._pick(culture[1])
            name = f"{given[0]} {family[0]}"
            if "\u4e00" <= name[0] <= "\u9fff":
                name = f"{family[0]}{given[0]}"
            if name not in self._names:
                break
        self._names.add(name)
        return name, f"{given[1]}.{family[1]}"

    def _to_latin(self, name):
        plain = name.lower().translate(str.maketrans("łøđ", "lod"))
        letters = unicodedata.normalize("NFKD", plain)
        return "".join(letter for letter in letters if letter in ascii_lowercase + "-")

    def _unique_handle(self, handle):
        unique, count = handle, 1
        while unique in self._handles:
            count += 1
            unique = f"{handle}{count}"
        self._handles.add(unique)
        return unique

    def _pick_home(self):
        branch = self.random.choices(
            list(BRANCHES), [share for share, _zip in BRANCHES.values()]
        )[0]
        street = f"{self.random.randint(1, 290)} {self.random.choice(STREETS)}"
        return branch, (street, BRANCHES[branch][1])
