import re

from odoo.exceptions import AccessError
from odoo.tests import Form, TransactionCase, tagged

from .languages import LANGUAGES, SpeaksLanguages
from .test_journey import JourneyCommon


@tagged("post_install", "-at_install")
class TestJourneyMails(JourneyCommon):
    """The journeys that come with the addon, as a patron of any library gets them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = ("welcome", "renewal", "win_back", "birthday", "anniversary", "outgrow")
        shipped = cls.env["library.journey"].concat(
            *(cls.env.ref(f"library_crm.library_journey_{name}") for name in names)
        )
        cls.library.email = "desk@riverside.example.com"
        cls.journeys = cls.env["library.journey"].concat(
            *(journey.copy({"company_id": cls.library.id}) for journey in shipped)
        )
        cls.child.next_category_id = cls.adult
        cls.noor = cls._make_patron(
            "Noor Idris",
            email=False,
            card_number="0009004",
            guardian_id=cls.amal.id,
            patron_category_id=cls.child.id,
        )
        cls._create_membership(cls.noor, date_end="2026-06-30")
        cls.env["library.consent"]._record(
            cls.noor, cls.journeys.purpose_id.filtered("is_refusable")
        )

    def _send(self, mailing):
        """The mail as the mail server is given it: to the guardian of a child."""
        mailing.with_context(library_journey_companions=())._queue_for_journey(
            self.noor
        )
        mail = self.env["mail.mail"].search([], order="id desc", limit=1)
        with self.mock_mail_gateway():
            mail.send()
        return self._mails[0]

    def test_whoever_may_not_fill_in_changes_the_words_and_nothing_else(self):
        editors = self.env.ref("mail.group_mail_template_editor")
        self.env.ref("base.group_user").implied_ids -= editors
        self.marketing.group_ids -= editors
        journey = self.journeys[0].with_user(self.marketing)
        mailing = journey.step_ids.mailing_id[:1]
        self.assertIn("object.card_number", mailing.body_html)
        body = str(mailing.body_html).replace("Your card works", "It works")
        mailing.write({"body_html": body, "body_arch": body, "subject": "Hello"})
        self.assertTrue(mailing.library_is_changed)
        for values in (
            {"body_html": body + '<t t-out="object.birth_date"/>'},
            {"body_html": body + '<p t-if="object.birth_year > 2000">Young</p>'},
            {"body_html": body + '<a t-att-href="object.birth_date">Here</a>'},
            {"body_html": body + '<t t-out="object.card_number.upper()"/>'},
            {"subject": "Born on {{ object.birth_date }}"},
            {"email_from": "{{ object.birth_date }}@example.com"},
        ):
            with self.subTest(values=values), self.assertRaises(AccessError):
                mailing.write(values)
        other = self._make_mailing("Mine", body_html="<p>Hello</p>")
        with self.assertRaises(AccessError):
            other.with_user(self.marketing).body_html = body
        translation = mailing.action_library_translate()
        copied = self.env["mailing.mailing"].browse(translation["res_id"])
        copied.with_user(self.marketing).body_html = body.replace("It works", "Gaat")
        self._start(self.journeys[0])
        journey.action_new_version()
        self.assertEqual(journey.edited_version, 2)

    def test_links_of_mails_in_the_queue_together_lead_where_they_say(self):
        links = {
            "Hours": "https://www.example.com/h",
            "News": "https://www.example.com/n",
        }
        body = "".join(
            f"<p><a href='{url}'>{name}</a></p>" for name, url in links.items()
        )
        mailing = self._make_mailing("Two links", body_html=body)
        patrons = self.amal + self._make_patron("Ines", email="ines@example.com")
        self._agree(patrons)
        mailing._queue_for_journey(patrons)
        mails = self.env["mail.mail"].search([("mailing_id", "=", mailing.id)])
        trackers = self.env["link.tracker"].search(
            [("mass_mailing_id", "=", mailing.id)]
        )
        self.assertEqual((len(mails), len(trackers)), (2, 2))
        for mail in mails:
            for tracker in trackers:
                self.assertEqual(tracker.url, links[tracker.label])
                self.assertRegex(
                    mail.body_html, rf'href="{tracker.short_url}"[^>]*>{tracker.label}<'
                )

    def test_two_texts_in_the_queue_together_each_say_what_is_theirs(self):
        patrons = self.amal + self._make_patron("Ines", email="ines@example.com")
        self._agree(patrons)
        for greeting in ("Hello", "Good day"):
            mailing = self._make_mailing(
                greeting, body_html=f'<p t-att-title="object.name">{greeting}</p>'
            )
            mailing._queue_for_journey(patrons)
            mails = self.env["mail.mail"].search([("mailing_id", "=", mailing.id)])
            self.assertEqual(len(mails), 2)
            for mail in mails:
                name = self.env["library.patron"].browse(mail.res_id).name
                self.assertIn(f'<p title="{name}">{greeting}</p>', mail.body_html)

    def test_journeys_that_ship_can_be_started(self):
        for journey in self.journeys:
            with self.subTest(journey=journey.name):
                journey.action_start()
                self.assertEqual(journey.state, "running")

    def test_each_mail_reads_well_with_and_without_pictures_and_colours(self):
        mailings = self.journeys.step_ids.mailing_id
        self.assertEqual(len(mailings), 14)
        for mailing in mailings:
            with self.subTest(mailing=mailing.subject):
                mail = self._send(mailing)
                html, text = mail["body"], mail["body_alternative"]
                self.assertIn("desk@riverside.example.com", mail["email_from"])
                self.assertIn(self.amal.email, mail["email_to"][0])
                for part in (html, text):
                    self.assertIn("Dear Noor", part)
                    self.assertIn("Riverside Library", part)
                    self.assertIn("Noor (…9004)", part)
                    self.assertNotRegex(part, r"\{\{|\}\}|t-out|<t[ >]|False|None")
                self.assertNotRegex(mail["subject"], r"\{\{|False|None")
                self.assertNotIn("<", text)
                self.assertNotIn("max-width", text)
                self.assertRegex(html, r"max-width: ?600px")
                self.assertNotRegex(html, r'href="/')
                if "/my/library" in (mailing.body_html or ""):
                    self.assertRegex(html, r'href="https?://[^"]+/r/')
                if mailing.library_purpose_id.is_refusable:
                    self.assertRegex(html, r"/library_crm/preferences/|unsubscribe")
                else:
                    self.assertNotIn("nsubscribe", html)

    def test_mails_can_be_changed_in_the_editor(self):
        for mailing in self.journeys.step_ids.mailing_id:
            self.assertTrue(mailing.body_arch, mailing.subject)
            self.assertTrue(re.search("t-out", mailing.body_arch))

    def test_pages_open_for_each_role(self):
        journey = self.journeys[0]
        step = journey._get_first_step()
        self._make_step()
        ines = self._make_patron("Ines")
        self._start()
        self._run()
        for role in ("desk", "marketing", "manager"):
            for record in (journey, step, self._enrolment(ines)):
                with self.subTest(role=role, model=record._name):
                    Form(record.with_user(getattr(self, role)))
            journey.with_user(getattr(self, role)).get_picture()
            if role != "desk":
                Form(step.mailing_id.with_user(getattr(self, role)))


@tagged("post_install", "-at_install")
class TestJourneyLanguages(JourneyCommon):
    """The mails that come along, in the language of whoever reads them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.library.email = "desk@riverside.example.com"
        cls._add_language("de_DE", "ar_001")
        shipped = cls.env.ref("library_crm.library_journey_welcome")
        cls.welcome = shipped.copy({"company_id": cls.library.id, "active": True})
        cls.mailing = cls.welcome._get_first_step().mailing_id

    @classmethod
    def _add_language(cls, *codes):
        for code in codes:
            cls.env["res.lang"]._activate_lang(code)
        cls._load_translations(*codes)

    @classmethod
    def _load_translations(cls, *codes):
        """What Odoo does when a language is added and when the addon is updated."""
        cls.env.ref("base.module_library_crm")._update_translations(codes)
        cls.env.invalidate_all()

    def _in(self, lang):
        return self.mailing.library_translation_ids.filtered(
            lambda mailing: mailing.library_lang == lang
        )

    def _receive(self, patron):
        """The first mail of the journey as the mail server is given it."""
        self._start(self.welcome)
        self._run()
        mail = self.env["mail.mail"].search([("res_id", "=", patron.id)])
        with self.mock_mail_gateway():
            mail.send()
        return self._mails[0]

    def test_patron_reads_german_with_a_text_for_mail_programs_without_html(self):
        mail = self._receive(self._make_patron("Jana Roth", lang="de_DE"))
        self.assertEqual(mail["subject"], "Willkommen: Riverside Library")
        text = mail["body_alternative"]
        self.assertIn("Guten Tag Jana,", text)
        self.assertIn("Ihr Ausweis gilt ab heute", text)
        self.assertIn("Ihre Bibliothek\n", text)
        self.assertNotRegex(text, r"[<>{}]")
        self.assertRegex(mail["body"], r'<div[^>]*lang="de"[^>]*dir="ltr"')

    def test_patron_reads_arabic_from_right_to_left(self):
        mail = self._receive(self._make_patron("Nour Aziz", lang="ar_001"))
        self.assertIn("Riverside Library", mail["subject"])
        self.assertIn("مرحبًا Nour،", mail["body_alternative"])
        self.assertRegex(mail["body"], r'<div[^>]*lang="ar"[^>]*dir="rtl"')
        self.assertRegex(mail["body"], r"text-align: ?right")
        self.assertNotIn("text-align: left", mail["body"])

    def test_patron_of_a_language_that_is_not_there_reads_english(self):
        self.env["res.lang"]._activate_lang("pl_PL")
        self._load_translations("pl_PL")
        self.assertFalse(self._in("pl_PL"))
        mail = self._receive(self._make_patron("Ola Nowak", lang="pl_PL"))
        self.assertEqual(mail["subject"], "Welcome to Riverside Library")

    def test_date_is_written_as_the_text_around_it(self):
        shipped = self.env.ref("library_crm.mailing_journey_renewal_30_before")
        ines = self._make_patron("Ines", lang="de_DE")
        self._create_membership(ines, date_end="2026-06-19")
        german = shipped._in_language("de_DE")
        german.with_context(library_journey_companions=())._queue_for_journey(ines)
        mail = self.env["mail.mail"].search([("res_id", "=", ines.id)])
        self.assertIn("gilt bis <b>", mail.body_html)
        self.assertIn("19.06.2026", re.sub("<[^>]+>", "", mail.body_html))

    def test_language_that_is_added_later_gets_its_mails(self):
        self.assertFalse(self._in("fr_FR"))
        self._add_language("fr_FR")
        self.assertEqual(len(self._in("fr_FR")), 1)
        self.assertIn("Bienvenue", self._in("fr_FR").subject)
        self.assertEqual(self._in("fr_FR").library_journey_id, self.welcome)
        self._load_translations("fr_FR")
        self.assertEqual(len(self._in("fr_FR")), 1, "not twice")

    def test_mail_that_somebody_changed_is_theirs(self):
        self._in("de_DE").with_user(self.marketing).subject = "Servus"
        self.env.ref("library_crm.journey_mail_welcome_0").with_context(
            lang="en_US"
        ).arch_db = '<t t-name="x"><t t-call="library_crm.journey_mail_layout"><t \
t-set="subject">Good day</t><t t-set="preview">Come in</t><p>Good day.</p></t></t>'
        self._load_translations("de_DE", "ar_001")
        self.assertEqual(self._in("de_DE").subject, "Servus")
        self.assertEqual(self.mailing.subject, "Good day", "nobody had changed it")
        self.assertIn("Good day.", self.mailing.body_arch)
        self.mailing.subject = "Come in, {{ object.name }}"
        self._add_language("es_ES")
        self.assertFalse(self._in("es_ES"), "the Spanish text says something else")
        self.assertEqual(self.mailing.subject, "Come in, {{ object.name }}")
        self.mailing.with_user(self.marketing).action_library_restore()
        self.assertEqual(self.mailing.subject, "Good day")

    def test_mail_saved_without_a_change_is_still_renewed(self):
        self.mailing.write({"body_html": self.mailing.body_html, "preview": "New"})
        self.assertTrue(self.mailing.library_is_changed)
        self.mailing.action_library_restore()
        self.mailing.write(
            {name: self.mailing[name] for name in ("subject", "body_arch", "body_html")}
        )
        self.assertFalse(self.mailing.library_is_changed)

    def test_new_library_gets_the_journeys_with_the_texts_as_they_came(self):
        welcome = self.env.ref("library_crm.library_journey_welcome")
        own = welcome._get_first_step().mailing_id
        own.subject = "What only this library says"
        library = self.env["res.company"].create({"name": "Hilltop Library"})
        self.manager.write({"company_ids": [(4, library.id)], "company_id": library.id})
        Journey = self.env["library.journey"].with_user(self.manager)
        Journey.with_company(library).action_add_shipped()
        journeys = Journey.search([("company_id", "=", library.id)])
        self.assertEqual(len(journeys), 6)
        self.assertEqual(set(journeys.mapped("state")), {"draft"})
        mailing = journeys.sudo().filtered(lambda it: it.trigger == "joined")
        mailing = mailing._get_first_step().mailing_id
        self.assertEqual(mailing.subject, "Welcome to {{ object.company_id.name }}")
        self.assertEqual(
            set(mailing.library_translation_ids.mapped("library_lang")),
            {"de_DE", "ar_001"},
        )
        self.assertEqual(own.subject, "What only this library says")
        Journey.with_company(library).action_add_shipped()
        self.assertEqual(
            Journey.search_count([("company_id", "=", library.id)]), 6, "not twice"
        )


