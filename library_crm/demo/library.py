"""Puts the demo town into the database. Everything hangs on the seed and on the day,
so the same call makes the same library; dates are counted back from today, so the demo
does not grow old."""

from datetime import datetime, time, timedelta
from random import Random

from dateutil.relativedelta import relativedelta

from odoo.fields import Command, Domain
from odoo.tools import SQL

from .library_joins import DemoJoins
from .library_requests import DemoRequests
from .people import Person, Town
from .use import BRANCH_CHANNELS, ONLINE, Use

# Patrons who are in the demo files by name, because one of them signs in.
NAMED = [
    ("library_patron", "ADULT", "adult", 9),
    ("library_patron_child_1", "CHILD", "child", 9),
    ("library_patron_child_2", "YA", "young", 14),
]
#: How far back the figures by month go: further than the rows that they are made of.
YEARS_OF_FIGURES = 5
#: How much of a year's use there was in the year before.
GROWTH = 0.96
STATES_BY_RHYTHM = {
    "steady": {"active": 87, "grace": 5, "suspended": 8},
    "drifting": {"active": 60, "grace": 22, "expired": 18},
    "gone": {"active": 10, "expired": 60, "cancelled": 30},
    "returned": {"active": 100},
    "new": {"active": 100},
    "never": {"active": 40, "expired": 20, "draft": 40},
}
PROOFS = {
    "paper": "Membership form, signed; kept in the folder of its year.",
    "import": "Taken over from the newsletter's own list.",
}
QUIET = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_activity_quick_update": True,
    "no_reset_password": True,
}


