from datetime import date

from odoo.fields import Command
from odoo.tests import TransactionCase, new_test_user


class LibraryCommon(TransactionCase):
    """A library of two branches with one user a role, and another library beside it.

    Patrons: ``amal`` is at home in the main branch, ``bruno`` in the north branch;
    ``other_patron`` belongs to the other library.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(
            context={**cls.env.context, "tracking_disable": True, "lang": "en_US"}
        )
        cls.library = cls.env["res.company"].create({"name": "Riverside Library"})
        cls.other_library = cls.env["res.company"].create({"name": "Hillside Library"})
        cls.env.user.write(
            {
                "tz": "UTC",  # one "today" for the server and for whoever is logged in
                "company_ids": [
                    Command.link(cls.library.id),
                    Command.link(cls.other_library.id),
                ],
                "company_id": cls.library.id,
            }
        )
        cls.main, cls.north = cls.env["library.branch"].create(
            [
                {"name": "Main", "code": "TMAIN", "company_id": cls.library.id},
                {"name": "North", "code": "TNORTH", "company_id": cls.library.id},
            ]
        )
        cls.other_branch = cls.env["library.branch"].create(
            {"name": "Hill", "code": "THILL", "company_id": cls.other_library.id}
        )
        cls.plan, cls.paid_plan = cls.env["library.membership.plan"].create(
            [
                {
                    "name": "A year, free",
                    "company_id": cls.library.id,
                    "grace_days": 30,
                    "renewal_window_days": 60,
                },
                {
                    "name": "A month, paid",
                    "company_id": cls.library.id,
                    "period_count": 1,
                    "period_unit": "month",
                    "fee": 5,
                    "grace_days": 7,
                    "renewal_window_days": 0,
                },
            ]
        )
        cls.adult, cls.child = cls.env["library.patron.category"].create(
            [
                {
                    "name": "Adult",
                    "code": "TADULT",
                    "company_id": cls.library.id,
                    "plan_id": cls.plan.id,
                },
                {
                    "name": "Child",
                    "code": "TCHILD",
                    "kind": "child",
                    "company_id": cls.library.id,
                    "plan_id": cls.plan.id,
                },
            ]
        )
        cls.amal, cls.bruno, cls.other_patron = cls.env["library.patron"].create(
            [
                {
                    "name": "Amal Idris",
                    "email": "amal.idris@test.example.com",
                    "card_number": "0042",
                    "patron_category_id": cls.adult.id,
                    "branch_id": cls.main.id,
                    "company_id": cls.library.id,
                    "birth_date": date(1984, 2, 29),
                    "enrolled_on": date(2020, 1, 1),
                },
                {
                    "name": "Bruno Silva",
                    "email": "bruno.silva@test.example.com",
                    "card_number": "0043",
                    "patron_category_id": cls.adult.id,
                    "branch_id": cls.north.id,
                    "company_id": cls.library.id,
                    "enrolled_on": date(2020, 1, 1),
                },
                {
                    "name": "Chidi Okafor",
                    "email": "chidi.okafor@test.example.com",
                    "card_number": "0042",
                    "branch_id": cls.other_branch.id,
                    "company_id": cls.other_library.id,
                    "enrolled_on": date(2020, 1, 1),
                },
            ]
        )
        in_library = {
            "company_id": cls.library.id,
            "company_ids": [Command.set(cls.library.ids)],
        }
        cls.desk = new_test_user(
            cls.env,
            "library_desk",
            "library_crm.group_library_user",
            name="Dana Desk",
            library_branch_id=cls.main.id,
            library_branch_ids=[Command.set(cls.main.ids)],
            **in_library,
        )
        cls.marketing = new_test_user(
            cls.env,
            "library_marketing",
            "library_crm.group_library_marketing",
            name="Mara Marketing",
            **in_library,
        )
        cls.manager = new_test_user(
            cls.env,
            "library_manager",
            "library_crm.group_library_manager",
            name="Mina Manager",
            **in_library,
        )
        cls.employee = new_test_user(
            cls.env,
            "library_employee",
            "base.group_user",
            name="Emil Employee",
            **in_library,
        )
        cls.portal = new_test_user(
            cls.env, "library_portal", "base.group_portal", name="Amal", **in_library
        )
        cls.portal.partner_id = cls.amal.partner_id
        cls.visit = cls.env.ref("library_crm.library_service_visit")
        cls.loan = cls.env.ref("library_crm.library_service_loan")

    @classmethod
    def _create_membership(cls, patron=None, **values):
        """A running membership of ``patron`` (Amal) under the free plan."""
        return cls.env["library.membership"].create(
            {
                "patron_id": (patron or cls.amal).id,
                "plan_id": cls.plan.id,
                "state": "active",
                **values,
            }
        )

    def _run_retention(self, *kinds):
        """Let a night come over the library, for these kinds of data or for all.

        :return: number of rows by kind
        """
        Rule = self.env["library.retention.rule"]
        Rule._add_missing()
        rules = Rule._get_for(self.library)
        counts = {kind: sum(rules[kind]._run()) for kind in kinds or rules}
        self.env.invalidate_all()
        for kind in counts:
            self.assertFalse(rules[kind].last_failure, kind)
        return counts