@tagged("post_install", "-at_install")
class TestTranslations(SpeaksLanguages, TransactionCase):
    """What a patron reads, in the languages that come along."""

    addon = "library_crm"
    spoken = (
        "arch_db:library_crm.confirm",
        "arch_db:library_crm.disclosure",
        "arch_db:library_crm.join_",
        "arch_db:library_crm.portal_",
        "arch_db:library_crm.library_erasure_letter",
        "arch_db:library_crm.library_patron_copy",
        "arch_db:library_crm.preferences",
        "arch_db:library_crm.privacy",
        "mail.template,subject:",
        "mail.template,body_html:",
        "/controllers/",
        # The year of a household, and that of the library, which the board reads.
        "arch_db:library_crm.year",
        "arch_db:library_crm.library_year",
        "arch_db:library_crm.mailing_year",
        "arch_db:library_crm.library_annual_report_",
        "/wizard/library_annual_report.py",
        "/report/library_peer_comparison.py",
        "/models/ir_actions_report.py",
        "model:library.indicator,name:",
        "model:library.indicator,formula:",
        "model:library.service,name:",
        "model:library.value.table,name:",
        "selection__library_service__category__",
        "selection__library_service__indicator__",
        "selection__library_indicator_value__standing__",
        "/models/library_privacy_register.py",
    )
    unspoken = (
        # Written for whoever builds a source of use.
        "/controllers/webhook.py",
        # For staff, on the screen only.
        "library_annual_report_view_form",
        "selection__library_service__indicator__none",
    )

    def test_words_of_a_year_speak_each_language(self):
        self._assert_translated(
            {
                "For %(names)s together.",
                "Prices: %(table)s. A dash: it has no price.",
            }
        )

    def test_each_language_says_the_same_things(self):
        sources = {
            language: {entry.msgid for entry in self._get_entries(language)}
            for language in LANGUAGES
        }
        for language in LANGUAGES:
            self.assertEqual(sources[language], sources["de"], language)
            self.assertFalse(
                [
                    entry.msgid
                    for entry in self._get_entries(language)
                    if not entry.msgstr
                ]
            )

    def test_each_text_of_a_mail_is_translated(self):
        views = self.env["ir.ui.view"].search(
            [("key", "like", "library_crm.journey_mail")]
        )
        self.assertEqual(len(views), 16)
        translate = self.env["ir.ui.view"]._fields["arch_db"].get_trans_terms
        there = {entry.msgid for entry in self._get_entries("de")}
        for view in views:
            for term in translate(view.with_context(lang="en_US").arch_db):
                self.assertIn(term, there, view.key)