class DemoLibrary:
    """One library with its people, memberships, use and requests.

    :param odoo.api.Environment env: of a user who may do everything
    :param company: the ``res.company`` that is the library; it has the branches,
        categories and plans of the demo files, by their codes and names
    :param int seed: the same seed and day make the same library
    :param datetime.date today: the day that all dates are counted from
    """

    def __init__(self, env, company, seed, today):
        self.env = env(context={**env.context, "lang": "en_US", **QUIET})
        self.company = company
        self.seed = seed
        self.today = today
        town = Town(seed, today)
        self.people, self.household_names = town.people, town.households
        self.branches = self._by("library.branch", "code")
        self.categories = self._by("library.patron.category", "code")
        self.plans = self._by("library.membership.plan", "name")
        self.services = {
            service.code: service for service in self.env["library.service"].search([])
        }
        self._refs = {}
        self.patrons = {}
        self.named = set()
        self.requests = self.env["crm.lead"]

    def _by(self, model, key):
        records = self.env[model].search([("company_id", "=", self.company.id)])
        return {record[key]: record for record in records}

    def ref(self, name):
        """A record of the data or demo files, looked up once."""
        if name not in self._refs:
            self._refs[name] = self.env.ref(f"library_crm.{name}")
        return self._refs[name]

    def random(self, part):
        """Each part has its own dice, so that a change of one leaves the others."""
        return Random(f"{part} {self.seed}")

    def days_ago(self, days):
        return self.today - timedelta(days=days)

    def at(self, day, random):
        """A moment in the opening hours of a day; the demo library lies in UTC-8."""
        return datetime.combine(day, time(17)) + timedelta(
            minutes=random.randint(0, 400)
        )

    def add_named_family(self):
        """Let the patrons of the demo files live like the others."""
        for name, category, profile, gap in NAMED:
            patron = self.ref(name)
            person = Person(
                number=len(self.people),
                name=patron.name,
                handle="",
                category=category,
                branch=patron.branch_id.code,
                profile=profile,
                rhythm="steady",
                gap=gap,
                enrolled_on=patron.enrolled_on,
                birth_date=patron.birth_date,
                email=patron.email or "",
            )
            self.people.append(person)
            self.patrons[person.number] = patron
            self.named.add(person.number)

    def make(self):
        """Everything except the mailings, which belong to no company."""
        memberships = self._plan_memberships()
        self._make_patrons()
        self._make_memberships(memberships)
        self._make_consents()
        self._make_use()
        self._make_earlier_months()
        self.requests = DemoRequests(self).make()
        DemoJoins(self).make()
        self._archive()

    # ------------------------------------------------------------
    # PATRONS
    # ------------------------------------------------------------

    def _make_patrons(self):
        random = self.random("patrons")
        to_make = [person for person in self.people if person.number not in self.named]
        households = self.env["library.household"].create(
            [
                {"name": name, "company_id": self.company.id}
                for name in self.household_names
            ]
        )
        country, state = self.company.country_id, self.company.state_id
        liaisons = {"FACULTY": "campus", "STUDENT": "campus", "INST": "marketing"}
        values = []
        for person in to_make:
            liaison = liaisons.get(person.category)
            if not liaison and random.random() < 0.05:
                liaison = "desk"
            if person.category == "STUDENT" and random.random() < 0.7:
                liaison = None
            values.append(
                {
                    "name": person.name,
                    "is_company": person.category == "INST",
                    "street": person.street,
                    "zip": person.zip,
                    "city": self.company.city,
                    "state_id": state.id,
                    "country_id": country.id,
                    "email": person.email or False,
                    "phone": person.phone or False,
                    "company_id": self.company.id,
                    "card_number": f"{1000 + person.number * 37:010}",
                    "patron_category_id": self.categories[person.category].id,
                    "branch_id": self.branches[person.branch].id,
                    "birth_date": person.birth_date or False,
                    "birth_year": person.birth_year
                    or (person.birth_date and person.birth_date.year)
                    or False,
                    "preferred_channel": person.preferred_channel,
                    "household_id": person.household is not None
                    and households[person.household].id,
                    "enrolled_on": person.enrolled_on,
                    "liaison_id": liaison and self.ref(f"library_user_{liaison}").id,
                    "interest_ids": [
                        Command.set(
                            [
                                self.ref(f"library_interest_{interest}").id
                                for interest in person.interests
                            ]
                        )
                    ],
                }
            )
        patrons = self.env["library.patron"].create(values)
        self.patrons.update(
            (person.number, patron)
            for person, patron in zip(to_make, patrons, strict=True)
        )
        for person in to_make:
            if person.guardian is not None:
                self.patrons[person.number].guardian_id = self.patrons[person.guardian]

    # ------------------------------------------------------------
    # MEMBERSHIPS
    # ------------------------------------------------------------

    def _plan_memberships(self):
        """The lines of everybody, as values with the number of the person.

        A person is a patron since the first day of the first line. No line is so close
        to a change of state that a time zone could decide it.

        :return: list of (number, values, list of renewal values, values of an older
            line that had expired before, or None)
        """
        random = self.random("memberships")
        planned = []
        for person in self.people:
            plan = self.categories[person.category].plan_id
            if person.profile == "digital" and random.random() < 0.5:
                plan = self.plans["Digital Card"]
            elif person.rhythm == "new" and person.category == "ADULT":
                plan = random.choice((plan, plan, plan, self.plans["Visitor"]))
            values, renewals, older = self._plan_membership(person, plan, random)
            planned.append((person.number, values, renewals, older))
            person.archived &= values["state"] in ("expired", "cancelled")
            person.enrolled_on = min((older or values)["date_start"], self.today)
            if (
                person.rhythm == "steady"
                and values["state"] == "active"
                and person.profile in ("adult", "young", "student")
                and random.random() < 0.14
            ):
                planned.append((person.number, *self._plan_second(random), None))
        return planned

    def _plan_membership(self, person, plan, random):
        weights = STATES_BY_RHYTHM[person.rhythm]
        state = random.choices(list(weights), weights.values())[0]
        if not plan.period_count:
            return self._values(plan, person.enrolled_on, False, "active"), [], None
        if state == "draft":
            # A free one waits for its day, the others for their fee.
            days = random.randint(-4, 0) if plan.fee else random.randint(3, 12)
            start = self.today + timedelta(days=days)
            return self._values(plan, start, plan._get_end(start), state), [], None
        if person.rhythm == "returned":
            older = self._plan_older(person, plan, random)
            if older:
                start = self.days_ago(random.randint(30, 150))
                values = self._values(plan, start, plan._get_end(start), "active")
                return values, [], older
        period = self._period(plan)
        length = (plan._get_end(self.today) - self.today).days
        last_day = self._pick_last_day(plan, state, length, random)
        start = last_day + timedelta(days=1) - period
        too_young = person.birth_date and start < person.birth_date
        if (
            person.rhythm == "new"
            or too_young
            or (state == "active" and start < person.enrolled_on)
        ):
            state, start = "active", person.enrolled_on
            last_day = plan._get_end(start)
            if last_day < self.today + timedelta(days=2):
                start = self.days_ago(random.randint(2, 20))
                last_day = plan._get_end(start)
        count = 0
        while count < 8 and start - period >= person.enrolled_on:
            start -= period
            count += 1
        renewals, last_day = self._plan_renewals(plan, start, count, random)
        values = self._values(plan, start, last_day, state)
        self._complete_by_state(person, values, random)
        return values, renewals, None

    def _period(self, plan):
        return relativedelta(**{f"{plan.period_unit}s": plan.period_count})

    def _values(self, plan, start, end, state):
        return {
            "plan_id": plan.id,
            "date_start": start,
            "date_end": end,
            "state": state,
        }

    def _pick_last_day(self, plan, state, length, random):
        days = {
            "active": lambda: (
                random.randint(3, 30)
                if length > 40 and random.random() < 0.2
                else random.randint(3, length - 3)
            ),
            "grace": lambda: -random.randint(3, plan.grace_days - 3),
            "expired": lambda: -plan.grace_days - random.randint(4, 600),
            "cancelled": lambda: random.randint(-250, 250),
            "suspended": lambda: random.randint(20, 250),
        }[state]()
        return self.today + timedelta(days=days)

    def _plan_renewals(self, plan, start, count, random):
        """Renewals in time, one a period, up to the last end."""
        renewals, end = [], plan._get_end(start)
        for _index in range(count):
            new_end = plan._get_end(end + timedelta(days=1))
            renewals.append(
                {
                    "date": min(end, self.days_ago(1))
                    - timedelta(days=random.randint(0, 25)),
                    "old_end": end,
                    "new_end": new_end,
                    "fee": plan.fee,
                    "user_id": self.ref(
                        f"library_user_{random.choice(('desk', 'desk', 'westgate'))}"
                    ).id,
                }
            )
            end = new_end
        return renewals, end

    def _complete_by_state(self, person, values, random):
        """What a barred or cancelled line says besides."""
        if values["state"] == "suspended":
            reason = random.choice(("lost_card", "unpaid", "absence"))
            values["suspended_on"] = self.days_ago(random.randint(3, 60))
            if random.random() < 0.6:
                until = self.today + timedelta(days=random.randint(4, 60))
                values["suspended_until"] = until
        elif values["state"] == "cancelled":
            reasons = ["moved", "moved", "no_need", "dissatisfied"]
            reasons += {"SENIOR": ["deceased"] * 3, "NONRES": ["cost"] * 3}.get(
                person.category, []
            )
            reason = random.choice(reasons)
            values["cancelled_on"] = max(
                values["date_start"],
                min(values["date_end"], self.days_ago(2))
                - timedelta(days=random.randint(5, 150)),
            )
        else:
            return
        values["reason_id"] = self.ref(f"library_membership_reason_{reason}").id

    def _plan_older(self, person, plan, random):
        """The line that had expired before somebody came back."""
        end = self.days_ago(200 + plan.grace_days + random.randint(0, 180))
        start = end + timedelta(days=1) - self._period(plan)
        if person.birth_date and start < person.birth_date:
            return None
        return self._values(plan, start, plan._get_end(start), "expired")

    def _plan_second(self, random):
        plan = self.plans["Makerspace Pass"]
        start = self.days_ago(random.randint(5, 150))
        return self._values(plan, start, plan._get_end(start), "active"), []

    def _make_memberships(self, planned):
        Membership = self.env["library.membership"]
        returned = [line for line in planned if line[3]]
        older = Membership.create(
            [
                {**values, "patron_id": self.patrons[number].id}
                for number, _values, _renewals, values in returned
            ]
        )
        previous = {
            line[0]: membership.id
            for line, membership in zip(returned, older, strict=True)
        }
        memberships = Membership.create(
            [
                {
                    **values,
                    "patron_id": self.patrons[number].id,
                    "previous_id": previous.get(number),
                }
                for number, values, _renewals, _older in planned
            ]
        )
        self.env["library.membership.renewal"].create(
            [
                {**renewal, "membership_id": membership.id}
                for line, membership in zip(planned, memberships, strict=True)
                for renewal in line[2]
            ]
        )
        for person in self.people:
            patron = self.patrons[person.number]
            if patron.enrolled_on != person.enrolled_on:
                patron.enrolled_on = person.enrolled_on

    # ------------------------------------------------------------
    # CONSENT
    # ------------------------------------------------------------

    def _make_consents(self):
        random = self.random("consents")
        chances = {"news": 0.68, "survey": 0.45, "profiling": 0.3}
        rows = []
        for person in self.people:
            if person.profile in ("child", "young") or person.rhythm == "never":
                continue
            channel = "email" if person.email else person.preferred_channel
            if channel not in ("email", "phone", "post"):
                continue
            for purpose, chance in chances.items():
                is_named = person.number in self.named
                if not is_named and random.random() >= chance:
                    continue
                days = (self.today - person.enrolled_on).days
                given = random.randint(1, max(1, min(days, 900)))
                source = random.choice(("paper", "form", "desk", "portal", "import"))
                if channel == "email" and not is_named and random.random() < 0.03:
                    # Agreed on the website, and has not confirmed the address yet.
                    source = random.choice(("form", "address"))
                    asked = random.randint(0, 6)
                    rows.append(
                        (asked, person.number, purpose, channel, "asked", source)
                    )
                    if source == "form":
                        continue
                    given, source = max(given, 8), "form"
                rows.append((given, person.number, purpose, channel, "given", source))
                if given > 40 and not is_named and random.random() < 0.12:
                    back = random.randint(1, given - 20)
                    source = random.choice(
                        ("mail", "mail", "portal", "desk", "bounce", "complaint")
                        if channel == "email"
                        else ("desk", "paper")
                    )
                    rows.append(
                        (back, person.number, purpose, channel, "withdrawn", source)
                    )
                    if back > 30 and random.random() < 0.2:
                        rows.append(
                            (
                                back - 25,
                                person.number,
                                purpose,
                                channel,
                                "given",
                                "desk",
                            )
                        )
        for person in self.people:
            # Of the children that sign in nowhere themselves, some guardians agreed.
            if person.guardian is None or person.profile not in ("child", "young"):
                continue
            if person.number in self.named or random.random() < 0.4:
                days = max(1, (self.today - person.enrolled_on).days)
                given = random.randint(1, min(days, 600))
                source = random.choice(("paper", "portal"))
                rows.append((given, person.number, "news", "email", "given", source))
        rows.sort(key=lambda row: (-row[0], row[1:]))
        staff = {"desk": "desk", "paper": "desk", "import": "manager"}
        self.env["library.consent"].create(
            [
                {
                    "patron_id": self.patrons[number].id,
                    "purpose_id": self.ref(f"library_consent_purpose_{purpose}").id,
                    "channel": channel,
                    "state": state,
                    "source": source,
                    "proof": PROOFS.get(source),
                    "date": self.at(self.days_ago(days), random),
                    "user_id": source in staff
                    and self.ref(f"library_user_{staff[source]}").id,
                }
                for days, number, purpose, channel, state, source in rows
            ]
        )
        for _days, number, _purpose, _channel, _state, source in rows:
            if source == "bounce":
                patron = self.patrons[number]
                patron.email_bounced = patron.email_normalized
        mailed = [person.email for person in self.people if person.email]
        self.env["mail.blacklist"].create(
            [{"email": email} for email in random.sample(mailed, 5)]
        )

    # ------------------------------------------------------------
    # USE
    # ------------------------------------------------------------

    def _make_use(self):
        """Some 60,000 narrow rows in one go; through the ORM it would take minutes."""
        self.env.flush_all()
        open_days = {
            code: {
                int(hours.dayofweek)
                for hours in branch.resource_calendar_id.attendance_ids
            }
            for code, branch in self.branches.items()
        }
        channels = {
            (service, branch): (
                "online" if service in ONLINE else BRANCH_CHANNELS.get(branch, "onsite")
            )
            for service in self.services
            for branch in self.branches
        }
        patron_ids = {number: patron.id for number, patron in self.patrons.items()}
        service_ids = {code: service.id for code, service in self.services.items()}
        branch_ids = {code: branch.id for code, branch in self.branches.items()}
        rows = Use(self.seed, self.people, open_days, self.today).rows()
        columns = zip(
            *(
                (
                    patron_ids.get(number),
                    service_ids[service],
                    branch_ids[branch],
                    day,
                    quantity,
                    channels[service, branch],
                )
                for number, service, branch, day, quantity in rows
            ),
            strict=True,
        )
        self.env["library.service.usage"].insert_rows(
            SQL(
                """
                SELECT *, NULL::int, NULL
                  FROM unnest(
                       %s::int[], %s::int[], %s::int[], %s::date[], %s::int[],
                       %s::text[]
                       )
                """,
                *map(list, columns),
            )
        )

    def _make_earlier_months(self):
        """What is known by month of the years before the rows of use, as it stays when
        these were deleted: the same months of the first year of use, a little less."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                WITH first AS (
                    SELECT (min(month) + interval '1 month')::date AS month
                      FROM library_service_usage_month
                     WHERE company_id = %(company)s
                )
                INSERT INTO library_service_usage_month (
                       month, company_id, branch_id, service_id, channel,
                       patron_category_id, age_band, quantity
                       )
                SELECT (known.month - years * interval '1 year')::date,
                       known.company_id, known.branch_id, known.service_id,
                       known.channel, known.patron_category_id, known.age_band,
                       round(sum(known.quantity) * %(growth)s ^ years)
                  FROM library_service_usage_month known, first,
                       generate_series(1, %(years)s) years
                 WHERE known.company_id = %(company)s
                   AND known.month >= first.month
                   AND known.month < first.month + interval '1 year'
                   AND known.month - years * interval '1 year' >= %(since)s
              GROUP BY known.month, years, known.company_id, known.branch_id,
                       known.service_id, known.channel, known.patron_category_id,
                       known.age_band
                HAVING round(sum(known.quantity) * %(growth)s ^ years) > 0
                """,
                company=self.company.id,
                growth=GROWTH,
                years=YEARS_OF_FIGURES,
                since=self._get_first_month(),
            )
        )
        self.env.invalidate_all()

    def _archive(self):
        gone = [
            self.patrons[person.number].id for person in self.people if person.archived
        ]
        self.env["library.patron"].browse(gone).active = False

    # ------------------------------------------------------------
    # WHAT IS OUTSIDE OF THE COMPANY
    # ------------------------------------------------------------

    def make_engagement(self):
        """Reckon everybody, and let the segments have grown and shrunk for a while."""
        random = self.random("segments")
        patrons = self.env["library.patron"].with_context(active_test=False)
        patrons.search([("company_id", "=", self.company.id)])._refresh_engagement()
        changes = [
            (patron.id, self.days_ago(random.randint(0, 60)))
            for patron in patrons.search([("lifecycle", "!=", False)])
        ]
        self.env.cr.execute_values(
            "UPDATE library_patron SET lifecycle_since = change.day "
            "FROM (VALUES %s) AS change (id, day) WHERE library_patron.id = change.id",
            changes,
        )
        self.env.invalidate_all()
        segments = self.env["library.segment"].search([])
        snapshots = []
        for segment in segments:
            segment._take_snapshot(self.company)
        for segment in segments:
            count = segment.last_count
            for days in range(2, 90, 2):
                count = max(0, count + random.choice((-1, 0, 0, 1)))
                snapshots.append(
                    {
                        "segment_id": segment.id,
                        "company_id": self.company.id,
                        "date": self.days_ago(days),
                        "patron_count": count,
                    }
                )
        self.env["library.segment.snapshot"].create(snapshots)

    def make_mailing_traces(self):
        """Who got the mailings of the demo files, and what became of them."""
        random = self.random("traces")
        for name in ("newsletter", "families", "last_season"):
            self._make_traces_of(self.ref(f"mailing_mailing_demo_{name}"), random)

    def _make_traces_of(self, mailing, random):
        patrons = self.env["library.patron"].search(
            Domain(mailing._parse_mailing_domain())
            & Domain("company_id", "=", self.company.id)
            & Domain("agreed_purpose_ids", "in", mailing.library_purpose_id.ids)
            & Domain("email", "!=", False)
            & Domain("is_blacklisted", "=", False),
            order="id",
        )
        values = []
        for patron in patrons:
            sent = mailing.sent_date + timedelta(seconds=random.randint(5, 240))
            trace = {
                "mass_mailing_id": mailing.id,
                "model": patron._name,
                "res_id": patron.id,
                "email": patron.email,
                "sent_datetime": sent,
                "trace_status": random.choices(("sent", "open", "bounce"), (52, 45, 3))[
                    0
                ],
            }
            if trace["trace_status"] == "open":
                opened = sent + timedelta(minutes=random.randint(3, 4000))
                trace["open_datetime"] = opened
                if random.random() < 0.35:
                    trace["links_click_datetime"] = opened + timedelta(minutes=1)
            elif trace["trace_status"] == "bounce":
                trace["failure_type"] = "mail_bounce"
            values.append(trace)
        self.env["mailing.trace"].create(values)

    def make_places(self):
        """The places that programmes offered: some more than were taken."""
        random = self.random("places")
        months = self.env["library.service.usage.month"]._read_group(
            [
                ("company_id", "=", self.company.id),
                ("service_id.indicator", "=", "attendances"),
            ],
            ["month:month", "branch_id", "service_id"],
            ["quantity:sum"],
        )
        self.env["library.service.place"].create(
            [
                {
                    "month": month,
                    "branch_id": branch.id,
                    "service_id": service.id,
                    "places": 10 * round(quantity * random.uniform(1.1, 1.6) / 10 + 1),
                }
                for month, branch, service, quantity in months
            ]
        )

    def make_reports(self):
        """What the jobs of the night count."""
        for model in (
            "library.retention",
            "library.mailing.outcome",
            "library.indicator.value",
        ):
            self.env[model]._count(self.company)
        self._tell_earlier_people()

    def _tell_earlier_people(self):
        """What was told of people in the years before the rows of use: figures of which
        nothing is known any more stay, so these do, too. Each is that of a year later,
        a little less."""
        measure = self.env["library.indicator.measure"]
        of_use = {*measure._get_by_category(), "population"}
        indicators = self.env["library.indicator"].search([])
        lasting = indicators.filtered(
            lambda indicator: (
                not {indicator.numerator, indicator.denominator or "uses"} <= of_use
            )
        )
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                WITH first AS (
                    SELECT *, row_number() OVER (
                               PARTITION BY indicator_id, branch_id,
                                            date_part('month', month)
                               ORDER BY month
                           ) AS place
                      FROM library_indicator_value
                     WHERE company_id = %(company)s
                       AND indicator_id = ANY(%(lasting)s)
                       AND value_year IS NOT NULL
                )
                INSERT INTO library_indicator_value AS figure (
                       indicator_id, company_id, branch_id, month, year, is_year_end,
                       counted_on, numerator, denominator, value,
                       numerator_year, denominator_year, value_year
                       )
                SELECT first.indicator_id, first.company_id, first.branch_id,
                       (first.month - years * interval '1 year')::date,
                       first.year - years, first.is_year_end, first.counted_on,
                       first.numerator * part, first.denominator * whole,
                       first.value * part / whole,
                       first.numerator_year * part, first.denominator_year * whole,
                       first.value_year * part / whole
                  FROM first
                  JOIN library_indicator indicator ON indicator.id = first.indicator_id
            CROSS JOIN generate_series(1, %(years)s) years,
                       LATERAL (
                        SELECT %(growth)s ^ years AS part,
                               CASE WHEN indicator.denominator IS NULL THEN 1
                                    ELSE %(growth)s ^ (years * 0.75) END AS whole
                       ) share
                 WHERE first.place = 1
                   AND first.month - years * interval '1 year' >= %(since)s
           ON CONFLICT (indicator_id, company_id, COALESCE(branch_id, 0), month)
             DO UPDATE SET numerator_year = EXCLUDED.numerator_year,
                       denominator_year = EXCLUDED.denominator_year,
                       value_year = EXCLUDED.value_year
                """,
                company=self.company.id,
                lasting=lasting.ids,
                growth=GROWTH,
                years=YEARS_OF_FIGURES,
                since=self._get_first_month(),
            )
        )
        self.env.invalidate_all()

    def _get_first_month(self):
        """The first month of which figures are told."""
        return self.today.replace(
            year=self.today.year - YEARS_OF_FIGURES, month=1, day=1
        )

    def name_records(self):
        """Give patrons, contacts and requests external ids, so that the demo is found
        again, and goes with the addon. Contacts come first: the addon's records are
        deleted from the last to the first."""
        patrons = [
            patron
            for number, patron in self.patrons.items()
            if number not in self.named
        ]
        blacklisted = self.env["mail.blacklist"].search(
            [("email", "in", [p.email_normalized for p in patrons if p.email])]
        )
        self.env["ir.model.data"]._update_xmlids(
            [
                {
                    "xml_id": f"library_crm.{name}_{index}",
                    "record": record,
                    "noupdate": True,
                }
                for name, records in (
                    ("demo_contact", [patron.partner_id for patron in patrons]),
                    ("demo_blacklisted", blacklisted),
                    ("demo_patron", patrons),
                    ("demo_request", self.requests),
                )
                for index, record in enumerate(records, 1)
            ]
        )
