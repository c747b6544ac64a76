"""Nothing is left of somebody who was erased: in every corner of all addons, then in
every table of the database and every file of the filestore."""

import base64
import re
import threading
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

from psycopg2 import OperationalError

from odoo import fields
from odoo.fields import Command
from odoo.tests import TransactionCase, tagged
from odoo.tools import SQL, config, mute_logger

from odoo.addons.library_crm_loyalty.tests.common import LoyaltyCommon
from odoo.addons.library_crm_survey.tests.common import SurveyCommon

#: A number that no other row of the database has by chance.
UNUSUAL = 1_870_000_013
NAME, OLD_NAME = "Zyxwina Qaplahova", "Zyxwina Maidenovna"
EMAIL, CARD, REF = "zyx.qaplahova@kronos.example.com", "ZQ-9173-5521", "ILS-88412-Q"
PHONE, BORN, STREET = "+12025550187", "1931-07-19", "9 Qaplah Street"
SECOND_CARD, THIRD_CARD = "ZQ-OLD-7781", "ZQ-OLD-7782"
TOLD = (
    *("Qaplahova", "Maidenovna", "Zyxwina", EMAIL, CARD, REF, "2025550187", BORN),
    *(STREET, SECOND_CARD, THIRD_CARD, "203.0.113.77", "zyx_login"),
)


