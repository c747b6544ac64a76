from datetime import date, datetime, timedelta

from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from odoo.tests import tagged
from odoo.tools import SQL

from .common import LibraryCommon
from .properties import EachExampleAlone, examples

CHANNELS = ("email", "phone", "post")
STATES = ("given", "asked", "withdrawn")
START = datetime(2026, 3, 1, 12)
#: Rows of the ledger: which patron and purpose, the channel, what was said, and when.
#: Many are of the same moment, and many are entered late.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 1),
        st.sampled_from(CHANNELS),
        st.sampled_from(STATES),
        st.integers(0, 4),
    ),
    max_size=25,
)


@tagged("post_install", "-at_install")
class TestConsentProperties(EachExampleAlone, LibraryCommon):
    """Whatever was said in whatever order: the newest counts."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Consent = cls.env["library.consent"]
        cls.purposes = cls.env.ref(
            "library_crm.library_consent_purpose_news"
        ) + cls.env.ref("library_crm.library_consent_purpose_survey")
        cls.patrons = cls.amal + cls.bruno
        cls.noor = cls.env["library.patron"].create(
            {"name": "Noor Idris", "company_id": cls.library.id}
        )

    def _enter(self, rows, patrons=None):
        """Add rows in this order, and say what holds after them.

        :return: the state by patron, purpose and channel
        """
        patrons = patrons or self.patrons
        newest = {}
        for who, what, channel, state, minute in rows:
            key = patrons[who], self.purposes[what], channel
            if minute >= newest.get(key, (0, None))[0]:
                newest[key] = minute, state
        self.Consent.create(
            [
                {
                    "patron_id": patrons[who].id,
                    "purpose_id": self.purposes[what].id,
                    "channel": channel,
                    "state": state,
                    "date": START + timedelta(minutes=minute),
                }
                for who, what, channel, state, minute in rows
            ]
        )
        return {key: state for key, (_minute, state) in newest.items()}

    def _get_states(self, patrons):
        return {
            (row.patron_id, row.purpose_id, row.channel): row.state
            for row in self.Consent._get_newest(patrons).values()
        }

    def _query(self, query):
        found = self.env.execute_query(query)
        return self.env["library.patron"].browse(id_ for (id_,) in found)

    @given(ROWS)
    @examples(60)
    def test_newest_row_counts_whoever_asks(self, rows):
        holds = self._enter(rows)
        self.assertEqual(self._get_states(self.patrons), holds)
        for channel in CHANNELS:
            agreed = self.Consent._get_agreed_purposes(self.patrons, channel)
            for purpose in self.purposes:
                asked = purpose, channel
                said_yes = self.patrons.filtered(
                    lambda who, asked=asked: holds.get((who, *asked)) == "given"
                )
                with self.subTest(purpose=purpose.name, channel=channel):
                    self.assertEqual(
                        self.patrons.filtered(
                            lambda who, agreed=agreed, purpose=purpose: (
                                purpose in agreed.get(who.id, ())
                            )
                        ),
                        said_yes,
                    )
                    found = self._query(self.Consent._query_agreed(purpose, channel))
                    self.assertEqual(found & self.patrons, said_yes)
                    self.assertEqual(
                        self.Consent._filter_reachable(self.patrons, *asked), said_yes
                    )
        for purpose in self.purposes:
            objected = self._query(self.Consent._query_objected(purpose.kind))
            said_no = {
                who
                for (who, what, _channel), state in holds.items()
                if state == "withdrawn" and what.kind == purpose.kind
            }
            self.assertEqual(set(objected & self.patrons), said_no)
            first = self.patrons[:1]
            objected = self._query(
                self.Consent._query_objected(
                    purpose.kind, SQL("patron.id = %s", first.id)
                )
            )
            self.assertEqual(set(objected), said_no & set(first))

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 1),
                st.sampled_from(CHANNELS),
                st.sampled_from(["given", "withdrawn"]),
            ),
            max_size=12,
        )
    )
    @examples(15)
    def test_what_is_said_last_holds_and_saying_it_twice_adds_nothing(self, words):
        last = {}
        for minute, (what, channel, state) in enumerate(words):
            purpose = self.purposes[what]
            with freeze_time(START + timedelta(minutes=minute)):
                said = (self.bruno, purpose, channel, state)
                rows = self.Consent._record(*said)
                changed = last.get((self.bruno, purpose, channel)) != state
                self.assertEqual(len(rows), changed)
                self.assertFalse(self.Consent._record(*said))
            last[self.bruno, purpose, channel] = state
        self.assertEqual(self._get_states(self.bruno), last)

    @given(
        st.lists(
            st.sampled_from(
                ["yes", "yes online", "no", "confirm", "other address", "bounce"]
            ),
            max_size=10,
        )
    )
    @examples(40)
    def test_nobody_but_the_patron_makes_a_no_a_yes(self, events):
        """And a yes from the website counts from the moment when the address has proved
        to be the patron's."""
        news, holds, is_proved, is_online = self.purposes[0], None, False, False
        for number, event in enumerate(events):
            if event in ("yes", "yes online"):
                source = "portal" if event == "yes online" else "desk"
                self.Consent._record(self.bruno, news, source=source)
                waits = source == "portal" and not is_proved
                if holds != "given" or not waits:
                    if holds != "given":
                        is_online = source == "portal"
                    holds = "asked" if waits else "given"
            elif event == "no":
                self.Consent._record(self.bruno, news, state="withdrawn")
                holds = "withdrawn"
            elif event == "confirm":
                self.bruno._confirm_email()
                is_proved = True
                if holds == "asked":
                    holds, is_online = "given", True
            elif event == "other address":
                self.bruno.email = f"bruno.{number}@test.example.com"
                is_proved = False
                if holds == "given" and is_online:
                    holds = "asked"
            else:
                self.Consent._stop(self.bruno, "bounce")
                holds = holds and "withdrawn"
            found = self._get_states(self.bruno)
            self.assertEqual(found.get((self.bruno, news, "email")), holds, event)

    @given(ROWS)
    @examples(12)
    def test_of_two_who_are_one_person_the_newest_word_counts(self, rows):
        pair = self.bruno + self.noor
        self._enter(rows, pair)
        one = self._enter([(0, *row[1:]) for row in rows], self.amal)
        self.bruno._merge(self.noor)
        merged = {
            (self.amal, what, channel): state
            for (_who, what, channel), state in self._get_states(self.bruno).items()
        }
        self.assertEqual(merged, one)

    # ------------------------------------------------------------
    # MINORS
    # ------------------------------------------------------------

    @given(
        today=st.sampled_from(
            [date(2027, 2, 28), date(2028, 2, 28), date(2028, 2, 29), date(2027, 3, 1)]
        ),
        age=st.sampled_from([0, 13, 15, 16]),
        born=st.none()
        | st.integers(-1, 1)
        | st.sampled_from([date(2012, 2, 29), date(2011, 2, 28), date(2012, 3, 1)])
        | st.dates(date(2009, 1, 1), date(2016, 12, 31)),
        is_child=st.booleans(),
        guardian=st.sampled_from(["none", "without an address", "with an address"]),
        said=st.tuples(*[st.sampled_from(["given", *STATES])] * 2),
    )
    @examples(50)
    def test_minor_is_reached_through_the_guardian_or_not_at_all(
        self, today, age, born, is_child, guardian, said
    ):
        """:param born: a day, the years beside the one in which the age is reached, or
        unknown"""
        if isinstance(born, int):
            born += today.year - age
        is_date = isinstance(born, date)
        self.library.library_minor_age = age
        if guardian == "without an address":
            self.amal.email = False
        self.noor.write(
            {
                "birth_date": is_date and born,
                "birth_year": born.year if is_date else born,
                "patron_category_id": (self.child if is_child else self.adult).id,
                "guardian_id": guardian != "none" and self.amal.id,
                "email": "noor.idris@test.example.com",
            }
        )
        rows = [(0, what, "email", state, 0) for what, state in enumerate(said)]
        holds = self._enter(rows, self.noor)
        if is_date:
            has_had_birthday = (today.month, today.day) >= (born.month, born.day)
            is_minor = today.year - born.year - (not has_had_birthday) < age
        else:
            is_minor = today.year - born <= age if born else is_child
        is_minor = is_minor and age > 0
        reader = self.noor
        if is_minor and guardian == "with an address":
            reader = self.amal
        with freeze_time(f"{today} 12:00:00"):
            self.env.invalidate_all()
            self.assertEqual(self.noor.is_minor, is_minor)
            self.assertEqual(self.noor._get_mail_recipients()[self.noor], reader)
            for purpose in self.purposes:
                agreed = holds.get((self.noor, purpose, "email")) == "given"
                find = self.Consent._filter_reachable
                may = agreed and (not is_minor or reader != self.noor)
                self.assertEqual(bool(find(self.noor, purpose)), may)
                # As a contact nobody would turn to the guardian.
                contact = self.noor.partner_id
                self.assertEqual(bool(find(contact, purpose)), agreed and not is_minor)
