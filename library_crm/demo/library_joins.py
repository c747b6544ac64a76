"""Where the enquiries of the demo library came from, and who filled in the form."""

from datetime import timedelta

WAYS = [
    # source, medium, campaign
    ("library_crm.utm_source_street_fair", "library_crm.utm_medium_stand", True),
    ("library_crm.utm_source_bus_poster", "library_crm.utm_medium_poster", True),
    ("utm.utm_source_search_engine", "utm.utm_medium_website", False),
    ("utm.utm_source_newsletter", "utm.utm_medium_email", False),
    (None, None, False),
]
HEARD_OF = ("friend", "event", "poster", "search", "school", "press", None)
STATES = {"won": "done", "lost": "refused", "pending": "confirmed"}
WAITING = [
    ("Leocadia Pruitt", 1958),
    ("Casimir Boateng", 1991),
    ("Ingeborg Salcedo", 1979),
]
FORGOTTEN = 16


class DemoJoins:
    """The filled-in join forms of a :class:`.library.DemoLibrary` whose requests are
    there."""

    def __init__(self, library):
        self.library = library
        self.random = library.random("joins")

    def make(self):
        """:return: the forms, as ``library.join``"""
        joins = self.library.env["library.join"].create(
            self._prepare_asked() + self._prepare_unconfirmed()
        )
        self._date(joins)
        return joins

    def _prepare_way(self):
        source, medium, has_campaign = self.random.choice(WAYS)
        env = self.library.env
        return {
            "source_id": source and env.ref(source).id,
            "medium_id": medium and env.ref(medium).id,
            "campaign_id": has_campaign
            and self.library.ref("utm_campaign_card_for_all").id,
        }

    def _prepare_asked(self):
        """Two of three enquiries came by the form, the others at the desk."""
        values = []
        for lead in self.library.requests.filtered(
            lambda lead: lead.library_request_kind == "joining"
        ):
            way = self._prepare_way()
            lead.write(way)
            if lead.library_patron_id and lead.won_status != "won":
                continue
            if self.random.random() < 0.34:
                continue
            state = STATES[lead.won_status]
            values.append(
                {
                    **way,
                    **({} if state == "done" else self._prepare_person(lead)),
                    "state": state,
                    "company_id": self.library.company.id,
                    "branch_id": lead.library_branch_id.id,
                    "patron_category_id": self.library.categories["ADULT"].id,
                    "heard_of": self.random.choice(HEARD_OF),
                    "lead_id": lead.id,
                    "confirmed_on": lead.create_date,
                    "closed_on": lead.date_closed,
                }
            )
        return values

    def _prepare_person(self, lead):
        return {
            "name": lead.contact_name,
            "email": lead.email_from,
            "phone": lead.phone,
            "birth_date": self.library.today.replace(
                year=self.random.randint(1950, 2004), day=12
            ),
            "zip": "97499",
            "city": self.library.company.city,
        }

    def _prepare_unconfirmed(self):
        """Some wait for the mail; most of those who did not confirm are forgotten."""
        branches = list(self.library.branches.values())
        common = {
            "company_id": self.library.company.id,
            "patron_category_id": self.library.categories["ADULT"].id,
        }
        return [
            {
                **common,
                **self._prepare_way(),
                "branch_id": self.random.choice(branches).id,
                "name": name,
                "email": f"{name.lower().replace(' ', '.')}@example.org",
                "birth_date": f"{born}-03-14",
                "zip": "97499",
                "heard_of": self.random.choice(HEARD_OF),
            }
            for name, born in WAITING
        ] + [
            {
                **common,
                **self._prepare_way(),
                "branch_id": self.random.choice(branches).id,
                "state": "expired",
                "heard_of": self.random.choice(HEARD_OF),
            }
            for _number in range(FORGOTTEN)
        ]

    def _date(self, joins):
        """Odoo stamps the forms with the moment of their making; only SQL can say that
        they are older."""
        rows = []
        for join in joins:
            if join.lead_id:
                asked = join.lead_id.create_date - timedelta(
                    minutes=self.random.randint(5, 900)
                )
            else:
                days = self.random.randint(*((0, 3) if join.name else (9, 340)))
                asked = self.library.at(self.library.days_ago(days + 1), self.random)
            rows.append((join.id, asked))
        self.library.env.flush_all()
        self.library.env.cr.execute_values(
            "UPDATE library_join SET create_date = dated.asked "
            "FROM (VALUES %s) AS dated (id, asked) WHERE library_join.id = dated.id",
            rows,
            template="(%s, %s::timestamp)",
        )
        joins.invalidate_recordset()
