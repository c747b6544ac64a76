from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import Form, new_test_user, tagged

from .common import LibraryCommon

ROLES = ("desk", "marketing", "manager", "employee", "portal")

# What each role may do with a model, in the order of ROLES: read, write, create,
# unlink. Staff and manager rights are those of the design; "everyone else sees
# nothing of the library".
RIGHTS = {
    "library.acquisition.funnel": ("r", "r", "r", "", ""),
    "library.acquisition.report": ("r", "r", "r", "", ""),
    "library.annual.report": ("", "rwc", "rwc", "", ""),
    "library.branch": ("r", "r", "rwcu", "", "r"),
    "library.cluster": ("r", "r", "rwcu", "", ""),
    "library.consent": ("rc", "r", "rc", "", "r"),
    "library.consent.import": ("", "", "rwc", "", ""),
    "library.consent.purpose": ("r", "rwc", "rwcu", "", "r"),
    "library.cost": ("", "", "rwcu", "", ""),
    "library.counter.report": ("", "", "ru", "", ""),
    "library.data.column": ("", "", "rwcu", "", ""),
    "library.data.load": ("", "", "rwcu", "", ""),
    "library.data.preview": ("", "", "rwcu", "", ""),
    "library.data.refusal": ("", "", "r", "", ""),
    "library.data.source": ("", "", "rwcu", "", ""),
    "library.data.value": ("", "", "rwcu", "", ""),
    "library.engagement.rule": ("", "", "rw", "", ""),
    "library.erasure": ("", "", "r", "", ""),
    "library.erasure.line": ("", "", "r", "", ""),
    "library.household": ("rwc", "", "rwcu", "", ""),
    "library.indicator": ("r", "r", "rwcu", "", ""),
    "library.indicator.month": ("", "", "r", "", ""),
    "library.indicator.target": ("r", "r", "rwcu", "", ""),
    "library.indicator.value": ("r", "r", "r", "", ""),
    "library.interest": ("r", "rwc", "rwcu", "", "r"),
    "library.job": ("", "", "rw", "", ""),
    "library.job.run": ("", "", "r", "", ""),
    "library.join": ("r", "", "ru", "", ""),
    "library.join.form": ("r", "r", "rwcu", "", ""),
    "library.join.rule": ("r", "r", "rwcu", "", ""),
    "library.journey": ("r", "rwc", "rwcu", "", ""),
    "library.journey.enrolment": ("r", "r", "r", "", ""),
    "library.journey.event": ("r", "r", "r", "", ""),
    "library.journey.forecast": ("", "r", "r", "", ""),
    "library.journey.result": ("r", "r", "r", "", ""),
    "library.journey.step": ("r", "rwcu", "rwcu", "", ""),
    "library.journey.test": ("", "rwc", "rwc", "", ""),
    "library.lead.to.patron": ("rwc", "", "rwc", "", ""),
    "library.mailing.outcome": ("", "", "", "", ""),
    "library.mailing.result": ("", "r", "r", "", ""),
    "library.membership": ("rwc", "r", "rwcu", "", "r"),
    "library.membership.change": ("rwc", "", "rwc", "", ""),
    "library.membership.plan": ("r", "r", "rwcu", "", "r"),
    "library.membership.reason": ("r", "r", "rwcu", "", ""),
    "library.membership.renewal": ("rc", "", "rc", "", ""),
    "library.patron": ("rwc", "r", "rwcu", "", "r"),
    "library.patron.alias": ("r", "", "ru", "", ""),
    "library.patron.category": ("r", "r", "rwcu", "", "r"),
    "library.patron.erase": ("", "", "rwc", "", ""),
    "library.patron.erase.line": ("", "", "rwcu", "", ""),
    "library.patron.row": ("", "", "", "", ""),
    "library.patron.tombstone": ("", "", "ru", "", ""),
    "library.peer": ("r", "r", "rwcu", "", ""),
    "library.peer.band": ("r", "r", "rwcu", "", ""),
    "library.peer.column": ("", "", "rwcu", "", ""),
    "library.peer.comparison": ("r", "r", "r", "", ""),
    "library.peer.import": ("", "", "rwc", "", ""),
    "library.peer.import.column": ("", "", "rwcu", "", ""),
    "library.peer.set": ("r", "r", "rwcu", "", ""),
    "library.peer.value": ("r", "r", "rwcu", "", ""),
    "library.population": ("r", "r", "rwcu", "", ""),
    "library.public.limit": ("", "", "", "", ""),
    "library.privacy.entry": ("", "", "r", "", ""),
    "library.retention": ("r", "r", "r", "", ""),
    "library.retention.former": ("", "", "", "", ""),
    "library.retention.rule": ("", "", "rw", "", ""),
    "library.retention.run": ("", "", "r", "", ""),
    "library.segment": ("r", "rwcu", "rwcu", "", ""),
    "library.segment.add": ("", "rwc", "rwc", "", ""),
    "library.segment.overlap": ("rwc", "rwc", "rwc", "", ""),
    "library.segment.snapshot": ("r", "r", "r", "", ""),
    "library.service": ("r", "r", "rwcu", "", ""),
    "library.service.place": ("rwc", "r", "rwcu", "", ""),
    "library.service.usage": ("rwcu", "", "rwcu", "", ""),
    "library.service.usage.month": ("r", "r", "r", "", ""),
    "library.service.usage.stage": ("", "", "", "", ""),
    "library.usage.log": ("rwc", "", "rwc", "", ""),
    "library.use.condition": ("r", "rwcu", "rwcu", "", ""),
    "library.value.line": ("r", "r", "rwcu", "", ""),
    "library.value.report": ("r", "r", "r", "", ""),
    "library.value.table": ("r", "r", "rwcu", "", ""),
    "crm.lead": ("rwc", "rwc", "rwcu", "", ""),
    # Odoo's own, which requests and mailings need. What employees read is Odoo's.
    "crm.lead.lost": ("rwc", "rwc", "rwc", "", ""),
    "crm.lead.scoring.frequency": ("r", "r", "r", "", ""),
    "crm.lost.reason": ("r", "r", "rwcu", "r", ""),
    "crm.recurring.plan": ("r", "r", "r", "", ""),
    "crm.stage": ("r", "r", "rwcu", "r", ""),
    "crm.tag": ("rwc", "rwc", "rwcu", "", ""),
    "crm.team": ("r", "r", "rwcu", "r", ""),
    "crm.team.member": ("r", "r", "rwcu", "r", ""),
    "mailing.trace": ("r", "rwcu", "rwcu", "", ""),
}
OPERATIONS = {"r": "read", "w": "write", "c": "create", "u": "unlink"}