class Corners(LoyaltyCommon, SurveyCommon):
    """A person with a name, an email, numbers and ids that nobody else has, who is in
    every corner of the database."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")
        cls.tracked = cls.env(context={**cls.env.context, "tracking_disable": False})

    def _make_unusual(self, model, values):
        """A record with an id that is found nowhere by chance."""
        sequence = f"{self.env[model]._table}_id_seq"
        self.env.cr.execute("SELECT last_value FROM " + sequence)
        [last] = self.env.cr.fetchone()
        self.env.cr.execute("SELECT setval(%s, %s)", [sequence, UNUSUAL + self.number])
        self.number += 1
        try:
            record = self.tracked[model].create(values)
            self.env.flush_all()
        finally:
            # Sequences are not taken back with the transaction.
            self.env.cr.execute("SELECT setval(%s, %s)", [sequence, last])
        self.ids.update(record.ids)
        return record

    def _make_person(self):
        self.number, self.ids = 0, set()
        partner, twin, triplet = (
            self._make_unusual(
                "res.partner",
                {
                    "name": OLD_NAME,
                    "email": EMAIL,
                    "phone": PHONE,
                    "street": STREET,
                    "country_id": self.env.ref("base.us").id,
                    "image_1920": base64.b64encode(PICTURE),
                },
            )
            for _time in range(3)
        )
        values = {
            "company_id": self.library.id,
            "branch_id": self.main.id,
            "patron_category_id": self.adult.id,
        }
        patron = self._make_unusual(
            "library.patron",
            {
                **values,
                "partner_id": partner.id,
                "card_number": CARD,
                "ils_ref": REF,
                "birth_date": BORN,
                "enrolled_on": date(2024, 1, 1),
            },
        )
        for contact, card in ((twin, SECOND_CARD), (triplet, THIRD_CARD)):
            self._make_unusual(
                "library.patron",
                {**values, "partner_id": contact.id, "card_number": card},
            )
            self.env["base.partner.merge.automatic.wizard"]._merge(
                [contact.id, partner.id], partner
            )
        self.env.invalidate_all()
        patron = patron.with_env(self.tracked)
        patron.partner_id.name = NAME
        patron.card_number = CARD + "X"
        patron.card_number = CARD
        self._commit_changes()
        return patron

    def _commit_changes(self):
        self.env.flush_all()
        self.env.cr.precommit.run()
        self.env.flush_all()

    # ------------------------------------------------------------
    # THE CORNERS
    # ------------------------------------------------------------

    def _fill_membership_and_use(self, patron):
        membership = self._create_membership(patron).with_env(self.tracked)
        membership.message_post(body=f"{NAME} came in person")
        self.env["library.membership.renewal"].create(
            {
                "membership_id": membership.id,
                "date": date(2024, 1, 1),
                "old_end": date(2024, 1, 1),
                "new_end": date(2025, 1, 1),
            }
        )
        for day in (4, 11):
            self._use(date(2024, 3, day), patron=patron)
        patron.interest_ids = self.env["library.interest"].create({"name": "Maps"})
        self.env["library.consent"]._record(
            patron, self.news, proof=f"Signed by {NAME}"
        )
        patron.household_id = self.env["library.household"].create(
            {"name": f"Family {NAME}", "company_id": self.library.id}
        )
        self.env["library.segment"].create(
            {
                "name": "Chosen",
                "kind": "list",
                "company_id": self.library.id,
                "listed_patron_ids": [
                    Command.link(patron.id),
                    Command.link(self.bruno.id),
                ],
            }
        )

    def _fill_requests(self, patron):
        lead = self.tracked["crm.lead"].create(
            {
                "name": f"Reference question of {NAME}",
                "library_request_kind": "reference",
                "library_patron_id": patron.id,
                "description": f"<p>{NAME}, {EMAIL}, {PHONE}</p>",
                "contact_name": NAME,
                "email_from": EMAIL,
                "phone": PHONE,
            }
        )
        lead.message_post(body=f"Called {NAME}", message_type="comment")
        lead.message_post(
            body=f"Yours, {NAME}",
            author_id=patron.partner_id.id,
            email_from=f"{NAME} <{EMAIL}>",
            message_type="email",
            attachments=[(f"Letter of {NAME}.txt", f"I am {NAME}, {CARD}".encode())],
        )
        lead.activity_schedule(
            "mail.mail_activity_data_todo",
            summary=f"Call {NAME}",
            note=PHONE,
            user_id=self.manager.id,
        )
        self.env["calendar.event"].create(
            {
                "name": f"Talk with {NAME}",
                "start": fields.Datetime.now(),
                "stop": fields.Datetime.now(),
                "opportunity_id": lead.id,
                "partner_ids": [Command.link(patron.partner_id.id)],
            }
        )
        moved = self.tracked["crm.lead"].create(
            {
                "name": "Somebody else's",
                "library_request_kind": "complaint",
                "library_patron_id": patron.id,
            }
        )
        self._commit_changes()
        moved.write(
            {
                "library_patron_id": self.bruno.id,
                "partner_id": self.bruno.partner_id.id,
            }
        )
        self.env["crm.lead"].create(
            {
                "name": f"Card for {NAME}",
                "library_request_kind": "joining",
                "company_id": self.library.id,
                "contact_name": NAME,
                "email_from": EMAIL,
            }
        )
        self.env["library.join"].create(
            {
                "company_id": self.library.id,
                "name": NAME,
                "email": EMAIL,
                "birth_date": BORN,
                "street": STREET,
            }
        )
        patron._request_privacy("correction", f"My name is {NAME}")
        self._commit_changes()
        return lead

    def _fill_mails(self, patron):
        patron.message_post(
            body=f"Hello {NAME}",
            subject=f"To {NAME}",
            partner_ids=patron.partner_id.ids,
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
        )
        patron.message_subscribe(patron.partner_id.ids)
        mailing = self.env["mailing.mailing"].create(
            {
                "subject": "News",
                "body_html": '<p>Read <a href="https://news.example.com/">this</a></p>',
                "mailing_model_id": self.env["ir.model"]._get_id("library.patron"),
                "mailing_domain": repr([("id", "in", [patron.id, self.bruno.id])]),
                "library_purpose_id": self.news.id,
            }
        )
        self.env["library.consent"]._record(self.bruno, self.news)
        with self.enter_registry_test_mode():
            mailing.action_send_mail()
        traces = self.env["mailing.trace"].search(
            [("mass_mailing_id", "=", mailing.id)]
        )
        mail = traces.mail_mail_id
        traces.set_sent()
        trace = traces.filtered(lambda trace: trace.res_id == patron.id)
        trace.set_opened()
        link = self.env["link.tracker"].search_or_create(
            [{"url": "https://news.example.com/", "mass_mailing_id": mailing.id}]
        )
        self.env["link.tracker.click"].create(
            {"link_id": link.id, "ip": "203.0.113.77", "mailing_trace_id": trace.id}
        )
        self.env["library.consent"].create(
            {
                "patron_id": patron.id,
                "purpose_id": self.news.id,
                "state": "withdrawn",
                "source": "mail",
            }
        )
        self.env["mail.mail"].create(
            {
                "subject": f"Waits for {NAME}",
                "email_to": f"{NAME} <{EMAIL}>",
                "body_html": f"<p>{CARD}</p>",
            }
        )
        self.env["mail.mail"].create(
            {
                "subject": f"Waits for {NAME}",
                "recipient_ids": [Command.link(patron.partner_id.id)],
            }
        )
        contact = self.env["mailing.contact"].create({"name": NAME, "email": EMAIL})
        contact.list_ids = self.env["mailing.list"].create({"name": "News by mail"})
        self.env["mail.blacklist"]._add(EMAIL)
        self.assertTrue(trace and mail is not None)
        return mailing

    def _fill_odoo(self, patron):
        partner = patron.partner_id
        user = self._make_unusual(
            "res.users",
            {
                "login": "zyx_login",
                "password": "zyx_login",
                "partner_id": partner.id,
                "group_ids": [Command.set(self.env.ref("base.group_portal").ids)],
                "company_id": self.library.id,
                "company_ids": [Command.set(self.library.ids)],
            },
        )
        self.env["res.device.log"].create(
            {
                "user_id": user.id,
                "session_identifier": "a session of somebody",
                "ip_address": "203.0.113.77",
            }
        )
        self.env["res.users.log"].with_user(user).sudo().create({})
        self.env["res.users.deletion"].create({"user_id": user.id})
        self.env["res.partner"].create(
            {
                "name": f"Second home of {NAME}",
                "type": "other",
                "parent_id": partner.id,
                "street": STREET,
            }
        )
        channel = self.env["discuss.channel"].create({"name": "Reading group"})
        channel.add_members(partner.ids)
        channel.message_post(
            body=f"I am {NAME}", author_id=partner.id, message_type="comment"
        )
        meeting = self.env["calendar.event"].create(
            {
                "name": f"Book club with {NAME}",
                "start": fields.Datetime.now(),
                "stop": fields.Datetime.now(),
                "partner_ids": [
                    Command.link(partner.id),
                    Command.link(self.manager.partner_id.id),
                ],
            }
        )
        self.assertTrue(meeting.attendee_ids)
        self.env["ir.attachment"].create(
            {
                "name": f"Paper of {NAME}.txt",
                "raw": f"{NAME}, born on {BORN}".encode(),
                "res_model": "library.patron",
                "res_id": patron.id,
            }
        )
        self.env["bus.bus"].sudo().create(
            {"channel": "a channel", "message": f'{{"name": "{NAME}"}}'}
        )
        self.env["ir.logging"].sudo().create(
            {
                "name": "a server action",
                "type": "server",
                "dbname": self.env.cr.dbname,
                "path": "action",
                "line": "1",
                "func": "run",
                "message": f"Nothing to do for {EMAIL}",
            }
        )
        self.env["sms.sms"].create(
            {"number": PHONE, "body": f"Hello {NAME}", "partner_id": partner.id}
        )
        return user

    def _fill_load(self, patron):
        source = self.env["library.data.source"].create(
            {"name": "Koha", "format": "koha_patrons", "company_id": self.library.id}
        )
        load = self.env["library.data.load"].create({"source_id": source.id})
        rows = f'{REF},{CARD},"{NAME}",NOWHERE,TADULT'
        refused = {"load_id": load.id, "reason": "No branch"}
        self.env["library.data.refusal"].create(
            [
                {**refused, "line": 2, "content": rows},
                {**refused, "line": 3, "content": "7,B7,Somebody else"},
            ]
        )
        self.env["library.patron.row"].create(
            {"patron_id": patron.id, "source_id": source.id, "digest": "a digest"}
        )
        return load

    def _fill_letter_to_guardian(self, patron):
        """A letter to the household names the others by first name and card."""
        self.bruno.household_id = patron.household_id
        self.bruno.message_post(
            body=f"For you and {NAME.split()[0]} (…{CARD[-4:]})",
            message_type="comment",
        )

    def _fill_survey_and_loyalty(self, patron):
        survey = self._make_survey(
            self.NPS, self.WHY, self.CALL, {"title": "Born", "question_type": "date"}
        )
        answer = self._begin(survey, patron)
        call = survey.question_ids[2]
        self._finish(answer, "3", f"I am {NAME}", call.suggested_answer_ids[0].id, BORN)
        begun = self._begin(survey, patron)
        begun.email = EMAIL
        card = self._join(patron)
        card._library_reckon()
        card._library_post(
            [
                {
                    "card_id": card.id,
                    "description": "Given by staff",
                    "library_kind": "manual",
                    "library_date": self.monday,
                    "library_note": f"{NAME} carried the chairs",
                    "points": 30,
                }
            ]
        )
        card.message_post(body=f"{NAME} asked about points")
        bag = self.env["library.loyalty.reward"].create(
            {"program_id": self.programme.id, "name": "A bag", "points": 10}
        )
        bag._issue(card)._undo(f"{NAME} has one")
        self.env["library.loyalty.occasion"]._note(patron, "interests", "once")
        challenge = self.env["library.challenge"].create(
            {
                "name": "Summer",
                "company_id": self.library.id,
                "goal_kind": "days",
                "target": 1,
                "date_from": date(2024, 3, 1),
                "date_to": date(2026, 12, 31),
            }
        )
        challenge._enrol(patron)
        self.env["library.badge.award"].create(
            {
                "badge_id": self.env["library.badge"]
                .create({"name": "Bookworm", "company_id": self.library.id})
                .id,
                "patron_id": patron.id,
                "awarded_on": date(2024, 3, 11),
            }
        )
        self.env["library.loyalty.due"].create({"patron_id": patron.id})
        asking = self.env["library.survey.round"].create(
            {
                "name": "Round",
                "company_id": self.library.id,
                "survey_id": survey.id,
            }
        )
        self.env["library.survey.invitation"].create(
            {
                "round_id": asking.id,
                "patron_id": patron.id,
                "place": 1,
                "state": "asked",
                "asked_on": date(2024, 3, 11),
            }
        )
        return card

    def _fill_journey(self, patron):
        """The patron got a mail of it, for somebody else of the household as well."""
        journey = self.env["library.journey"].create(
            {"name": "Welcome", "company_id": self.library.id}
        )
        step = self.env["library.journey.step"].create(
            {"name": "Mail", "journey_id": journey.id}
        )
        for walker, other in ((patron, patron.browse()), (self.bruno, patron)):
            enrolment = self.env["library.journey.enrolment"].create(
                {
                    "journey_id": journey.id,
                    "version": 1,
                    "patron_id": walker.id,
                    "occasion": date(2024, 3, 3),
                    "entered_at": datetime(2024, 3, 3),
                    "first_at": datetime(2024, 3, 3),
                }
            )
            self.env["library.journey.event"].create(
                {
                    "enrolment_id": enrolment.id,
                    "step_id": step.id,
                    "date": datetime(2024, 3, 3),
                    "what": "sent",
                    "with_patron_id": other.id,
                    "is_together": bool(other),
                }
            )
        return journey

    def _fill_dialogues(self, patron, lead, card, journey):
        """What stands open on somebody's screen."""
        for model, values in (
            ("library.usage.log", {"service_id": self.visit.id}),
            ("library.lead.to.patron", {"lead_id": lead.id, "action": "link"}),
            ("library.journey.test", {"journey_id": journey.id, "email": EMAIL}),
            ("library.journey.forecast", {"journey_id": journey.id}),
        ):
            self.env[model].create({"patron_id": patron.id, **values})
        for model in ("library.segment.add", "library.patron.erase"):
            self.env[model].create({"patron_ids": patron.ids})
        self.env["library.patron.erase"].create(
            {"patron_ids": self.bruno.ids, "new_guardian_id": patron.id}
        )
        self.env["library.loyalty.give"].create(
            {"card_id": card.id, "receiver_id": patron.id}
        )


