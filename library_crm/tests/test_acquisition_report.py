from datetime import date, datetime

from freezegun import freeze_time

from odoo.tests import tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
@freeze_time("2026-05-20 12:00:00")
class TestAcquisitionReport(LibraryCommon):
    """The way from the first word to the first use of a service."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fair, cls.poster = cls.env["utm.source"].create(
            [{"name": "Report fair"}, {"name": "Report poster"}]
        )

    def _ask(self, source, outcome, branch=None, last_use=None):
        """Somebody asked; how far they came is the outcome."""
        if outcome == "asked":
            return self.env["library.join"].create(
                {
                    "company_id": self.library.id,
                    "branch_id": (branch or self.main).id,
                    "source_id": source.id,
                    "name": "Rana Haddad",
                    "email": "rana@test.example.com",
                    "birth_date": "1990-01-01",
                }
            )
        lead = self.env["crm.lead"].create(
            {
                "name": "A card",
                "library_request_kind": "joining",
                "company_id": self.library.id,
                "library_branch_id": (branch or self.main).id,
                "source_id": source.id,
            }
        )
        if outcome in ("joined", "used"):
            lead.library_patron_id = self.env["library.patron"].create(
                {"name": "Rana", "company_id": self.library.id}
            )
            lead.action_set_won()
            lead.date_closed = datetime(2026, 5, 10, 2, 0)
            if last_use:
                self.env["library.service.usage"].create(
                    {
                        "patron_id": lead.library_patron_id.id,
                        "service_id": self.visit.id,
                        "branch_id": self.main.id,
                        "date": last_use,
                    }
                )
        elif outcome == "refused":
            lead.action_set_lost()
        return lead

    def _steps(self, user=None, groupby=()):
        Funnel = self.env["library.acquisition.funnel"]
        return Funnel.with_user(user or self.manager)._read_group(
            [("source_id", "in", (self.fair + self.poster).ids)],
            [*groupby, "step"],
            ["people:sum"],
        )

    def test_each_step_holds_those_who_came_so_far(self):
        self._ask(self.fair, "asked")
        self._ask(self.fair, "open")
        self._ask(self.fair, "refused")
        self._ask(self.fair, "joined")
        self._ask(self.fair, "used", last_use=date(2026, 5, 12))
        self.assertEqual(
            self._steps(),
            [("1_asked", 5), ("2_confirmed", 4), ("3_joined", 2), ("4_used", 1)],
        )

    def test_use_before_the_card_is_none_and_that_of_the_same_evening_is(self):
        """An evening in America is the next day in UTC."""
        self._ask(self.fair, "used", last_use=date(2026, 5, 8))
        self.assertEqual([step for step, _people in self._steps()][-1], "3_joined")
        self._ask(self.fair, "used", last_use=date(2026, 5, 9))
        self.assertEqual(self._steps()[-1], ("4_used", 1))

    def test_funnel_by_source_and_branch(self):
        self._ask(self.fair, "open")
        self._ask(self.poster, "joined", branch=self.north)
        self.assertEqual(
            self._steps(groupby=["source_id"]),
            [
                (self.fair, "1_asked", 1),
                (self.fair, "2_confirmed", 1),
                (self.poster, "1_asked", 1),
                (self.poster, "2_confirmed", 1),
                (self.poster, "3_joined", 1),
            ],
        )
        self.assertEqual(
            self._steps(self.desk),
            [("1_asked", 1), ("2_confirmed", 1)],
            "A desk sees its own branch",
        )
        self.assertEqual(self._steps(self.marketing)[-1], ("3_joined", 1))

    def test_shares_of_the_report(self):
        self._ask(self.fair, "open")
        self._ask(self.fair, "joined")
        self._ask(self.fair, "used", last_use=date(2026, 5, 12))
        self._ask(self.poster, "asked")
        [row] = self.env["library.acquisition.report"]._read_group(
            [("source_id", "in", (self.fair + self.poster).ids)],
            [],
            ["asked:sum", "joined_rate:avg", "used:sum", "used_rate:avg"],
        )
        self.assertEqual(row, (4, 50, 1, 50))

    def test_enquiries_of_another_library_are_not_there(self):
        self._ask(self.fair, "open").write(
            {
                "company_id": self.other_library.id,
                "library_branch_id": self.other_branch.id,
                "team_id": False,
            }
        )
        for user in (self.desk, self.marketing, self.manager):
            with self.subTest(user=user.name):
                self.assertFalse(self._steps(user))