@tagged("post_install", "-at_install")
class TestAccess(LibraryCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.child_patron = cls.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "card_number": "0044",
                "company_id": cls.library.id,
                "branch_id": cls.main.id,
                "patron_category_id": cls.child.id,
                "guardian_id": cls.amal.id,
                "birth_date": "2018-04-01",
            }
        )
        cls.patrons = cls.amal + cls.bruno + cls.other_patron + cls.child_patron
        cls.memberships = cls.env["library.membership"].concat(
            cls._create_membership(cls.amal),
            cls._create_membership(cls.bruno),
            cls._create_membership(cls.child_patron),
        )
        cls.usages = cls.env["library.service.usage"].create(
            [
                {
                    "patron_id": patron.id,
                    "branch_id": patron.branch_id.id,
                    "service_id": cls.visit.id,
                }
                for patron in cls.amal + cls.bruno + cls.other_patron
            ]
        )

    def _create_consents(self, patrons):
        news = self.env.ref("library_crm.library_consent_purpose_news")
        return self.env["library.consent"].create(
            [{"patron_id": patron.id, "purpose_id": news.id} for patron in patrons]
        )

    def _create_renewals(self, memberships):
        return self.env["library.membership.renewal"].create(
            [
                {
                    "membership_id": membership.id,
                    "date": "2026-05-01",
                    "old_end": "2026-05-31",
                    "new_end": "2027-05-31",
                }
                for membership in memberships
            ]
        )

    def test_rights_by_model_and_role(self):
        for model, rights in RIGHTS.items():
            for role, expected in zip(ROLES, rights, strict=True):
                records = self.env[model].with_user(getattr(self, role))
                found = "".join(
                    letter
                    for letter, operation in OPERATIONS.items()
                    if records.has_access(operation)
                )
                with self.subTest(model=model, role=role):
                    self.assertEqual(found, expected)

    def test_every_model_whose_rights_the_library_gives_is_in_the_table(self):
        given = self.env["ir.model.data"].search(
            [("module", "=", "library_crm"), ("model", "=", "ir.model.access")]
        )
        access = self.env["ir.model.access"].browse(given.mapped("res_id"))
        self.assertEqual(set(access.model_id.mapped("model")) - RIGHTS.keys(), set())

    def test_every_model_of_the_library_is_in_the_table(self):
        models = {
            name
            for name in self.env.registry
            if name.startswith("library.")
            and not self.env[name]._abstract
            and self.env[name]._original_module == "library_crm"
        }
        self.assertEqual(models - RIGHTS.keys(), set())

    def test_pages_open_for_each_role(self):
        request = self.env["crm.lead"].create(
            {
                "name": "Joining",
                "library_request_kind": "joining",
                "library_patron_id": self.amal.id,
            }
        )
        self.amal.household_id = self.env["library.household"].create(
            {"name": "Idris", "company_id": self.library.id}
        )
        for records, view in [
            (self.amal, "library_crm.library_patron_view_form"),
            (self.memberships[0], "library_crm.library_membership_view_form"),
            (request, "library_crm.library_request_view_form"),
            (self.main, "library_crm.library_branch_view_form"),
            (self.plan, "library_crm.library_membership_plan_view_form"),
            (self.visit, "library_crm.library_service_view_form"),
            (self.amal.partner_id, "base.view_partner_form"),
        ]:
            for role in ("desk", "marketing", "manager"):
                with self.subTest(model=records._name, role=role):
                    Form(records.with_user(getattr(self, role)), view)

    def test_desk_sees_the_patrons_of_its_branches_only(self):
        as_desk = self.env["library.patron"].with_user(self.desk)
        self.assertEqual(
            as_desk.search([("id", "in", self.patrons.ids)]),
            self.amal + self.child_patron,
        )
        for own, other in [
            (self.amal, self.bruno),
            (self.amal.membership_id, self.bruno.membership_id),
            (self.usages[0], self.usages[1]),
            self._create_renewals(self.memberships[:2]),
            self._create_consents(self.amal + self.bruno),
        ]:
            with self.subTest(model=own._name):
                own.with_user(self.desk).check_access("read")
                self.assertFalse(other.with_user(self.desk).has_access("read"))

    def test_branches_of_the_desk_hold_at_once(self):
        as_desk = self.env["library.patron"].with_user(self.desk)
        both = [("id", "in", (self.amal + self.bruno).ids)]
        self.assertEqual(as_desk.search(both), self.amal)
        self.desk.library_branch_ids = self.north
        self.assertEqual(as_desk.search(both), self.bruno)

    def test_desk_without_branches_sees_all_of_its_library(self):
        self.desk.library_branch_ids = [Command.clear()]
        self.assertEqual(
            self.env["library.patron"]
            .with_user(self.desk)
            .search([("id", "in", self.patrons.ids)]),
            self.amal + self.bruno + self.child_patron,
        )

    def test_patron_without_home_branch_belongs_to_every_desk(self):
        self.bruno.branch_id = False
        self.bruno.with_user(self.desk).check_access("write")

    def test_desk_hands_a_patron_over_to_a_branch_it_does_not_see(self):
        self.amal.with_user(self.desk).branch_id = self.north
        self.env.invalidate_all()
        with self.assertRaises(AccessError):
            self.amal.with_user(self.desk).check_access("read")

    def test_nobody_sees_another_library(self):
        self.desk.library_branch_ids = [Command.clear()]
        in_other = {"name": "Hillside", "company_id": self.other_library.id}
        plan = self.plan.copy(in_other)
        membership = self._create_membership(self.other_patron, plan_id=plan.id)
        source = self.env["library.data.source"].create(in_other)
        load = self.env["library.data.load"].create({"source_id": source.id})
        for records in (
            self.other_patron,
            self.other_branch,
            self.adult.copy({**in_other, "code": "THILL", "plan_id": plan.id}),
            self.env["library.household"].create(in_other),
            plan,
            membership,
            self._create_renewals(membership),
            self._create_consents(self.other_patron),
            self.usages[2],
            self.visit.copy({**in_other, "code": "thill"}),
            source,
            load,
            self.env["library.data.refusal"].create(
                {"load_id": load.id, "line": 1, "reason": "Card number: missing"}
            ),
            self.env["crm.lead"].create(
                {**in_other, "library_request_kind": "joining", "team_id": False}
            ),
        ):
            for role in ("desk", "marketing", "manager"):
                with self.subTest(model=records._name, role=role):
                    user = getattr(self, role)
                    self.assertFalse(records.with_user(user).has_access("read"))

    def test_manager_and_marketing_see_all_branches_also_from_a_desk_of_one(self):
        self.manager.library_branch_ids = self.main
        household = self.env["library.household"].create(
            {"name": "Silva", "company_id": self.library.id}
        )
        self.bruno.household_id = household
        complaint = self.env["crm.lead"].create(
            {
                "name": "Complaint",
                "library_request_kind": "complaint",
                "library_branch_id": self.north.id,
            }
        )
        consents = self._create_consents(self.amal + self.bruno)
        trace = self.env["mailing.trace"].create(
            {"model": "library.patron", "res_id": self.bruno.id}
        )
        for operation, records in [
            ("write", self.amal + self.bruno),
            ("write", self.memberships),
            ("write", self.usages[:2]),
            ("write", household),
            ("write", complaint),
            ("read", self._create_renewals(self.memberships[:2])),
            ("read", consents),
            ("read", trace),
        ]:
            with self.subTest(model=records._name):
                records.with_user(self.manager).check_access(operation)
        self.desk.group_ids += self.env.ref("library_crm.group_library_marketing")
        for records in (self.amal + self.bruno, self.memberships, consents, trace):
            with self.subTest(model=records._name, role="desk and marketing"):
                records.with_user(self.desk).check_access("read")

    def test_marketing_reads_no_birth_date_and_no_uses_of_one_person(self):
        amal = self.amal.with_user(self.marketing)
        self.assertEqual(amal.complete_name, "Amal Idris")
        for field in ("birth_date", "birth_year", "use_count", "request_ids"):
            with self.subTest(field=field), self.assertRaises(AccessError):
                amal.read([field])
        with self.assertRaises(AccessError):
            amal.get_use_by_month()
        with self.assertRaises(AccessError):
            self.env["library.patron"].with_user(self.marketing).search(
                [("birth_date", "<", "2000-01-01")]
            )

    def test_marketing_works_on_joining_and_winning_back_only(self):
        leads = self.env["crm.lead"].create(
            [
                {"name": kind, "library_request_kind": kind}
                for kind in ("joining", "win_back", "complaint")
            ]
        )
        self.assertEqual(
            self.env["crm.lead"]
            .with_user(self.marketing)
            .search([("id", "in", leads.ids)]),
            leads[1] + leads[0],
        )
        with self.assertRaises(AccessError):
            leads[2].with_user(self.marketing).check_access("read")

    def test_desk_sees_requests_of_its_branches_and_no_sales_pipeline(self):
        own, unassigned, north, sale = self.env["crm.lead"].create(
            [
                {
                    "name": "own",
                    "library_request_kind": "reference",
                    "library_branch_id": self.main.id,
                },
                {"name": "unassigned", "library_request_kind": "joining"},
                {
                    "name": "north",
                    "library_request_kind": "complaint",
                    "library_branch_id": self.north.id,
                },
                {"name": "sale", "type": "opportunity"},
            ]
        )
        self.assertEqual(
            self.env["crm.lead"]
            .with_user(self.desk)
            .search([("id", "in", (own + unassigned + north + sale).ids)]),
            unassigned + own,
        )

    def test_portal_sees_the_patron_and_the_children_guarded(self):
        # Portal users see the contacts of their own firm; its patrons they do not.
        (self.amal + self.bruno).partner_id.parent_id = self.env["res.partner"].create(
            {"name": "A firm", "is_company": True}
        )
        consents = self._create_consents(self.patrons)
        as_portal = self.env["library.patron"].with_user(self.portal)
        self.assertEqual(
            as_portal.search([("id", "in", self.patrons.ids)]),
            self.amal + self.child_patron,
        )
        self.assertEqual(
            self.env["library.membership"]
            .with_user(self.portal)
            .search([("id", "in", self.memberships.ids)])
            .patron_id,
            self.amal + self.child_patron,
        )
        self.assertEqual(
            self.env["library.consent"]
            .with_user(self.portal)
            .search([("id", "in", consents.ids)])
            .patron_id,
            self.amal + self.child_patron,
        )
        for field in ("birth_date", "last_use_date", "ils_ref", "use_count"):
            with self.subTest(field=field), self.assertRaises(AccessError):
                self.amal.with_user(self.portal).read([field])
        for operation in ("write", "create", "unlink"):
            with self.subTest(operation=operation), self.assertRaises(AccessError):
                self.amal.with_user(self.portal).check_access(operation)

    def test_contact_shows_its_patron_to_library_staff_only(self):
        partner = self.amal.partner_id
        self.assertEqual(partner.with_user(self.desk).library_patron_ids, self.amal)
        with self.assertRaises(AccessError):
            partner.with_user(self.employee).read(["library_patron_ids"])

    # ------------------------------------------------------------
    # WHAT COULD BE LEARNT BY A DETOUR
    # ------------------------------------------------------------

    def test_marketing_can_not_ask_for_a_birth_date_through_recipients(self):
        guess = [("id", "=", self.amal.id), ("birth_date", "=", "1984-02-29")]
        model_id = self.env["ir.model"]._get_id("library.patron")
        for model, values in [
            ("mailing.mailing", {"subject": "Hello"}),
            ("mailing.filter", {"name": "Guess"}),
        ]:
            as_marketing = self.env[model].with_user(self.marketing)
            values["mailing_model_id"] = model_id
            with self.subTest(model=model):
                with self.assertRaises(AccessError):
                    as_marketing.create({**values, "mailing_domain": repr(guess)})
                harmless = as_marketing.create(
                    {**values, "mailing_domain": repr(guess[:1])}
                )
                with self.assertRaises(AccessError):
                    harmless.mailing_domain = repr(guess)

    def test_sales_staff_see_no_requests_of_the_library(self):
        request, sale = self.env["crm.lead"].create(
            [
                {"name": "A complaint", "library_request_kind": "complaint"},
                {"name": "A sale", "type": "opportunity", "user_id": False},
            ]
        )
        for group in ("group_sale_salesman", "group_sale_manager"):
            with self.subTest(group=group):
                user = new_test_user(self.env, group, f"sales_team.{group}")
                self.assertEqual(
                    self.env["crm.lead"]
                    .with_user(user)
                    .search([("id", "in", (request + sale).ids)]),
                    sale,
                )

    def test_desk_learns_no_name_by_guessing_the_number_of_a_patron(self):
        own = self.env["crm.lead"].create(
            {
                "name": "own",
                "library_request_kind": "reference",
                "library_branch_id": self.main.id,
            }
        )
        for way in (
            lambda: (
                self.env["library.service.usage"]
                .with_user(self.desk)
                .create(
                    {
                        "patron_id": self.bruno.id,
                        "service_id": self.visit.id,
                        "branch_id": self.main.id,
                    }
                )
            ),
            lambda: self.bruno.with_user(self.desk).action_log_visit(),
            lambda: self.amal.with_user(self.desk).write(
                {"guardian_id": self.bruno.id}
            ),
            lambda: (
                self.env["library.patron"]
                .with_user(self.desk)
                .create({"name": "Noor", "guardian_id": self.bruno.id})
            ),
            lambda: (
                self.env["crm.lead"]
                .with_user(self.desk)
                .create(
                    {
                        "name": "guess",
                        "library_request_kind": "reference",
                        "library_branch_id": self.main.id,
                        "library_patron_id": self.bruno.id,
                    }
                )
            ),
            lambda: own.with_user(self.desk).write(
                {"library_patron_id": self.bruno.id}
            ),
        ):
            with self.assertRaises(AccessError):
                way()

    def test_notes_about_a_patron_are_for_those_who_serve_the_patron(self):
        note = self.amal.message_post(body="Needs large print on the form")
        note.with_user(self.desk).check_access("read")
        with self.assertRaises(AccessError):
            note.with_user(self.marketing).check_access("read")

    def test_desk_sees_what_was_sent_to_patrons_of_its_branches(self):
        mailing = self.env["mailing.mailing"].create(
            {
                "subject": "Hello",
                "mailing_model_id": self.env["ir.model"]._get_id("library.patron"),
            }
        )
        own, other = self.env["mailing.trace"].create(
            [
                {
                    "model": "library.patron",
                    "res_id": patron.id,
                    "mass_mailing_id": mailing.id,
                    "email": patron.email,
                }
                for patron in self.amal + self.bruno
            ]
        )
        contact = self.env["mailing.trace"].create(
            {"model": "res.partner", "res_id": self.amal.id, "email": "a@example.com"}
        )
        found = self.env["mailing.trace"].with_user(self.desk).search([])
        self.assertIn(own, found)
        self.assertNotIn(other, found)
        self.assertNotIn(contact, found, "The number of a contact is no patron's")
        self.assertEqual(self.amal.with_user(self.desk).mailing_trace_count, 1)

    def test_desk_sees_households_with_a_member_of_its_branches(self):
        own, other = self.env["library.household"].create(
            [
                {"name": name, "company_id": self.library.id}
                for name in ("Idris", "Silva")
            ]
        )
        self.amal.household_id = own
        self.bruno.household_id = other
        own.with_user(self.desk).check_access("read")
        with self.assertRaises(AccessError):
            other.with_user(self.desk).check_access("read")

    # THE CONTACT'S RULES
    # ------------------------------------------------------------

    def _patron_rule(self, role, mode="read"):
        """The record rules of patrons for a role, as written in a domain."""
        user = getattr(self, role)
        rules = self.env["ir.rule"].with_user(user)
        return repr(
            rules.with_context(
                allowed_company_ids=user.company_ids.ids
            )._compute_domain("library.patron", mode)
        )

    def test_staff_read_patrons_without_the_company_rule_of_contacts(self):
        for role in ("desk", "marketing", "manager", "employee"):
            with self.subTest(role=role):
                self.assertNotIn("partner_id", self._patron_rule(role))
                self.assertIn("company_id", self._patron_rule(role))
                for mode in ("write", "create", "unlink"):
                    self.assertIn("'partner_id', 'any'", self._patron_rule(role, mode))

    def test_portal_reads_patrons_with_all_rules_of_contacts(self):
        self.assertIn("'partner_id', 'any'", self._patron_rule("portal"))

    def test_another_rule_of_contacts_shuts_out_their_patrons(self):
        as_desk = self.env["library.patron"].with_user(self.desk)
        both = [("id", "in", (self.amal + self.child_patron).ids)]
        self.assertEqual(as_desk.search(both), self.amal + self.child_patron)
        rule = self.env["ir.rule"].create(
            {
                "name": "Contacts: not Amal",
                "model_id": self.env["ir.model"]._get_id("res.partner"),
                "domain_force": repr([("id", "!=", self.amal.partner_id.id)]),
            }
        )
        self.assertEqual(as_desk.search(both), self.child_patron)
        rule.unlink()
        self.env.ref("base.res_partner_rule").domain_force = repr(
            [("id", "!=", self.amal.partner_id.id)]
        )
        self.assertEqual(as_desk.search(both), self.child_patron)

    def test_fields_of_the_contact_keep_the_rules_of_contacts(self):
        """What no screen allows, a contact that went to another company, shows its
        name and email to nobody of this library."""
        contact = self.amal.partner_id
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE res_partner SET company_id = %s WHERE id = %s",
            [self.other_library.id, contact.id],
        )
        self.portal.partner_id = self.bruno.partner_id
        contact.flush_recordset()
        self.env.cr.execute(
            "UPDATE res_partner SET partner_share = TRUE WHERE id = %s", [contact.id]
        )
        self.env.invalidate_all()
        for field in ("name", "email"):
            with self.subTest(field=field), self.assertRaises(AccessError):
                self.amal.with_user(self.desk).read([field])

    def test_contact_and_patron_stay_in_one_company(self):
        contact = self.bruno.partner_id
        with self.assertRaisesRegex(ValidationError, "Bruno Silva is a patron of"):
            contact.company_id = self.other_library
        contact.company_id = self.library
        children = self.env["res.company"].create(
            {"name": "Riverside Children", "parent_id": self.library.id}
        )
        Patron = self.env["library.patron"]
        Patron.create({"partner_id": contact.id, "company_id": children.id})
        with self.assertRaisesRegex(UserError, "company inconsistencies"):
            Patron.create(
                {"partner_id": contact.id, "company_id": self.other_library.id}
            )

    def test_consent_ledger_is_only_added_to(self):
        consent = self.env["library.consent"].create(
            {
                "patron_id": self.amal.id,
                "purpose_id": self.env.ref(
                    "library_crm.library_consent_purpose_news"
                ).id,
            }
        )
        with self.assertRaisesRegex(UserError, "only added to"):
            consent.state = "withdrawn"
        with self.assertRaises(AccessError):
            consent.with_user(self.manager).unlink()
