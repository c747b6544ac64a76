from datetime import date, timedelta
from unittest.mock import patch

from dateutil.relativedelta import relativedelta
from freezegun import freeze_time
from psycopg2.errors import CheckViolation

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from .common import LibraryCommon


class RetentionCommon(LibraryCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.today = fields.Date.context_today(cls.env.user)
        cls.rules = cls.env["library.retention.rule"]._get_for(cls.library)
        cls.Usage = cls.env["library.service.usage"]

    def _use(self, patron, days_ago, quantity=1):
        return self.Usage.create(
            {
                "patron_id": patron.id,
                "service_id": self.visit.id,
                "branch_id": self.main.id,
                "date": self.today - timedelta(days=days_ago),
                "quantity": quantity,
            }
        )

    def _set_old(self, records, days=4000, field="create_date"):
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE %s SET %s = %s WHERE id = ANY(%s)",
                SQL.identifier(records._table),
                SQL.identifier(field),
                fields.Datetime.now() - timedelta(days=days),
                records.ids,
            )
        )
        self.env.invalidate_all()

    def _read_months(self):
        return sorted(
            (month, branch.id, service.id, category.id, band or "", quantity)
            for month, branch, service, category, band, quantity in self.env[
                "library.service.usage.month"
            ]._read_group(
                [("company_id", "=", self.library.id)],
                [
                    "month:month",
                    "branch_id",
                    "service_id",
                    "patron_category_id",
                    "age_band",
                ],
                ["quantity:sum"],
            )
        )

    def _read_indicators(self):
        return {
            (value.indicator_id.id, value.branch_id.id, value.month): (
                value.numerator,
                value.denominator,
                value.numerator_year,
                value.denominator_year,
            )
            for value in self.env["library.indicator.value"].search(
                [("company_id", "=", self.library.id)]
            )
        }


