from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestPrivateUse(LibraryCommon):
    """What one person uses, when they were born and what staff note about them is for
    those who serve them. Here marketing tries the ways round; ways that lead through
    segments are in ``test_segment``."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["library.service.usage"].create(
            {
                "patron_id": cls.amal.id,
                "service_id": cls.loan.id,
                "branch_id": cls.main.id,
            }
        )
        cls.bruno.birth_date = "2020-01-01"
        cls.as_marketing = cls.env["library.patron"].with_user(cls.marketing)

    def _get_limited(self, user):
        """The fields of patrons that these addons bring and a user may not read."""
        Patron = self.env["library.patron"].with_user(user)
        return [
            name
            for name, field in Patron._fields.items()
            if any("library_crm" in module for module in field._modules)
            and not field.inherited
            and not Patron._has_field_access(field, "read")
        ]

    def _get_ways(self, user, name):
        """The ways to ask for a field of patrons, by what they are called."""
        Patron = self.env["library.patron"].with_user(user)
        amal = self.amal.with_user(user)
        Membership = self.env["library.membership"].with_user(user)
        ways = {
            "read": lambda: amal.read([name]),
            "web_read": lambda: amal.web_read({name: {}}),
            "export": lambda: amal._export_rows([[name]]),
        }
        field = Patron._fields[name]
        if field.store or (field.search and not name.startswith("activity_")):
            asked = [(name, "!=", False)]
            ways["search"] = lambda: Patron.search(asked)
            ways["count"] = lambda: Patron.search_count([(name, "in", [False])])
            ways["guardian"] = lambda: Patron.search([("guardian_id", "any", asked)])
            ways["membership"] = lambda: Membership.search(
                [(f"patron_id.{name}", "!=", False)]
            )
        if field.store and field.column_type:
            ways["order"] = lambda: Patron.search([], order=name)
            ways["group"] = lambda: Patron.formatted_read_group([], [name], ["__count"])
            ways["sum"] = lambda: Patron.formatted_read_group(
                [], [], [f"{name}:count_distinct"]
            )
        return ways

    def test_field_that_can_not_be_read_can_not_be_asked_for(self):
        """Neither by a search nor by an order, a group or a sum, also where a field is
        searched by a method of its own."""
        for user in (self.marketing, self.portal):
            limited = self._get_limited(user)
            self.assertIn("birth_date", limited)
            for name in limited:
                for way, go in self._get_ways(user, name).items():
                    with self.subTest(user.login, field=name, way=way):
                        with self.assertRaises(AccessError):
                            go()

    def test_marketing_learns_of_use_the_day_of_the_last_and_rough_steps(self):
        """All that marketing reads of a patron and that comes from use."""
        told = {"last_use_date", "lifecycle", "lifecycle_since", "recency"}
        told |= {"frequency", "variety"}
        hidden = {"birth_date", "birth_year", "is_minor", "use_count", "cluster_id"}
        hidden |= {"use_day_count", "service_count", "usual_gap", "lifecycle_reason"}
        hidden |= {"request_ids", "activity_summary"}
        limited = set(self._get_limited(self.marketing))
        self.assertLessEqual(hidden, limited)
        self.assertFalse(told & limited)
        for model in ("library.service.usage", "library.data.load"):
            self.assertFalse(
                self.env[model].with_user(self.marketing).has_access("read")
            )

    def test_notes_about_a_patron_are_not_found_by_who_may_not_read_them(self):
        self.amal.message_post(body="Needs large print on the form")
        self.amal.activity_schedule(
            "mail.mail_activity_data_todo",
            note="Call about the lost card",
            user_id=self.manager.id,
        )
        for domain in (
            [("message_ids.body", "ilike", "large print")],
            [("website_message_ids.body", "ilike", "large print")],
            [("activity_ids.note", "ilike", "lost card")],
            [("activity_ids.user_id", "=", self.manager.id)],
        ):
            with self.subTest(domain=domain):
                self.assertEqual(self.as_marketing.search_count(domain), 0)
                self.assertFalse(self.as_marketing.search(domain))
        self.assertEqual(
            self.env["library.patron"]
            .with_user(self.desk)
            .search([("message_ids.body", "ilike", "large print")]),
            self.amal,
        )

    def test_nobody_follows_what_is_noted_but_who_serves_the_patron(self):
        amal = self.amal.with_user(self.marketing)
        with self.assertRaises(AccessError):
            amal.message_subscribe(self.marketing.partner_id.ids)
        with self.assertRaises(AccessError):
            self.env["mail.followers"].with_user(self.marketing).create(
                {
                    "res_model": "library.patron",
                    "res_id": self.amal.id,
                    "partner_id": self.marketing.partner_id.id,
                }
            )
        with self.assertRaises(AccessError):
            amal.message_post(body="Hello")
        self.amal.with_user(self.desk).message_subscribe(self.desk.partner_id.ids)
        self.assertIn(self.desk.partner_id, self.amal.message_partner_ids)

    def test_marketing_can_not_ask_for_a_birth_date_through_contacts(self):
        """A mailing chooses its recipients as the system, whatever it is written to."""
        for model, path in (
            ("res.partner", "library_patron_ids.birth_date"),
            ("crm.lead", "library_patron_id.birth_date"),
            ("crm.lead", "partner_id.library_patron_ids.is_minor"),
        ):
            values = {
                "mailing_model_id": self.env["ir.model"]._get_id(model),
                "mailing_domain": repr([("id", "=", 1), (path, "!=", False)]),
            }
            for kind, more in (
                ("mailing.mailing", {"subject": "Hello"}),
                ("mailing.filter", {"name": "Guess"}),
            ):
                with self.subTest(model=kind, path=path):
                    with self.assertRaises(AccessError):
                        self.env[kind].with_user(self.marketing).create(
                            {**values, **more}
                        )
        nested = [
            ("partner_id", "any", [("library_patron_ids.birth_date", "!=", False)])
        ]
        with self.assertRaises(AccessError):
            self.env["mailing.mailing"].with_user(self.marketing).create(
                {
                    "subject": "Hello",
                    "mailing_model_id": self.env["ir.model"]._get_id("crm.lead"),
                    "mailing_domain": repr(nested),
                }
            )

    def test_text_of_a_mail_asks_nothing_that_its_writer_may_not_read(self):
        """Placeholders are filled in by the system when a mailing leaves, and what they
        may say is anything that a program can."""
        birth = "object.sudo().birth_date"
        every = "object.env['library.patron'].sudo().search([])"
        for user in (self.desk, self.marketing, self.manager, self.employee):
            for model, values in (
                (
                    "mail.template",
                    {
                        "name": "Guess",
                        "model_id": self.env["ir.model"]._get_id("res.partner"),
                    },
                ),
                (
                    "mailing.mailing",
                    {
                        "mailing_model_id": self.env["ir.model"]._get_id(
                            "library.patron"
                        )
                    },
                ),
            ):
                for text in (
                    {"subject": f"{{{{ {birth} }}}}"},
                    {"subject": "x", "body_html": f'<p t-out="{every}"/>'},
                ):
                    with self.subTest(user.login, model=model, text=text):
                        with self.assertRaises(AccessError):
                            self.env[model].with_user(user).create({**values, **text})
            composer = (
                self.env["mail.compose.message"]
                .with_user(user)
                .create(
                    {
                        "model": "res.partner",
                        "res_ids": repr(user.partner_id.ids),
                        "subject": f"{{{{ {every} }}}}",
                    }
                )
            )
            with self.subTest(user.login), self.assertRaises(AccessError):
                composer._render_field("subject", user.partner_id.ids)

    def test_staff_fill_in_no_link_that_opens_the_page_of_a_patron(self):
        """With it one could agree, or look at a year of use, in the patron's name."""
        for user in (self.marketing, self.desk, self.manager):
            for name in ("mail_template_preferences", "mail_template_confirm"):
                template = self.env.ref(f"library_crm.{name}")
                composer = (
                    self.env["mail.compose.message"]
                    .with_user(user)
                    .create(
                        {
                            "model": "library.patron",
                            "res_ids": repr(self.amal.ids),
                            "template_id": template.id,
                        }
                    )
                )
                with self.subTest(user.login, template=name):
                    self.assertIn("/library_crm/", composer.body)
                    self.assertNotRegex(composer.body, r"/library_crm/\w+/\w{20}")
            for page in self.amal._LINK_DAYS:
                link = self.amal.with_user(user)._get_link(page)
                self.assertTrue(link.endswith("/library_crm/preferences"))
        join = self.env["library.join"].create(
            {"company_id": self.library.id, "name": "Rana", "email": "r@example.com"}
        )
        self.assertIn("/confirm/", join._get_confirm_url())
        self.assertNotIn("/confirm/", join.with_user(self.desk)._get_confirm_url())

    def test_public_methods_give_nothing_about_who_is_not_seen(self):
        """What can be called from outside, by who sees nothing of the library or not
        this patron."""
        news = self.env.ref("library_crm.library_consent_purpose_news")
        self.env["library.consent"].create(
            {"patron_id": self.bruno.id, "purpose_id": news.id}
        )
        far = new_test_user(
            self.env,
            "library_far_manager",
            "library_crm.group_library_manager",
            company_id=self.other_library.id,
            company_ids=[Command.set(self.other_library.ids)],
        )
        for user in (self.desk, self.employee, self.portal, far):
            bruno = self.bruno.with_user(user).with_context(
                allowed_company_ids=user.company_ids.ids
            )
            for name, arguments in (
                ("get_consents", ()),
                ("set_consent", (news.id, "email", True)),
                ("action_log_visit", ()),
                ("message_post", ()),
            ):
                with self.subTest(user.login, method=name):
                    with self.assertRaises(AccessError):
                        getattr(bruno, name)(*arguments)
            with self.subTest(user.login, method="get_use_by_month"):
                try:
                    self.assertFalse(bruno.get_use_by_month()["services"])
                except AccessError:
                    continue

    def test_name_search_gives_no_patron_who_is_not_seen(self):
        for user in (self.desk, self.portal):
            Patron = self.env["library.patron"].with_user(user)
            for text in ("Bruno", "0043", "Chidi"):
                with self.subTest(user.login, text=text):
                    self.assertEqual(Patron.name_search(text), [])
        with self.assertRaises(AccessError):
            self.env["library.patron"].with_user(self.employee).name_search("Amal")