#: One pixel, with a text in it that no other picture has.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)


@tagged("post_install", "-at_install")
class TestErasure(Corners):
    def _fill(self):
        patron = self._make_person()
        self._fill_membership_and_use(patron)
        lead = self._fill_requests(patron)
        self.mailing = self._fill_mails(patron)
        self._fill_odoo(patron)
        self.load = self._fill_load(patron)
        self._fill_letter_to_guardian(patron)
        card = self._fill_survey_and_loyalty(patron)
        self.journey = self._fill_journey(patron)
        self._fill_dialogues(patron, lead, card, self.journey)
        self.programme._library_night()
        self._commit_changes()
        self.env.invalidate_all()
        return patron

    def _find_rows(self):
        """Where the person still is: tables with the first of the rows that tell it."""
        self._commit_changes()
        told = [re.escape(text) for text in TOLD]
        # As it stands in a column of bytes, and as numbers.
        told += [text.encode().hex() for text in (NAME, EMAIL, CARD)]
        told += [rf"\m{id_}\M" for id_ in self.ids]
        pattern = "|".join(told)
        self.env.cr.execute(
            """
            SELECT table_name FROM information_schema.tables
             WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
            """
        )
        found = {}
        for (table,) in self.env.cr.fetchall():
            self.env.cr.execute(
                SQL(
                    "SELECT t::text FROM %s t WHERE t::text ~* %s LIMIT 3",
                    SQL.identifier(table),
                    pattern,
                )
            )
            if rows := self.env.cr.fetchall():
                found[table] = [
                    [match[:80] for match in re.findall(f"(?i).?{name}.?", row)]
                    for (row,) in rows
                    for name in [pattern.replace(r"\m", r"\b").replace(r"\M", r"\b")]
                ]
        return found

    def _find_tables_of_patrons(self):
        """Every table that points to a patron, also those that are added later."""
        self.env.cr.execute(
            """
            SELECT conrelid::regclass::text FROM pg_constraint
             WHERE contype = 'f' AND confrelid = 'library_patron'::regclass
            """
        )
        return {table for (table,) in self.env.cr.fetchall()}

    def _find_files(self):
        store = Path(config.filestore(self.env.cr.dbname))
        return [
            path.name
            for path in store.rglob("*")
            if path.is_file()
            and any(text.encode() in path.read_bytes() for text in (NAME, CARD, BORN))
        ]

    def _count(self):
        """What figures tell of the library."""
        self.env.flush_all()
        self.env.invalidate_all()
        return {
            "use": self.env["library.service.usage.month"]._read_group(
                [("company_id", "=", self.library.id)],
                ["month:month", "service_id", "patron_category_id", "age_band"],
                ["quantity:sum"],
            ),
            "rows of use": self.env["library.service.usage"]._read_group(
                [("branch_id", "=", self.main.id)], ["date:month"], ["quantity:sum"]
            ),
            "mailings": self.env["library.mailing.result"]._read_group(
                [("mailing_id", "=", self.mailing.id)],
                ["branch_id"],
                ["sent:sum", "delivered:sum", "opened:sum", "unsubscribed:sum"],
            ),
            "journeys": self.env["library.journey.result"]._read_group(
                [("journey_id", "=", self.journey.id)],
                ["step_id", "branch_id", "date:month"],
                ["sent:sum"],
            ),
            "what followed journeys": self.journey._get_outcomes(),
            "answers": self.env["survey.user_input.line"]._read_group(
                [
                    ("survey_id.library_company_id", "=", self.library.id),
                    ("question_id.library_metric", "!=", False),
                    ("user_input_id.state", "=", "done"),
                ],
                ["question_id", "value_scale"],
                ["__count"],
            ),
            "points": self.env["loyalty.history"]._read_group(
                [("card_id.program_id", "=", self.programme.id)],
                [],
                ["issued:sum"],
            ),
            "requests": self.env["crm.lead"]
            .with_context(active_test=False)
            ._read_group(
                [("library_request_kind", "!=", False)],
                ["library_request_kind", "library_branch_id", "create_date:month"],
                ["__count"],
            ),
            "forms": self.env["library.join"].search_count([]),
            "clicks": self.env["link.tracker.click"].search_count([]),
        }

    def test_nothing_is_left_of_who_is_erased(self):
        patron = self._fill()
        held = self._find_rows()
        # Or else it would be easy to find nothing.
        for table in (
            *("res_partner", "library_patron", "library_patron_alias", "crm_lead"),
            *("library_membership", "library_service_usage", "mail_message"),
            *("mail_tracking_value", "mail_mail", "mailing_trace", "mailing_contact"),
            *("mail_blacklist", "link_tracker_click", "library_join", "mail_activity"),
            *("survey_user_input", "survey_user_input_line", "loyalty_card"),
            *("loyalty_history", "library_challenge_entry", "library_household"),
            *("res_users", "res_device_log", "res_users_log", "res_users_deletion"),
            *("ir_attachment", "calendar_event", "calendar_attendee", "sms_sms"),
            *("bus_bus", "ir_logging", "library_data_refusal", "mail_followers"),
            *("mailing_mailing", "library_loyalty_redemption", "library_consent"),
        ):
            self.assertIn(table, held)
        self.assertEqual(self._find_tables_of_patrons() - held.keys(), set())
        self.assertEqual(len(self._find_files()), 2)
        before = self._count()
        self.assertEqual(
            before["what followed journeys"], {self.journey.id: (1, 2, 0, 0)}
        )

        erasure = patron.with_user(self.manager)._erase("person")

        self.assertEqual(self._find_rows(), {})
        self.env["ir.attachment"]._gc_file_store_unsafe()
        self.assertEqual(self._find_files(), [])
        self.maxDiff = None
        for name, figures in self._count().items():
            with self.subTest(name):
                self.assertEqual(figures, before[name])
        # What is kept is said, and what does not concern the person is there.
        told = {line.what: line for line in erasure.line_ids}
        self.assertEqual(told["Patron"].removed, 1)
        self.assertEqual(told["Contact"].removed, 2)
        self.assertEqual(told["Lead"].kept, 3)
        self.assertTrue(told["Lead"].reason)
        kept = erasure.line_ids.filtered("kept")
        self.assertEqual(kept.filtered(lambda line: not line.reason).mapped("what"), [])
        self.assertEqual(self.load.refusal_ids.mapped("line"), [3])
        self.assertIn(str(self.bruno.id), self.mailing.mailing_domain)

    def test_copy_has_every_corner_and_nobody_else(self):
        patron = self._fill()
        found = patron._find_personal_records()
        for name in (
            *("library.patron", "res.partner", "res.users", "library.membership"),
            *("library.service.usage", "library.consent", "crm.lead", "mail.message"),
            *("mailing.trace", "link.tracker.click", "survey.user_input", "mail.mail"),
            *("survey.user_input.line", "loyalty.card", "loyalty.history"),
            *("library.loyalty.redemption", "library.challenge.entry", "sms.sms"),
            *("library.loyalty.occasion", "library.patron.alias", "res.device.log"),
            *("ir.attachment", "mail.activity", "calendar.event"),
        ):
            with self.subTest(name):
                self.assertIn(name, found)


