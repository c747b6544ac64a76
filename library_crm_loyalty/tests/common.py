from datetime import date, timedelta

from odoo.fields import Command
from odoo.tools import SQL

from odoo.addons.library_crm.tests.common import LibraryCommon


class LoyaltyCommon(LibraryCommon):
    """A programme in which Amal takes part since the first of January 2024, with the
    rule “two points for each day with a visit”."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.monday = date(2024, 3, 4)
        cls.programme = cls._create_library_programme(cls.library)
        cls.visit_rule = cls._create_rule(
            name="A visit", points=2, service_ids=[Command.set(cls.visit.ids)]
        )
        cls.card = cls._join(cls.amal)

    @classmethod
    def _create_library_programme(cls, company):
        return cls.env["loyalty.program"].create(
            {
                "name": "Thank you",
                "program_type": "library",
                "company_id": company.id,
            }
        )

    @classmethod
    def _create_rule(cls, **values):
        return cls.env["library.loyalty.rule"].create(
            {"program_id": cls.programme.id, "name": "A rule", **values}
        )

    @classmethod
    def _join(cls, patron, programme=None):
        return (programme or cls.programme)._library_join(patron, date(2024, 1, 1))

    @classmethod
    def _give(cls, card, points, day):
        """Points by hand, of a day."""
        card._library_post(
            [
                {
                    "card_id": card.id,
                    "description": "By hand",
                    "library_kind": "manual",
                    "library_date": day,
                    "points": points,
                }
            ]
        )

    def _use(self, day, service=None, patron=None, **values):
        """A use on a date, or so many days after the Monday."""
        if isinstance(day, int):
            day = self.monday + timedelta(days=day)
        return self.env["library.service.usage"].create(
            {
                "patron_id": (patron or self.amal).id,
                "service_id": (service or self.visit).id,
                "branch_id": self.main.id,
                "date": day,
                **values,
            }
        )

    def _load_visit(self, patron, day):
        """As a load adds a row."""
        self.env["library.service.usage"].insert_rows(
            SQL(
                "SELECT %s, %s, %s, %s::date, 1, 'onsite', NULL::int, NULL::varchar",
                patron.id,
                self.visit.id,
                self.main.id,
                day,
            )
        )

    def _lines(self, card=None, rule=None):
        """The lines of a card, oldest first, as (kind, points)."""
        lines = (card or self.card).history_ids.sorted("id")
        if rule:
            lines = lines.filtered(lambda line: line.library_rule_id == rule)
        return [(line.library_kind, line.issued - line.used) for line in lines]

    def _assert_balanced(self, programme=None):
        """Each card's points are the sum of its lines."""
        programme = programme or self.programme
        programme._library_prove()
        self.assertEqual(programme.library_unbalanced, 0)