@tagged("post_install", "-at_install")
class TestRetentionRule(RetentionCommon):
    """Nothing is kept for longer than the rules say, and figures stay."""

    # ------------------------------------------------------------
    # WHICH RULES THERE ARE
    # ------------------------------------------------------------

    def test_each_library_has_each_rule_with_a_strict_default_and_its_reason(self):
        kinds = self.env["library.retention.kind"]._get_kinds()
        self.assertEqual(self.rules.keys(), kinds.keys())
        for name, rule in self.rules.items():
            with self.subTest(name):
                self.assertTrue(rule.active)
                self.assertEqual(rule.keep_number, kinds[name].number)
                self.assertTrue(rule.why)
                self.assertFalse(rule.warning)
        later = self.env["res.company"].create({"name": "Lakeside Library"})
        self.assertEqual(
            self.env["library.retention.rule"]._get_for(later).keys(), kinds.keys()
        )

    def test_every_rule_can_count_and_do_what_it_says(self):
        Kind = self.env["library.retention.kind"]
        for name, kept in Kind._get_kinds().items():
            for action in kept.says:
                with self.subTest(kind=name, action=action):
                    self.rules[name].action = action
                    self.assertEqual(self.rules[name].due_count, 0)
                    self.assertTrue(getattr(Kind, f"_{action}_{name}"))
                    self.assertIn(
                        self.rules[name]._say_period(), self.rules[name]._say_kept()
                    )

    def test_only_managers_see_and_change_rules(self):
        rule = self.rules["click"]
        for role in (self.desk, self.marketing, self.employee, self.portal):
            with self.subTest(role.login), self.assertRaises(AccessError):
                rule.with_user(role).read(["keep_number"])
        rule.with_user(self.manager).keep_number = 20
        self.assertEqual(rule.keep_number, 20)

    def test_period_that_is_none_is_refused(self):
        for number in (0, -3):
            with (
                self.subTest(number),
                self.assertRaises(CheckViolation),
                mute_logger("odoo.sql_db"),
                self.env.cr.savepoint(),
            ):
                self.rules["message"].keep_number = number
                self.env.flush_all()
            self.env.invalidate_all(flush=False)

    def test_period_shorter_than_figures_need_is_refused_with_the_reason(self):
        for kind, values, reason in (
            ("usage", {"keep_number": 12}, "look back over a year"),
            ("trace", {"keep_number": 59, "keep_unit": "day"}, "30 days are over"),
            ("message", {"keep_number": 101, "keep_unit": "year"}, "hundred years"),
            ("message", {"action": "pseudonymise"}, "not possible"),
        ):
            with self.subTest(kind, reason=reason):
                with self.assertRaises(ValidationError) as refused:
                    self.rules[kind].write(values)
                self.assertIn(reason, str(refused.exception))

    def test_period_that_leaves_gaps_in_indicators_is_warned_of(self):
        self.rules["usage"].keep_number = 26
        self.assertIn("27 months", self.rules["usage"].warning)
        self.rules["usage"].keep_number = 27
        self.assertFalse(self.rules["usage"].warning)

    def test_rule_that_is_switched_off_keeps_for_ever_and_says_so(self):
        self._use(self.amal, 2000)
        rule = self.rules["usage"]
        self.assertEqual(rule.due_count, 1)
        rule.active = False
        self.assertEqual(rule.due_count, 0)
        self.assertIn("for ever", rule.warning)
        self.env["library.retention.rule"]._add_missing()
        self.assertFalse(rule.active, "It is not made anew")
        self.assertEqual(rule._say_kept(), "Kept for ever.")

    def test_update_takes_no_rule_of_an_addon_that_is_loaded_later(self):
        rule = self.rules["usage"]
        Kind = self.registry["library.retention.kind"]
        fewer = self.env["library.retention.kind"]._get_kinds()
        del fewer["usage"]
        with patch.object(Kind, "_get_kinds", return_value=fewer):
            with patch.object(self.registry, "ready", False):
                rule._add_missing()
            self.assertTrue(rule.exists(), "Its addon may come later")
            rule._add_missing()
        self.assertFalse(rule.exists(), "Its addon is gone")

    # ------------------------------------------------------------
    # USE
    # ------------------------------------------------------------

    def test_use_goes_after_its_time_and_figures_stay(self):
        for days in (1000, 990, 400, 20):
            self._use(self.amal, days, quantity=3)
        self._use(self.bruno, 1000)
        for model in ("library.indicator.value", "library.retention"):
            self.env[model]._count(self.library)
        months, indicators = self._read_months(), self._read_indicators()
        self.assertTrue(months)
        rule = self.rules["usage"]
        self.assertEqual(rule.due_count, 3)
        self.assertEqual(rule.due_oldest, self.today - timedelta(days=1000))
        self.assertEqual(self._run_retention("usage"), {"usage": 3})
        kept = self.Usage.search([("branch_id", "=", self.main.id)])
        self.assertEqual(
            kept.mapped("date"),
            [self.today - timedelta(days=20), self.today - timedelta(days=400)],
        )
        self.assertEqual(self._read_months(), months)
        for model in ("library.indicator.value", "library.retention"):
            self.env[model]._count(self.library)
        found = self._read_indicators()
        self.assertEqual({key: found.get(key) for key in indicators}, indicators)

    def test_use_can_lose_its_name_instead(self):
        self._use(self.amal, 1000)
        months = self._read_months()
        self.rules["usage"].action = "pseudonymise"
        self.assertEqual(self._run_retention("usage"), {"usage": 1})
        usage = self.Usage.search([("branch_id", "=", self.main.id)])
        self.assertFalse(usage.patron_id)
        self.assertEqual(usage.patron_category_id, self.adult)
        self.assertEqual(self._read_months(), months)
        self.assertEqual(self._run_retention("usage"), {"usage": 0})

    def test_use_goes_by_whole_weeks(self):
        before = self.rules["usage"].before
        self.assertEqual(before.weekday(), 0)
        limit = self.today - relativedelta(months=27)
        self.assertTrue(limit - timedelta(days=6) <= before <= limit)

    def test_use_of_another_library_stays(self):
        self.Usage.create(
            {
                "patron_id": self.other_patron.id,
                "service_id": self.visit.id,
                "branch_id": self.other_branch.id,
                "date": self.today - timedelta(days=1000),
            }
        )
        self.assertEqual(self._run_retention("usage"), {"usage": 0})

    def test_use_that_was_counted_and_deleted_is_not_counted_again(self):
        """The same old file once more, or a visit logged for a day long ago."""
        source = self.env["library.data.source"].create(
            {"name": "Old", "format": "mapped_usage", "company_id": self.library.id}
        )
        rows = SQL(
            "VALUES (%s, %s, %s, %s::date, 1, 'onsite', %s, 'a'), "
            "(%s, %s, %s, %s::date, 1, 'onsite', %s, 'b')",
            *(self.amal.id, self.visit.id, self.main.id),
            *(self.today - timedelta(days=1000), source.id),
            *(self.amal.id, self.visit.id, self.main.id),
            *(self.today - timedelta(days=10), source.id),
        )
        self.assertEqual(self.Usage.insert_rows(rows), 2)
        self._run_retention("usage")
        months = self._read_months()
        self.assertEqual(self.Usage.insert_rows(rows), 0)
        self.assertEqual(self._read_months(), months)
        with self.assertRaises(ValidationError) as refused:
            self._use(self.amal, 1000)
        self.assertIn("counted and deleted", str(refused.exception))
        self._use(self.amal, 700)

    def test_what_followed_a_journey_stays_counted(self):
        journey = self.env["library.journey"].create(
            {"name": "Old journey", "company_id": self.library.id}
        )
        long_ago = fields.Datetime.now() - timedelta(days=1000)
        self.env["library.journey.enrolment"].create(
            [
                {
                    "journey_id": journey.id,
                    "version": 1,
                    "patron_id": patron.id,
                    "arm": arm,
                    "state": "done",
                    "entered_at": long_ago,
                    "first_at": long_ago,
                    "occasion": long_ago.date(),
                }
                for patron, arm in ((self.amal, "treated"), (self.bruno, "held_out"))
            ]
        )
        self._use(self.amal, 995)
        outcomes = journey._get_outcomes()
        self.assertEqual(outcomes, {journey.id: (1, 1, 0, 1)})
        self.assertEqual(self._run_retention("usage"), {"usage": 1})
        self.assertEqual(journey._get_outcomes(), outcomes)
        self.library.library_use_since = False
        self._use(self.amal, 900)
        self.assertEqual(self._run_retention("usage"), {"usage": 1})
        self.assertEqual(journey._get_outcomes(), outcomes, "Not counted twice")

    # ------------------------------------------------------------
    # WHAT WAS SAID AND SENT
    # ------------------------------------------------------------

    def test_closed_request_loses_name_and_words_and_stays_counted(self):
        lead = self.env["crm.lead"].create(
            {
                "name": "Amal asks",
                "description": "Private words",
                "library_patron_id": self.amal.id,
                "library_request_kind": "reference",
                "company_id": self.library.id,
                "type": "opportunity",
            }
        )
        self.assertEqual(self._run_retention("request"), {"request": 0})
        lead.action_set_won()
        self.assertEqual(self._run_retention("request"), {"request": 0})
        lead.date_closed -= timedelta(days=400)
        self.assertEqual(self._run_retention("request"), {"request": 1})
        self.assertFalse(lead.library_patron_id)
        self.assertNotIn("Private", str(lead.read(load=None)))
        self.assertEqual(lead.library_request_kind, "reference")
        self.assertEqual(lead.won_status, "won")
        self.assertEqual(self._run_retention("request"), {"request": 0})

    def test_old_messages_about_patrons_go(self):
        old = self.amal.message_post(body="An old note")
        new = self.amal.message_post(body="A new note")
        of_contact = self.amal.partner_id.message_post(body="An old note too")
        foreign = self.library.partner_id.message_post(body="Not of a patron")
        (old + of_contact + foreign).date = fields.Datetime.now() - timedelta(days=900)
        self.assertEqual(self._run_retention("message"), {"message": 2})
        self.assertFalse((old + of_contact).exists())
        self.assertTrue(new.exists() and foreign.exists())

    def test_mailing_forgets_who_got_it_and_counts_as_before(self):
        mailing = self.env["mailing.mailing"].create(
            {
                "subject": "Old news",
                "mailing_model_id": self.env["ir.model"]._get_id("library.patron"),
                "state": "done",
                "user_id": self.manager.id,
            }
        )
        sent = fields.Datetime.now() - timedelta(days=500)
        traces = self.env["mailing.trace"].create(
            [
                {
                    "mass_mailing_id": mailing.id,
                    "model": "library.patron",
                    "res_id": patron.id,
                    "email": patron.email,
                    "trace_status": "open",
                    "sent_datetime": sent,
                }
                for patron in self.amal + self.bruno
            ]
        )
        self.env["library.consent"].create(
            {
                "patron_id": self.amal.id,
                "purpose_id": mailing.library_purpose_id.id
                or self.env.ref("library_crm.library_consent_purpose_news").id,
                "channel": "email",
                "state": "withdrawn",
                "source": "mail",
                "date": sent + timedelta(days=1),
            }
        )

        def read():
            return self.env["library.mailing.result"]._read_group(
                [("mailing_id", "=", mailing.id)],
                ["branch_id", "company_id", "month:month"],
                ["sent:sum", "opened:sum", "unsubscribed:sum"],
                order="branch_id",
            )

        results = read()
        self.assertEqual(len(results), 2)
        self.assertEqual(self._run_retention("trace"), {"trace": 2})
        self.assertFalse(traces.library_patron_id)
        self.assertFalse(any(traces.mapped("email")))
        self.assertEqual(read(), results)

    def test_network_address_of_a_click_goes_after_a_month(self):
        link = self.env["link.tracker"].create({"url": "https://library.example.com"})
        trace = self.env["mailing.trace"].create(
            {"model": "library.patron", "res_id": self.amal.id}
        )
        old, new = self.env["link.tracker.click"].create(
            [{"link_id": link.id, "mailing_trace_id": trace.id, "ip": "192.0.2.7"}] * 2
        )
        self._set_old(old, days=40)
        self.assertEqual(self._run_retention("click"), {"click": 1})
        self.assertFalse(old.ip)
        self.assertEqual(new.ip, "192.0.2.7")
        self.assertEqual(link.count, 2)

    # ------------------------------------------------------------
    # PEOPLE
    # ------------------------------------------------------------

    def _make_gone(self, **values):
        gone = self.env["library.patron"].create(
            {
                "name": "Gone Patron",
                "card_number": "9901",
                "company_id": self.library.id,
                "branch_id": self.main.id,
                "enrolled_on": date(2015, 1, 1),
                **values,
            }
        )
        self._set_old(gone)
        return gone

    def test_patron_who_left_is_erased_and_use_stays_counted(self):
        gone = self._make_gone()
        self._use(gone, 750)
        months = self._read_months()
        contact = gone.partner_id
        self.assertEqual(self._run_retention("patron"), {"patron": 1})
        self.assertFalse(gone.exists())
        self.assertFalse(contact.exists())
        self.assertTrue((self.amal + self.bruno).exists(), "They are new here")
        self.assertEqual(self._read_months(), months)
        usage = self.Usage.search([("branch_id", "=", self.main.id)])
        self.assertFalse(usage.patron_id)

    def test_whoever_still_belongs_to_the_library_stays(self):
        used = self._make_gone(card_number="9902")
        self._use(used, 600)
        member = self._make_gone(card_number="9903")
        self._create_membership(member)
        self.assertEqual(self._run_retention("patron"), {"patron": 0})
        self.assertTrue((used + member).exists())

    def test_patron_is_held_by_what_is_open_and_the_screen_says_by_what(self):
        asks = self._make_gone(card_number="9902")
        lead = self.env["crm.lead"].create(
            {
                "name": "Open",
                "library_patron_id": asks.id,
                "library_request_kind": "reference",
                "company_id": self.library.id,
                "type": "opportunity",
            }
        )
        guardian = self._make_gone(card_number="9903")
        child = self._make_gone(card_number="9904", guardian_id=guardian.id)
        self._use(child, 100)
        worker = self._make_gone(
            card_number="9905", partner_id=self.employee.partner_id.id
        )
        rule = self.rules["patron"]
        self.assertEqual(rule.due_count, 0)
        for text in ("1 by an open request", "1 by a child", "1 by a login of staff"):
            self.assertIn(text, rule.held_text)
        self.assertEqual(self._run_retention("patron"), {"patron": 0})
        self.assertEqual(len((asks + guardian + child + worker).exists()), 4)
        lead.action_set_won()
        self.Usage.search([("patron_id", "=", child.id)]).unlink()
        child.last_use_date = False
        self.assertEqual(
            self._run_retention("patron"),
            {"patron": 3},
            "With the request closed, the child and then the guardian",
        )
        self.assertEqual((asks + guardian + child + worker).exists(), worker)

    def test_digest_of_an_erased_patron_goes_in_the_end(self):
        self.env["library.patron.tombstone"]._bury(self.library, [("77", "")])
        old = self.env["library.patron.tombstone"].search(
            [("company_id", "=", self.library.id)]
        )
        self.assertEqual(self._run_retention("tombstone"), {"tombstone": 0})
        old.sudo().date -= timedelta(days=800)
        self.assertEqual(self._run_retention("tombstone"), {"tombstone": 1})

    # ------------------------------------------------------------
    # THE NIGHT
    # ------------------------------------------------------------

    def _set_batch(self, kind, size):
        Kind = type(self.env["library.retention.kind"])
        kinds = Kind._get_kinds
        self.patch(
            Kind,
            "_get_kinds",
            lambda model: {
                name: kept._replace(batch=size) if name == kind else kept
                for name, kept in kinds(model).items()
            },
        )

    def test_night_works_in_batches_and_writes_what_it_did(self):
        for days in range(1000, 1005):
            self._use(self.amal, days)
        self._set_batch("usage", 2)
        rule = self.rules["usage"]
        self.assertEqual(list(rule._run()), [2, 2, 1, 0])
        runs = self.env["library.retention.run"].search([("rule_id", "=", rule.id)])
        self.assertEqual(sorted(runs.mapped("count")), [1, 2, 2])
        self.assertEqual(set(runs.mapped("kind")), {"usage"})
        self.assertEqual(rule.last_count, 5)
        self.assertTrue(rule.last_run_on)
        self.assertFalse(rule.last_failure)
        with self.assertRaises(AccessError):
            runs.with_user(self.manager).unlink()
        with self.assertRaises(AccessError):
            runs[0].with_user(self.manager).count = 0

    def test_night_that_ends_early_goes_on_where_it_was(self):
        for days in range(1000, 1005):
            self._use(self.amal, days)
        months = self._read_months()
        self._set_batch("usage", 2)
        night = self.rules["usage"]._run()
        next(night)
        night.close()
        self.assertEqual(self.rules["usage"].due_count, 3)
        self.assertEqual(self._run_retention("usage"), {"usage": 3})
        self.assertEqual(self._read_months(), months)
        runs = self.env["library.retention.run"].search(
            [("company_id", "=", self.library.id), ("kind", "=", "usage")]
        )
        self.assertEqual(sum(runs.mapped("count")), 5)

    def test_rule_that_fails_changes_nothing_says_so_and_tells_no_name(self):
        self.amal.message_post(body="Old").date = "2010-01-01"
        rule = self.rules["message"]
        with (
            patch.object(
                type(self.env["library.retention.kind"]),
                "_delete_message",
                side_effect=ValueError("about Amal Idris"),
            ),
            self.assertLogs(
                "odoo.addons.library_crm.models.library_retention_rule", "ERROR"
            ) as log,
        ):
            self.assertEqual(list(rule._run()), [0])
        self.assertEqual(rule.last_failure, "ValueError")
        run = self.env["library.retention.run"].search([("rule_id", "=", rule.id)])
        self.assertEqual((run.count, run.failure), (0, "ValueError"))
        self.assertNotIn("Amal", "".join(log.output))
        self.assertEqual(rule.due_count, 1)
        self.assertEqual(self._run_retention("message"), {"message": 1})
        self.assertFalse(rule.last_failure)

    def test_dry_run_tells_what_would_happen_and_changes_nothing(self):
        usage = self._use(self.amal, 1000)
        rule = self.rules["usage"].with_user(self.manager)
        notification = rule.action_dry_run()["params"]
        self.assertIn("1 rows are due", notification["message"])
        self.assertTrue(usage.exists())
        self.assertFalse(rule.last_run_on)
        self.assertFalse(self.library.library_use_since)
        self.assertFalse(
            self.env["library.retention.run"].search_count(
                [("company_id", "=", self.library.id)]
            )
        )
        with self.assertRaises(AccessError):
            rule.with_user(self.desk).action_dry_run()

    def test_rules_are_read_by_the_clock_of_the_library(self):
        self.library.partner_id.tz = "Pacific/Kiritimati"
        with freeze_time("2026-03-31 20:00:00"):
            self.rules["message"].invalidate_recordset()
            self.assertEqual(self.rules["message"].before, date(2024, 4, 1))
