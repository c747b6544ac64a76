import re
from datetime import timedelta
from unittest.mock import patch

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from lxml import html
from psycopg2.errors import CheckViolation, UniqueViolation

from odoo import fields
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tests import Form, HttpCase, tagged
from odoo.tools import mute_logger

from odoo.addons.library_crm.controllers.join_answers import MAX_LENGTH
from odoo.addons.library_crm.models.library_join import LibraryJoin

from .common import LibraryCommon


class JoinCommon(LibraryCommon, HttpCase):
    """The join form of the library, and a visitor who fills it in."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.library.partner_id.email = "desk@riverside.example.org"
        cls.stories = cls.env["library.interest"].create({"name": "Join stories"})
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")
        cls.survey = cls.env.ref("library_crm.library_consent_purpose_survey")
        cls.form = cls.env["library.join.form"].create(
            {
                "company_id": cls.library.id,
                "is_open": True,
                "rule_ids": [
                    Command.create(
                        {
                            "name": "Children of the town",
                            "sequence": 1,
                            "who": "child",
                            "age_max": 15,
                            "places": "974*, Riverside",
                            "patron_category_id": cls.child.id,
                            "answer": "Free for children.",
                        }
                    ),
                    Command.create(
                        {
                            "name": "Students",
                            "sequence": 2,
                            "affiliation": "student",
                            "age_min": 17,
                            "answer": "Bring the student card.",
                        }
                    ),
                    Command.create(
                        {
                            "name": "The town",
                            "sequence": 3,
                            "places": "974*, Riverside",
                            "patron_category_id": cls.adult.id,
                            "answer": "Free for the town.",
                        }
                    ),
                    Command.create(
                        {
                            "name": "The neighbours",
                            "sequence": 4,
                            "places": "10115",
                            "outcome": "refused",
                            "answer": "Hillside Library is yours.",
                        }
                    ),
                ],
            }
        )
        today = fields.Date.today()
        cls.grown_up = str(today - relativedelta(years=40))
        cls.young = str(today - relativedelta(years=9))

    def setUp(self):
        super().setUp()
        self.mails_before = self.env["mail.mail"].search([]).ids

    # What a browser does

    def _get(self, path=""):
        return self.url_open(path or f"/library/join?library={self.library.id}")

    def _post(self, path="/library/join", **values):
        page = self._get()
        token = html.fromstring(page.content).xpath("//input[@name='csrf_token']")
        return self.url_open(path, data={"csrf_token": token[0].get("value"), **values})

    def _ask(self, step="send", **values):
        """Send the form of Rana, who is grown up and lives in town."""
        return self._post(
            **{
                "library": self.library.id,
                "step": step,
                "who": "self",
                "birth_date": self.grown_up,
                "zip": "97499",
                "name": "Rana Haddad",
                "email": "rana@test.example.com",
                "branch": self.north.id,
                **values,
            }
        )

    def _ask_for_a_child(self, **values):
        return self._ask(
            **{
                "who": "child",
                "birth_date": self.young,
                "name": "Sami Haddad",
                "email": "",
                "guardian_name": "Rana Haddad",
                "guardian_email": "rana@test.example.com",
                **values,
            }
        )

    def _get_errors(self, page):
        """What the page finds fault with, by field."""
        found = html.fromstring(page.content).xpath(
            "//div[@id='library_join_errors']//a"
        )
        return {
            link.get("href").removeprefix("#library_join_"): link.text_content()
            for link in found
        }

    # What comes of it

    def _get_mails(self):
        return self.env["mail.mail"].search(
            [("id", "not in", self.mails_before)], order="id"
        )

    def _get_mail(self):
        mail = self._get_mails()
        self.assertEqual(len(mail), 1)
        return mail

    def _get_joins(self):
        return self.env["library.join"].search([("company_id", "=", self.library.id)])

    def _get_leads(self):
        return self.env["crm.lead"].search(
            [
                ("company_id", "=", self.library.id),
                ("library_request_kind", "=", "joining"),
            ]
        )

    def _find_link(self, mail):
        link = re.search(r"/library/join/confirm/[\w-]+", mail.body_html)
        return link and link[0]

    def _confirm(self, link):
        return self._post(link)

    def _get_confirmed(self, **values):
        """The request of somebody who has confirmed."""
        self._ask(**values)
        self._confirm(self._find_link(self._get_mail()))
        return self._get_leads()

    def _make_patron(self, lead, **values):
        wizard = Form(
            self.env["library.lead.to.patron"]
            .with_user(self.manager)
            .with_context(default_lead_id=lead.id)
        )
        for name, value in values.items():
            setattr(wizard, name, value)
        wizard.save().action_apply()
        return lead.library_patron_id


@tagged("post_install", "-at_install")
class TestJoinRules(JoinCommon):
    def _decide(self, **values):
        return self.form._decide(
            **{
                "who": "self",
                "birth_date": fields.Date.to_date(self.grown_up),
                "zip_code": "97499",
                "city": "",
                "affiliation": "",
                **values,
            }
        ).name

    def test_first_rule_that_fits_decides(self):
        self.assertEqual(self._decide(), "The town")
        self.assertEqual(self._decide(affiliation="student"), "Students")
        self.form.rule_ids.filtered(lambda rule: rule.name == "The town").sequence = 0
        self.form.invalidate_recordset()
        self.assertEqual(self._decide(affiliation="student"), "The town")

    def test_nobody_is_promised_a_card_without_a_rule(self):
        self.assertFalse(self._decide(zip_code="20095"))

    def test_place_is_a_postcode_or_a_town_however_it_is_written(self):
        rule = self.form.rule_ids[2]
        rule.places = "974*, River side; SW1A 1*, [a]?"
        for zip_code, city, fits in [
            ("97401", "", True),
            (" 97 499", "", True),
            ("97399", "", False),
            ("1974", "", False),
            ("", "RIVERSIDE", True),
            ("", "Riverside East", False),
            ("sw1a1aa", "", True),
            ("", "[A]?", True),
            ("", "ab", False),
            ("", "", False),
        ]:
            with self.subTest(zip_code=zip_code, city=city):
                self.assertEqual(rule._fits_place(zip_code, city), fits)

    def test_ages_are_full_years_inclusive(self):
        today = fields.Date.today()
        rule = self.form.rule_ids[2]
        rule.write({"age_min": 18, "age_max": 64})
        for born, fits in [
            (today - relativedelta(years=18), True),
            (today - relativedelta(years=18) + timedelta(days=1), False),
            (today - relativedelta(years=65) + timedelta(days=1), True),
            (today - relativedelta(years=65), False),
        ]:
            with self.subTest(born=born):
                self.assertEqual(self._decide(birth_date=born) == "The town", fits)

    def test_new_form_is_closed_and_lets_everybody_ask(self):
        form = self.env["library.join.form"].create(
            {"company_id": self.other_library.id}
        )
        self.assertFalse(form.is_open)
        rule = form._decide(
            who="self",
            birth_date=fields.Date.to_date(self.grown_up),
            zip_code="1",
            city="",
            affiliation="",
        )
        self.assertEqual(rule.outcome, "allowed")

    def test_one_form_a_library(self):
        with self.assertRaises(UniqueViolation), mute_logger("odoo.sql_db"):
            self.env["library.join.form"].create({"company_id": self.library.id})

    def test_rules_are_the_managers(self):
        rule = self.form.rule_ids[0]
        rule.with_user(self.manager).answer = "Free."
        for role in (self.desk, self.marketing):
            self.assertFalse(rule.with_user(role).has_access("write"))


@tagged("post_install", "-at_install")
class TestJoinPage(JoinCommon):
    def test_page_asks_first_who_can_join(self):
        page = self._get()
        self.assertEqual(page.status_code, 200)
        self.assertIn("Riverside Library", page.text)
        self.assertIn("I study here", page.text)
        self.assertNotIn("I teach or do research here", page.text)
        self.assertNotIn('name="email"', page.text)
        self.assertEqual(page.headers["Cache-Control"], "no-store")

    def test_who_can_join_is_told_so_with_the_card(self):
        page = self._ask(step="who")
        self.assertIn("Yes, you can join", page.text)
        self.assertIn("Free for the town.", page.text)
        self.assertIn("Adult", page.text)
        self.assertFalse(self._get_joins())

    def test_who_can_not_join_is_told_what_else_there_is(self):
        page = self._ask(step="who", zip="10115")
        self.assertIn("o_library_join_refused", page.text)
        self.assertIn("Hillside Library is yours.", page.text)
        page = self._ask(step="who", zip="20095")
        self.assertIn("o_library_join_refused", page.text)
        self.assertIn("please talk to us", page.text)

    def test_rules_are_asked_again_with_the_last_answers(self):
        page = self._ask(step="send", zip="10115")
        self.assertIn("o_library_join_refused", page.text)
        self.assertFalse(self._get_joins())

    def test_answers_can_be_changed(self):
        page = self._ask(step="change", zip="97488")
        self.assertIn('value="97488"', page.text)
        self.assertNotIn('name="email"', page.text)

    def test_closed_form_is_not_there(self):
        self.form.is_open = False
        for response in (self._get(), self._get(f"/library/join?library={2**70}")):
            self.assertEqual(response.status_code, 404)
            self.assertIn("Please come to the library", response.text)
        self.assertEqual(self._get("/library/join?library=x").status_code, 404)

    def test_library_without_a_form_shows_the_only_one_there_is(self):
        Form_ = self.env["library.join.form"]
        Form_.search([("id", "!=", self.form.id)]).is_open = False
        self.assertEqual(Form_._get_open(self.other_library), self.form)
        Form_.create({"company_id": self.other_library.id, "is_open": True})
        self.assertEqual(Form_._get_open(self.library), self.form)
        third = self.env["res.company"].create({"name": "Lakeside Library"})
        self.assertFalse(Form_._get_open(third))
        self.assertEqual(Form_._get_open(third, self.library.id), self.form)

    def test_bad_answers_are_named_with_what_to_do(self):
        future = str(fields.Date.today() + timedelta(days=2))
        long = "x" * 300
        for field, value, message in [
            ("who", "", "choose one of the two"),
            ("who", "dog", "choose one of the two"),
            ("birth_date", "", "fill it in"),
            ("birth_date", "29.02.1984", "as in 1984-02-29"),
            ("birth_date", "1983-02-29", "as in 1984-02-29"),
            ("birth_date", future, "can not be"),
            ("birth_date", "1801-01-01", "can not be"),
            ("zip", "", "postcode or the town"),
            ("zip", long, f"{MAX_LENGTH['zip']} characters"),
            ("city", long, f"{MAX_LENGTH['city']} characters"),
            ("affiliation", "king", "choose one"),
            ("name", "", "fill it in"),
            ("name", " \u200b\n ", "fill it in"),
            ("name", "Win at https://x.example", "only the name"),
            ("name", "<b>Rana</b>", "only the name"),
            ("name", long, f"{MAX_LENGTH['name']} characters"),
            ("email", "", "can not answer"),
            ("email", "rana", "no full address"),
            ("email", "a@x.example, b@x.example", "no full address"),
            ("email", "Rana <rana@x.example>", "no full address"),
            ("email", f"{long}@x.example", f"{MAX_LENGTH['email']} characters"),
            ("phone", "call me", "5 to 15 digits"),
            ("phone", "12", "5 to 15 digits"),
            ("phone", "1" * 16, "5 to 15 digits"),
            ("phone", "1" * 40, f"{MAX_LENGTH['phone']} characters"),
            ("street", long, f"{MAX_LENGTH['street']} characters"),
            ("branch", "", "choose one of the branches"),
            ("branch", self.other_branch.id, "choose one of the branches"),
            ("interest", "0", "Choose again"),
            ("purpose", "x", "Choose again"),
            ("heard_of", "aliens", "choose one"),
        ]:
            with self.subTest(field=field, value=value):
                errors = self._get_errors(self._ask(**{field: value}))
                self.assertEqual(list(errors), [field])
                self.assertIn(message, errors[field])
        for field, value, message in [
            ("guardian_name", "", "fill it in"),
            ("guardian_email", "", "can not answer"),
            ("guardian_email", "rana", "no full address"),
            ("email", "sami", "no full address"),
        ]:
            with self.subTest(field=field, value=value, who="child"):
                errors = self._get_errors(self._ask_for_a_child(**{field: value}))
                self.assertEqual(list(errors), [field])
                self.assertIn(message, errors[field])
        self.assertFalse(self._get_joins())
        self.assertFalse(self._get_mails())

    def test_error_points_at_its_field_and_keeps_what_was_typed(self):
        page = self._ask(
            email="rana",
            street="1 Quay",
            phone="+32 2 555 01 99",
            interest=self.stories.id,
            purpose=self.news.id,
            heard_of="friend",
        )
        tree = html.fromstring(page.content)
        field = tree.get_element_by_id("library_join_email")
        self.assertEqual(field.get("aria-invalid"), "true")
        described_by = field.get("aria-describedby").split()
        self.assertIn("library_join_email_error", described_by)
        for reference in described_by:
            self.assertIsNotNone(tree.get_element_by_id(reference))
        for name, typed in [
            ("email", "rana"),
            ("name", "Rana Haddad"),
            ("street", "1 Quay"),
            ("phone", "+32 2 555 01 99"),
            ("zip", "97499"),
            ("birth_date", self.grown_up),
        ]:
            self.assertEqual(tree.xpath(f"//input[@name='{name}']/@value")[-1], typed)
        self.assertEqual(
            tree.xpath("//input[@checked]/@value"),
            [str(self.stories.id), str(self.news.id)],
        )
        self.assertEqual(
            tree.xpath("//option[@selected]/@value"), [str(self.north.id), "friend"]
        )

    def test_every_question_has_a_label(self):
        for page in (
            self._get(),
            self._ask_for_a_child(step="details"),
            self._ask_for_a_child(name=""),
        ):
            tree = html.fromstring(page.content)
            labelled = set(tree.xpath("//label/@for"))
            for question in tree.xpath(
                "//main//*[self::select or self::input[not(@type='hidden')]]"
            ):
                with self.subTest(question=question.get("name")):
                    self.assertIn(question.get("id"), labelled)

    def test_nothing_is_agreed_to_before_somebody_ticks_it(self):
        page = self._ask(step="details")
        tree = html.fromstring(page.content)
        purposes = tree.xpath("//input[@name='purpose']")
        self.assertTrue(purposes)
        self.assertFalse([box for box in purposes if box.get("checked")])
        self.assertIn(self.news.description, page.text)

    def test_nobody_profiles_a_child(self):
        profiling = self.env.ref("library_crm.library_consent_purpose_profiling")
        self.assertIn(profiling.name, self._ask(step="details").text)
        page = self._ask_for_a_child(step="details")
        self.assertNotIn(profiling.name, page.text)
        errors = self._get_errors(self._ask_for_a_child(purpose=profiling.id))
        self.assertEqual(list(errors), ["purpose"])

    def test_what_was_typed_is_text_and_never_code(self):
        evil = '"><script>alert(1)</script>'
        page = self._ask(name=evil, email=evil, street=evil, city=evil, phone=evil)
        self.assertNotIn("<script>alert", page.text)
        self.assertIn("&lt;script&gt;alert(1)", page.text)
        page = self._get(f"/library/join?library={self.library.id}&zip={evil}")
        self.assertNotIn("<script>alert", page.text)

    def test_page_reads_from_right_to_left_where_the_language_does(self):
        self.env["res.lang"]._activate_lang("ar_001")
        self.opener.cookies["frontend_lang"] = "ar_001"
        page = html.fromstring(self._get().content)
        self.assertEqual((page.get("lang"), page.get("dir")), ("ar-001", "rtl"))

    def test_form_without_a_token_is_refused(self):
        with self.assertLogs("odoo.http", "WARNING"):
            response = self.url_open(
                "/library/join", data={"step": "send", "library": self.library.id}
            )
        self.assertEqual(response.status_code, 400)

    def test_who_is_no_patron_finds_the_form_on_the_own_page(self):
        self.portal.write({"login": "join_portal", "password": "join_portal"})
        self.portal.partner_id = self.env["res.partner"].create(
            {"name": "Nobody yet", "company_id": self.library.id}
        )
        self.authenticate("join_portal", "join_portal")
        page = self._get("/my/library")
        self.assertIn(f"/library/join?library={self.library.id}", page.text)
        self.env["library.join.form"].search([]).is_open = False
        self.assertNotIn("/library/join", self._get("/my/library").text)


@tagged("post_install", "-at_install")
class TestJoin(JoinCommon):
    # ------------------------------------------------------------
    # ASKED
    # ------------------------------------------------------------

    def test_nothing_reaches_the_requests_before_the_address_confirms(self):
        page = self._ask()
        self.assertIn("Now look into your mail", page.text)
        self.assertFalse(self._get_leads())
        self.assertEqual(self._get_joins().state, "asked")
        mail = self._get_mail()
        self.assertEqual(mail.email_to, "rana@test.example.com")
        self.assertIn("Riverside Library", mail.subject)
        self.assertIn("desk@riverside.example.org", mail.email_from)

    def test_network_address_is_not_kept(self):
        self._ask()
        self.assertNotIn("127.0.0.1", str(self._get_joins().sudo().read()))
        self.env.cr.execute("SELECT * FROM library_public_limit")
        rows = self.env.cr.fetchall()
        self.assertTrue(rows)
        self.assertNotIn("127.0.0.1", str(rows))

    def test_page_is_the_same_for_whoever_has_a_card(self):
        """Same email, phone, or name and birth date: the page tells nobody."""
        self.amal.phone = "+32 2 555 01 42"
        self.amal.birth_date = self.grown_up

        def get_text(page):
            return re.sub(r'csrf_token: "\w+"', "", page.text)

        stranger = self._ask()
        for values in (
            {"email": "amal.idris@test.example.com", "name": "Amal Idris"},
            {"email": "else@test.example.com", "name": "Amal Idris"},
            {"email": "else2@test.example.com", "phone": "+32 2 555 01 42"},
        ):
            with self.subTest(**values):
                page = self._ask(**values)
                self.assertEqual(page.url, stranger.url)
                self.assertEqual(page.status_code, stranger.status_code)
                self.assertEqual(get_text(page), get_text(stranger))

    def test_who_has_a_card_learns_it_from_the_mail_to_the_own_address(self):
        self._ask(email="Amal.Idris@Test.example.com", name="A. Idris")
        mail = self._get_mail()
        self.assertEqual(mail.email_to, "amal.idris@test.example.com")
        self.assertIn("already have a card", mail.subject)
        self.assertIn("/my/library", mail.body_html)
        self.assertNotIn("0042", mail.body_html, "The number is not for the mail")

    def test_nobody_learns_from_another_address_that_somebody_has_a_card(self):
        self.amal.phone = "+32 2 555 01 42"
        self.amal.birth_date = self.grown_up
        self._ask(
            email="stranger@test.example.com",
            name="Amal Idris",
            phone="+32 2 555 01 42",
        )
        mail = self._get_mail()
        self.assertEqual(mail.email_to, "stranger@test.example.com")
        self.assertIn("Please confirm", mail.subject)
        self._confirm(self._find_link(mail))
        self.assertIn(self.amal, self._get_leads()._find_library_duplicates())

    def test_who_shares_the_address_of_a_patron_can_still_join(self):
        self._ask(email="amal.idris@test.example.com", name="Salma Idris")
        self._confirm(self._find_link(self._get_mail()))
        self.assertEqual(self._get_leads().contact_name, "Salma Idris")

    def test_former_patron_is_asked_to_confirm_like_anybody(self):
        self.amal.action_archive()
        self._ask(email="amal.idris@test.example.com", name="Amal Idris")
        self.assertIn("Please confirm", self._get_mail().subject)

    def test_patron_of_another_library_joins_here(self):
        self._ask(email="chidi.okafor@test.example.com", name="Chidi Okafor")
        self.assertIn("Please confirm", self._get_mail().subject)

    def test_robot_that_fills_in_everything_gets_nothing(self):
        page = self._ask(homepage="https://spam.example")
        self.assertIn("Now look into your mail", page.text)
        self.assertFalse(self._get_joins())
        self.assertFalse(self._get_mails())

    def test_nobody_is_flooded_with_mails(self):
        with patch.object(LibraryJoin, "_MAX_BY_ADDRESS", {1: 2, 24: 3}):
            for _time in range(4):
                page = self._ask(email="RANA@test.example.com")
                self.assertIn("Now look into your mail", page.text)
            self.assertEqual(len(self._get_mails()), 2, "Two in an hour")
            self._move_back(self._get_joins(), hours=2)
            self._ask()
            self._ask()
            self.assertEqual(len(self._get_mails()), 3, "Three in a day")
            self._ask(email="else@test.example.com")
            self.assertEqual(len(self._get_mails()), 4)

    def test_nobody_floods_the_library(self):
        Limit = self.env["library.public.limit"]
        with patch.dict(Limit.LIMITS, join=2):
            for number in range(2):
                self._ask(email=f"rana{number}@test.example.com")
            page = self._ask(email="rana3@test.example.com")
            self.assertEqual(page.status_code, 429)
            self.assertIn("try again in an hour", page.text)
            self.assertEqual(len(self._get_joins()), 2)
            self.env.cr.execute(
                "UPDATE library_public_limit SET done_at = done_at - interval '2 hours'"
            )
            self.assertEqual(self._ask(email="rana3@test.example.com").status_code, 200)

    def _move_back(self, joins, **ago):
        joins.flush_recordset()
        self.env.cr.execute(
            "UPDATE library_join SET create_date = create_date - %s WHERE id = ANY(%s)",
            [timedelta(**ago), joins.ids],
        )
        joins.invalidate_recordset()

    # ------------------------------------------------------------
    # CONFIRMED
    # ------------------------------------------------------------

    def test_team_with_other_stages_begins_at_its_first_one(self):
        self.env.ref("library_crm.crm_team_acquisition").company_id = self.env[
            "res.company"
        ].create({"name": "Lakeside Library"})
        team = self.env["crm.team"].create(
            {
                "name": "Our own",
                "library_purpose": "acquisition",
                "company_id": self.library.id,
            }
        )
        stage = self.env["crm.stage"].create({"name": "First", "team_ids": team.ids})
        lead = self._get_confirmed()
        self.assertEqual((lead.team_id, lead.stage_id), (team, stage))

    def test_look_at_the_link_confirms_nothing(self):
        self._ask()
        link = self._find_link(self._get_mail())
        page = self._get(link)
        self.assertIn("Yes, I ask for the card", page.text)
        self.assertEqual(self._get_joins().state, "asked")
        self.assertFalse(self._get_leads())

    def test_confirmed_form_is_a_request_on_the_board_of_new_patrons(self):
        lead = self._get_confirmed(
            phone="+32 2 555 01 99",
            street="1 Quay",
            city="Riverside",
            interest=self.stories.id,
            heard_of="friend",
        )
        self.assertRecordValues(
            lead,
            [
                {
                    "contact_name": "Rana Haddad",
                    "email_from": "rana@test.example.com",
                    "phone": "+32 2 555 01 99",
                    "street": "1 Quay",
                    "zip": "97499",
                    "city": "Riverside",
                    "library_branch_id": self.north.id,
                    "team_id": self.env.ref("library_crm.crm_team_acquisition").id,
                    "stage_id": self.env.ref(
                        "library_crm.crm_stage_acquisition_form"
                    ).id,
                    "type": "opportunity",
                    "won_status": "pending",
                    "user_id": False,
                }
            ],
        )
        self.assertIn("Join stories", lead.description)
        self.assertNotIn(self.grown_up, str(lead.read()), "Marketing reads requests")
        self.assertIn("We have it", self._get_mails()[-1].subject)

    def test_confirmed_twice_is_one_request(self):
        self._ask()
        link = self._find_link(self._get_mail())
        for _time in range(3):
            page = self._confirm(link)
            self.assertEqual(page.status_code, 200)
            self.assertIn("Thank you, we have it", page.text)
        self.assertEqual(len(self._get_leads()), 1)
        self.assertEqual(len(self._get_mails()), 2, "Please confirm; received")

    def test_filled_in_twice_is_one_request_with_what_was_said_last(self):
        self._ask(phone="+32 2 555 01 99")
        self._ask(phone="+32 2 555 01 88")
        for mail in self._get_mails():
            self._confirm(self._find_link(mail))
        self.assertEqual(self._get_leads().phone, "+32 2 555 01 88")
        self.assertEqual(self._get_joins().lead_id, self._get_leads())

    def test_token_that_is_forged_or_too_old_confirms_nothing(self):
        self._ask()
        join = self._get_joins()
        link = self._find_link(self._get_mail())
        base, token = link.rsplit("/", 1)
        other = self.env["library.join"].create(
            {"name": "Else", "email": "e@x.example", "company_id": self.library.id}
        )
        for forged in (
            token[:-1] + ("A" if token[-1] != "A" else "B"),
            "B" + token[1:],
            token[: len(token) // 2],
            "x",
            "%F0%9F",
            other._get_token()[:60] + token[60:],
        ):
            with self.subTest(forged=forged):
                self.assertEqual(self._get(f"{base}/{forged}").status_code, 404)
                self.assertEqual(self._confirm(f"{base}/{forged}").status_code, 404)
        with patch.object(LibraryJoin, "_CONFIRM_DAYS", -1):
            old = join._get_token()
        self.assertEqual(self._confirm(f"{base}/{old}").status_code, 404)
        self.assertFalse(self._get_leads())
        self.assertEqual(self._confirm(link).status_code, 200)

    def test_token_is_for_the_address_that_it_was_sent_to(self):
        self._ask()
        self._get_joins().email = "else@test.example.com"
        page = self._confirm(self._find_link(self._get_mail()))
        self.assertEqual(page.status_code, 404)

    # ------------------------------------------------------------
    # CHILDREN
    # ------------------------------------------------------------

    def test_guardian_confirms_for_a_child(self):
        self._ask_for_a_child()
        mail = self._get_mail()
        self.assertEqual(mail.email_to, "rana@test.example.com")
        self.assertIn("Rana Haddad", mail.body_html)
        self.assertIn("Sami Haddad", mail.body_html)
        page = self._get(self._find_link(mail))
        self.assertIn("I am the guardian and I agree", page.text)

    def test_who_is_too_young_needs_a_guardian_and_can_not_confirm(self):
        errors = self._get_errors(self._ask(birth_date=self.young))
        self.assertEqual(list(errors), ["guardian_name", "guardian_email"])
        self._ask(
            birth_date=self.young,
            email="sami@test.example.com",
            guardian_name="Rana Haddad",
            guardian_email="rana@test.example.com",
        )
        self.assertEqual(self._get_mail().email_to, "rana@test.example.com")

    def test_manager_sets_the_age_for_all_that_is_agreed_to(self):
        self.form.with_user(self.manager).minor_age = 8
        self.assertEqual(self.library.library_minor_age, 8)
        self.assertFalse(self._get_errors(self._ask(birth_date=self.young)))
        with self.assertRaises(CheckViolation), mute_logger("odoo.sql_db"):
            self.form.minor_age = 26
            self.library.flush_recordset()

    def test_rule_can_ask_for_a_guardian(self):
        self.form.rule_ids[2].needs_guardian = True
        errors = self._get_errors(self._ask())
        self.assertEqual(list(errors), ["guardian_name", "guardian_email"])

    def test_child_becomes_a_patron_with_the_guardian(self):
        self._ask_for_a_child()
        self._confirm(self._find_link(self._get_mail()))
        patron = self._make_patron(self._get_leads())
        self.assertEqual(patron.complete_name, "Sami Haddad")
        self.assertEqual(patron.patron_category_id, self.child)
        self.assertEqual(str(patron.birth_date), self.young)
        self.assertEqual(patron.guardian_id.complete_name, "Rana Haddad")
        self.assertEqual(patron.guardian_id.email, "rana@test.example.com")
        self.assertFalse(patron.guardian_id.membership_ids)

    def test_guardian_who_is_a_patron_is_taken_and_is_not_the_child(self):
        self._ask_for_a_child(
            guardian_name="Amal Idris", guardian_email="amal.idris@test.example.com"
        )
        mail = self._get_mail()
        self.assertIn("Please confirm", mail.subject, "The child has no card")
        self._confirm(self._find_link(mail))
        patron = self._make_patron(self._get_leads())
        self.assertNotEqual(patron, self.amal)
        self.assertEqual(patron.guardian_id, self.amal)

    def test_guardian_learns_that_the_child_has_a_card(self):
        self.env["library.patron"].create(
            {
                "name": "Noor Idris",
                "company_id": self.library.id,
                "guardian_id": self.amal.id,
                "birth_date": self.young,
            }
        )
        self._ask_for_a_child(
            name="Noor Idris",
            guardian_name="Amal Idris",
            guardian_email="amal.idris@test.example.com",
        )
        self.assertIn("already have a card", self._get_mail().subject)

    # ------------------------------------------------------------
    # ANSWERED
    # ------------------------------------------------------------

    def test_patron_has_all_that_was_said_and_is_welcomed(self):
        lead = self._get_confirmed(interest=self.stories.id, phone="+32 2 555 01 99")
        patron = self._make_patron(lead, card_number="0077")
        self.assertRecordValues(
            patron,
            [
                {
                    "complete_name": "Rana Haddad",
                    "email": "rana@test.example.com",
                    "phone": "+32 2 555 01 99",
                    "birth_date": fields.Date.to_date(self.grown_up),
                    "patron_category_id": self.adult.id,
                    "branch_id": self.north.id,
                    "interest_ids": self.stories.ids,
                    "membership_state": "active",
                }
            ],
        )
        mail = self._get_mails()[-1]
        self.assertIn("Welcome to Riverside Library", mail.subject)
        self.assertIn("North", mail.body_html)
        self.assertIn("bring a document", mail.body_html)

    def test_what_was_agreed_to_is_in_the_ledger_as_it_was_worded(self):
        self.news.wording_version = "7"
        lead = self._get_confirmed(purpose=self.news.id)
        in_library = [("patron_id.company_id", "=", self.library.id)]
        self.assertFalse(self.env["library.consent"].search(in_library))
        self.news.wording_version = "8"
        patron = self._make_patron(lead)
        self.assertRecordValues(
            patron.consent_ids,
            [
                {
                    "purpose_id": self.news.id,
                    "state": "given",
                    "channel": "email",
                    "source": "form",
                    "wording_version": "7",
                }
            ],
        )
        self.assertEqual(patron.agreed_purpose_ids, self.news)

    def test_what_was_agreed_to_for_a_child_holds_for_the_guardian(self):
        self._ask_for_a_child(purpose=self.news.id)
        self._confirm(self._find_link(self._get_mail()))
        patron = self._make_patron(self._get_leads())
        self.assertEqual(patron.consent_ids.state, "given")
        self.assertEqual(patron.guardian_id.email_confirmed, "rana@test.example.com")
        self.assertFalse(patron.guardian_id.consent_ids)

    def test_what_was_taken_back_since_stays_taken_back(self):
        lead = self._get_confirmed(name="Amal Idris", purpose=self.news.id)
        self.amal.email = "rana@test.example.com"
        Consent = self.env["library.consent"]
        Consent._record(self.amal, self.news)
        with freeze_time(fields.Datetime.now() + timedelta(days=1)):
            Consent._record(self.amal, self.news, state="withdrawn")
            self._make_patron(lead, action="link", patron_id=self.amal)
        self.assertFalse(self.amal.agreed_purpose_ids)

    def test_agreement_holds_for_the_address_that_confirmed_it(self):
        lead = self._get_confirmed(name="Amal Idris", purpose=self.news.id)
        self._make_patron(lead, action="link", patron_id=self.amal)
        self.assertEqual(lead.library_patron_id, self.amal)
        self.assertFalse(self.amal.consent_ids, "Amal's mails go elsewhere")

    def test_known_patron_keeps_what_is_known(self):
        self.amal.birth_date = "1984-02-29"
        lead = self._get_confirmed(name="Amal Idris", interest=self.stories.id)
        self._make_patron(lead, action="link", patron_id=self.amal)
        self.assertEqual(str(self.amal.birth_date), "1984-02-29")
        self.assertEqual(self.amal.email, "amal.idris@test.example.com")
        self.assertEqual(self.amal.interest_ids, self.stories)

    def test_known_patron_is_told_of_the_card_that_there_is(self):
        self.amal.email = False
        lead = self._get_confirmed(name="Amal Idris", purpose=self.news.id)
        self._make_patron(lead, action="link", patron_id=self.amal)
        mail = self._get_mails()[-1]
        self.assertIn("already have a card", mail.subject)
        self.assertFalse(self._find_link(mail), "There is nothing left to confirm")
        self.assertEqual(self.amal.email, "rana@test.example.com")
        self.assertEqual(self.amal.agreed_purpose_ids, self.news)

    def test_request_that_is_handed_over_takes_its_form_along(self):
        lead = self._get_confirmed()
        join = self._get_joins()
        self.assertFalse(join.with_user(self.desk).has_access("read"))
        lead.library_branch_id = self.main
        self.env.invalidate_all()
        self.assertEqual(lead.with_user(self.desk).library_join_ids, join)

    def test_dropped_request_is_answered_with_the_reason(self):
        reason = self.env["crm.lost.reason"].create(
            {"name": "Too far", "library_answer": "You live too far away."}
        )
        lead = self._get_confirmed()
        lead.with_user(self.manager).action_set_lost(lost_reason_id=reason.id)
        mail = self._get_mails()[-1]
        self.assertEqual(mail.email_to, "rana@test.example.com")
        self.assertIn("You live too far away.", mail.body_html)
        self.assertNotIn("Too far", mail.body_html, "The reason is for the staff")
        self.assertEqual(self._get_joins().state, "refused")

    def test_dropped_request_can_be_taken_up_again(self):
        lead = self._get_confirmed()
        lead.action_set_lost()
        lead.action_restore()
        self.assertEqual(self._get_joins().state, "confirmed")
        self.assertTrue(self._make_patron(lead))

    def test_staff_send_the_mail_again_but_not_at_once(self):
        self._ask()
        join = self._get_joins()
        join.branch_id = self.main
        as_desk = join.with_user(self.desk)
        with self.assertRaisesRegex(UserError, "only just left"):
            as_desk.action_send_again()
        join.sent_on -= timedelta(hours=1)
        as_desk.action_send_again()
        self.assertEqual(len(self._get_mails()), 2)

    def test_mails_speak_the_language_of_the_visitor(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        template = self.env.ref("library_crm.mail_template_join_confirm")
        template.with_context(lang="fr_FR").subject = "Confirmez"
        join = self.env["library.join"]._ask(
            {
                "name": "Rana",
                "email": "rana@test.example.com",
                "company_id": self.library.id,
                "lang": "fr_FR",
            },
        )
        self.assertTrue(join)
        self.assertEqual(self._get_mail().subject, "Confirmez")

    # ------------------------------------------------------------
    # FORGOTTEN
    # ------------------------------------------------------------

    def assertForgotten(self, join):
        texts = str(join.sudo().read(load=None))
        for said in ("Rana", "Haddad", "rana@", "97499", self.grown_up, "555"):
            with self.subTest(said):
                self.assertNotIn(said, texts)
        self.assertFalse(join.interest_ids)
        self.assertTrue(join.branch_id, "Reports count it still")

    def test_who_does_not_confirm_is_forgotten_after_a_week(self):
        self._ask(phone="+32 2 555 01 99", interest=self.stories.id)
        link = self._find_link(self._get_mail())
        join = self._get_joins()
        self._move_back(join, days=6, hours=23)
        self._run_retention("join", "join_closed")
        self.assertEqual(join.name, "Rana Haddad")
        self._move_back(join, days=1, hours=2)
        self._run_retention("join", "join_closed")
        self.assertEqual(join.state, "expired")
        self.assertForgotten(join)
        self.assertEqual(self._confirm(link).status_code, 404)

    def test_who_became_a_patron_is_forgotten_here(self):
        lead = self._get_confirmed(purpose=self.news.id, interest=self.stories.id)
        self._make_patron(lead)
        self.assertEqual(self._get_joins().state, "done")
        self.assertForgotten(self._get_joins())

    def test_who_was_refused_is_forgotten_after_a_month(self):
        self._get_confirmed().action_set_lost()
        join = self._get_joins()
        self._run_retention("join", "join_closed")
        self.assertEqual(join.name, "Rana Haddad")
        join.closed_on -= timedelta(days=31)
        self._run_retention("join", "join_closed")
        self.assertEqual(join.state, "refused")
        self.assertForgotten(join)

    def test_who_was_dealt_with_by_other_means_is_forgotten_after_a_month(self):
        lead = self._get_confirmed()
        join = self._get_joins()
        lead.action_set_won()
        lead.date_closed -= timedelta(days=29)
        self._run_retention("join", "join_closed")
        self.assertEqual(join.name, "Rana Haddad")
        lead.date_closed -= timedelta(days=3)
        self._run_retention("join", "join_closed")
        self.assertEqual(join.state, "done")
        self.assertForgotten(join)

    def test_who_waits_for_the_staff_is_not_forgotten(self):
        self._get_confirmed()
        join = self._get_joins()
        self._move_back(join, days=300)
        self._run_retention("join", "join_closed")
        self.assertEqual(join.name, "Rana Haddad")

    def test_form_of_a_deleted_request_is_forgotten(self):
        self._get_confirmed().unlink()
        join = self._get_joins()
        self._run_retention("join", "join_closed")
        self.assertForgotten(join)

    def test_digest_of_the_network_address_is_kept_for_an_hour(self):
        self._ask()
        self.env.cr.execute(
            "UPDATE library_public_limit SET done_at = done_at - interval '61 minutes'"
        )
        self.env["library.public.limit"]._gc_past()
        self.env.cr.execute("SELECT count(*) FROM library_public_limit")
        self.assertEqual(self.env.cr.fetchone(), (0,))


@tagged("post_install", "-at_install")
class TestJoinTour(JoinCommon):
    browser_size = "390x844"
    touch_enabled = True

    def test_tour(self):
        self.start_tour(
            f"/library/join?library={self.library.id}&utm_source=Join+fair",
            "library_join_tour",
        )
        join = self._get_joins()
        self.assertEqual(join.interest_ids, self.stories)
        self.assertEqual(join.source_id.name, "Join fair")
        self.start_tour(self._find_link(self._get_mail()), "library_join_confirm_tour")
        self.assertEqual(self._get_leads().contact_name, "Rana Haddad")


@tagged("post_install", "-at_install")
class TestAcquisition(JoinCommon):
    """Where patrons come from: the links that they follow, and the report."""

    def _ask_by_link(self, **values):
        self._get(
            f"/library/join?library={self.library.id}&utm_source=Join+fair"
            "&utm_medium=Join+stand&utm_campaign=Join+summer"
        )
        self._ask(**values)

    def _get_report(self, **conditions):
        return self.env["library.acquisition.report"].search(
            [
                ("company_id", "=", self.library.id),
                *((name, "=", value) for name, value in conditions.items()),
            ]
        )

    def test_source_of_the_link_stays_from_the_page_to_the_patron(self):
        self._ask_by_link()
        self.opener.cookies.clear()  # The mail is read on another device.
        self._confirm(self._find_link(self._get_mail()))
        lead = self._get_leads()
        self.assertEqual(lead.source_id.name, "Join fair")
        self.assertEqual(lead.medium_id.name, "Join stand")
        self.assertEqual(lead.campaign_id.title, "Join summer")
        self._make_patron(lead)
        report = self._get_report(outcome="joined")
        self.assertEqual(report.source_id.name, "Join fair")
        self.assertEqual(report.patron_category_id, self.adult)

    def test_report_counts_from_the_first_word_to_the_card(self):
        self._ask_by_link(email="expires@test.example.com", name="E.")
        self._move_all(days=8)
        self._run_retention("join")
        joined, dropped, pending = (
            self._ask_and_confirm(f"{name}@test.example.com", name)
            for name in ("joined", "dropped", "pending")
        )
        self._make_patron(joined)
        dropped.action_set_lost()
        self.env["crm.lead"].create(
            {
                "name": "At the desk",
                "library_request_kind": "joining",
                "company_id": self.library.id,
                "library_branch_id": self.main.id,
            }
        )
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE library_join SET create_date = create_date - interval '3 days' "
            "WHERE lead_id = %s",
            [joined.id],
        )
        self.assertEqual(pending.won_status, "pending")
        rows = self.env["library.acquisition.report"]._read_group(
            [("company_id", "=", self.library.id)],
            [],
            [
                *("asked:sum", "confirmed:sum", "joined:sum", "refused:sum"),
                *("joined_rate:avg", "days_to_card:avg"),
            ],
        )
        *counts, days = rows[0]
        self.assertEqual(counts, [5, 4, 1, 1, 20.0])
        self.assertAlmostEqual(days, 3, delta=0.1)
        self.assertEqual(
            dict(
                self.env["library.acquisition.report"]._read_group(
                    [("company_id", "=", self.library.id)], ["branch_id"], ["__count"]
                )
            ),
            {self.north: 4, self.main: 1},
        )

    def _move_all(self, **ago):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE library_join SET create_date = create_date - %s "
            "WHERE company_id = %s",
            [timedelta(**ago), self.library.id],
        )
        self.env.invalidate_all()

    def _ask_and_confirm(self, email, name):
        self._ask(email=email, name=name)
        self._confirm(self._find_link(self._get_mails()[-1]))
        return self._get_leads().filtered(lambda lead: lead.contact_name == name)

    def test_report_shows_at_which_stage_people_are(self):
        self._ask()
        self.assertFalse(self._get_report().stage_id)
        self.assertEqual(self._get_report().outcome, "asked")
        self._confirm(self._find_link(self._get_mail()))
        stage = self.env.ref("library_crm.crm_stage_acquisition_form")
        self.assertEqual(self._get_report().stage_id, stage)
        self.assertEqual(self._get_report().outcome, "open")

    def test_report_outlives_the_request(self):
        lead = self._get_confirmed()
        self._make_patron(lead)
        lead.unlink()
        self.assertEqual(self._get_report().outcome, "joined")

    def test_report_leaves_out_other_requests(self):
        for kind in ("complaint", "win_back"):
            self.env["crm.lead"].create(
                {
                    "name": kind,
                    "library_request_kind": kind,
                    "company_id": self.library.id,
                }
            )
        self.assertFalse(self._get_report())

    def test_desk_sees_its_branches_and_marketing_all(self):
        self._ask()
        report = self._get_report()
        self.assertFalse(report.with_user(self.desk).has_access("read"))
        self.assertFalse(self._get_joins().with_user(self.desk).has_access("read"))
        report.with_user(self.marketing).check_access("read")
        self._get_joins().branch_id = self.main
        self.env.invalidate_all()
        report.with_user(self.desk).check_access("read")
        self._get_joins().with_user(self.desk).check_access("read")
        report.with_user(self.manager).check_access("read")

    def test_another_library_sees_nothing(self):
        self._ask()
        report = self._get_report()
        others = {
            "company_ids": [Command.set(self.other_library.ids)],
            "company_id": self.other_library.id,
        }
        self.manager.write(others)
        for records in (report, self._get_joins(), self.form, self.form.rule_ids):
            with self.subTest(records._name):
                self.assertFalse(records.with_user(self.manager).has_access("read"))