@tagged("post_install", "-at_install")
class TestEraseTogether(TransactionCase):
    def test_of_two_who_erase_at_once_one_does(self):
        """In transactions of their own, as two managers do."""
        registry = self.registry
        with closing(registry.cursor()) as cr:
            env = self.env(cr=cr)
            company = env["res.company"].search([], limit=1)
            patron_id = (
                env["library.patron"]
                .create({"name": "Twice", "company_id": company.id})
                .id
            )
            cr.commit()
        done, first_is_in, go_on = [], threading.Event(), threading.Event()

        def erase(is_first):
            with closing(registry.cursor()) as cr:
                env = self.env(cr=cr)
                patron = env["library.patron"].browse(patron_id)
                if not is_first:
                    cr.execute("SELECT 1")  # its picture of the database is the old one
                    go_on.set()
                try:
                    erasure = patron._erase()
                except OperationalError as error:
                    done.append(type(error).__name__)
                    return
                if is_first:
                    first_is_in.set()
                    go_on.wait(10)
                cr.commit()
                done.append(erasure.id)

        with mute_logger("odoo.sql_db"):
            threads = [threading.Thread(target=erase, args=(True,))]
            threads[0].start()
            first_is_in.wait(20)
            threads.append(threading.Thread(target=erase, args=(False,)))
            threads[1].start()
            for thread in threads:
                thread.join(30)
        self.assertEqual(
            sorted(map(type, done), key=str), [int, str], "The second is tried again"
        )
        with closing(registry.cursor()) as cr:
            env = self.env(cr=cr)
            patron = env["library.patron"].browse(patron_id)
            self.assertFalse(patron.exists())
            self.assertFalse(patron._erase())
            env["library.erasure"].browse(
                [id_ for id_ in done if isinstance(id_, int)]
            ).unlink()
            cr.commit()

    """The rights of a patron in the portal. ``portal`` is the user of Amal, who guards
    Noor."""
