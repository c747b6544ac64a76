from datetime import date, datetime, timedelta

from freezegun import freeze_time

from odoo.fields import Command
from odoo.tests import Form, tagged

from .common import LibraryCommon

SENT = datetime(2026, 3, 3, 9, 0)
LATER = "2026-05-20 12:00:00"


@tagged("post_install", "-at_install")
@freeze_time(LATER)
class TestMailingReport(LibraryCommon):
    """A mailing of the third of March, looked at in May."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")
        cls.mailing = cls._make_mailing("News")
        # What patrons used is known since then.
        cls._use(cls.amal, date(2025, 1, 1))

    @classmethod
    def _make_mailing(cls, subject, **values):
        return cls.env["mailing.mailing"].create(
            {
                "subject": subject,
                "body_html": "<p>Hello</p>",
                "mailing_model_id": cls.env["ir.model"]._get_id("library.patron"),
                "state": "done",
                "user_id": cls.manager.id,
                **values,
            }
        )

    @classmethod
    def _make_patrons(cls, number, branch=None):
        return cls.env["library.patron"].create(
            [
                {
                    "name": f"Patron {index}",
                    "company_id": cls.library.id,
                    "branch_id": (branch or cls.main).id,
                }
                for index in range(number)
            ]
        )

    @classmethod
    def _send(cls, patrons, mailing=None, status="sent", sent=SENT, **values):
        return cls.env["mailing.trace"].create(
            [
                {
                    "mass_mailing_id": (mailing or cls.mailing).id,
                    "model": "library.patron",
                    "res_id": patron.id,
                    "trace_status": status,
                    "sent_datetime": sent,
                    **values,
                }
                for patron in patrons
            ]
        )

    @classmethod
    def _use(cls, patrons, day):
        cls.env["library.service.usage"].create(
            [
                {
                    "patron_id": patron.id,
                    "service_id": cls.visit.id,
                    "branch_id": cls.main.id,
                    "date": day,
                }
                for patron in patrons
            ]
        )

    def _count(self):
        self.env["library.mailing.outcome"]._count(self.library)

    def _sum(self, names, groupby=(), domain=(), model="library.mailing.result"):
        Result = self.env[model].with_user(self.marketing)
        rows = Result._read_group(
            list(domain),
            groupby,
            [
                f"{name}:avg" if name.endswith("_rate") else f"{name}:sum"
                for name in names.split()
            ],
        )
        return rows if groupby else rows[0]

    def test_what_became_of_each_mail(self):
        patrons = self._make_patrons(8)
        for patron, status in zip(
            patrons,
            ("sent", "open", "open", "reply", "bounce", "error", "cancel", "outgoing"),
            strict=True,
        ):
            self._send(patron, status=status)
        clicked = self.env["mailing.trace"].search(
            [("library_patron_id", "=", patrons[1].id)]
        )
        clicked.links_click_datetime = SENT
        self._send(patrons[0], is_test_trace=True)
        self.assertEqual(
            self._sum("sent delivered opened clicked replied bounced failed left_out"),
            (5, 4, 3, 1, 1, 1, 1, 1),
        )
        self.assertEqual(self._sum("opened_rate clicked_rate"), (75, 25))

    def test_by_home_branch_and_month(self):
        self._send(self._make_patrons(2), status="open")
        self._send(self._make_patrons(3, self.north))
        self._send(self.bruno, sent=SENT + timedelta(days=40))
        self.assertEqual(
            self._sum("delivered opened", ["month:month", "branch_id"]),
            [
                (date(2026, 3, 1), self.main, 2, 2),
                (date(2026, 3, 1), self.north, 3, 0),
                (date(2026, 4, 1), self.north, 1, 0),
            ],
        )
        self.assertAlmostEqual(self._sum("opened_rate")[0], 100 * 2 / 6)

    def test_by_the_segment_that_was_written_to(self):
        one, two = self.env["library.segment"].create(
            [
                {"name": name, "domain": "[]", "company_id": self.library.id}
                for name in ("One", "Two")
            ]
        )
        for expected, values in (
            (
                one,
                {
                    "mailing_domain": one.action_new_mailing()["context"][
                        "default_mailing_domain"
                    ]
                },
            ),
            (two, {"mailing_filter_id": two.mailing_filter_ids.id}),
            (
                two,
                {
                    "mailing_domain": repr(
                        ["&", ("active", "=", True), ("segment_ids", "in", two.ids)]
                    )
                },
            ),
            (
                one.browse(),
                {"mailing_domain": repr([("segment_ids", "in", (one + two).ids)])},
            ),
            (
                one.browse(),
                {"mailing_domain": repr([("segment_ids", "not in", one.ids)])},
            ),
            (one.browse(), {"mailing_domain": "[]"}),
        ):
            with self.subTest(values=values):
                mailing = self._make_mailing("To a segment", **values)
                self.assertEqual(mailing.library_segment_id, expected)
                self._send(self.amal, mailing)
        self.assertEqual(
            dict(self._sum("delivered", ["segment_id"])),
            {one: 1, two: 2, one.browse(): 3},
        )
        action = two.with_user(self.marketing).action_view_mailing_results()
        self.assertEqual(self._sum("delivered", domain=action["domain"]), (2,))

    def test_by_campaign_and_to_the_report_from_the_mailing(self):
        campaign = self.env["utm.campaign"].create({"title": "Summer"})
        mailing = self._make_mailing("Summer", campaign_id=campaign.id)
        self._send(self.amal + self.bruno, mailing)
        self._send(self.amal)
        self.assertIn((campaign, 2), self._sum("delivered", ["campaign_id"]))
        as_marketing = mailing.with_user(self.marketing)
        Form(as_marketing)
        action = as_marketing.action_library_results()
        self.assertEqual(self._sum("delivered", domain=action["domain"]), (2,))

    def test_mail_of_who_was_erased_counts_for_the_branch_as_before(self):
        patrons = self._make_patrons(2)
        self._send(patrons)
        patrons[0].unlink()
        self.assertEqual(dict(self._sum("delivered", ["branch_id"])), {self.main: 2})

    # ------------------------------------------------------------
    # UNSUBSCRIBED
    # ------------------------------------------------------------

    def _withdraw(self, patron, date, **values):
        self.env["library.consent"].create(
            {
                "patron_id": patron.id,
                "purpose_id": self.news.id,
                "state": "withdrawn",
                "source": "mail",
                "date": date,
                **values,
            }
        )

    def test_unsubscribed_counts_for_the_last_mail_about_that_purpose(self):
        later = self._make_mailing("Later")
        surveys = self._make_mailing(
            "Survey",
            library_purpose_id=self.env.ref(
                "library_crm.library_consent_purpose_survey"
            ).id,
        )
        self._send(self.amal)
        self._send(self.amal, later, sent=SENT + timedelta(days=5))
        self._send(self.amal, surveys, sent=SENT + timedelta(days=6))
        self._send(self.amal, sent=SENT + timedelta(days=9), is_test_trace=True)
        self._withdraw(self.amal, SENT + timedelta(days=10))
        self.assertEqual(
            dict(self._sum("unsubscribed", ["mailing_id"])),
            {self.mailing: 0, later: 1, surveys: 0},
        )
        self.assertEqual(
            self._sum("unsubscribed_rate", domain=[("mailing_id", "=", later.id)]),
            (100,),
        )

    def test_unsubscribed_is_no_word_at_the_desk_and_none_long_after(self):
        self._send(self.amal + self.bruno)
        self._withdraw(self.amal, SENT + timedelta(days=3), source="desk")
        self._withdraw(self.bruno, SENT + timedelta(days=31))
        self.assertEqual(self._sum("unsubscribed"), (0,))

    # ------------------------------------------------------------
    # WHAT FOLLOWED
    # ------------------------------------------------------------

    def test_use_within_30_days_counts_and_other_use_does_not(self):
        patrons = self._make_patrons(6)
        self._send(patrons)
        for patron, days in zip(patrons, (0, 1, 30, 31, 1, 1), strict=True):
            self._use(patron, SENT.date() + timedelta(days=days))
        self._use(patrons[1], SENT.date() + timedelta(days=9))
        came_back = self._make_patrons(1)
        self._send(came_back, status="bounce")
        self._use(came_back, SENT.date() + timedelta(days=1))
        self._count()
        self.assertEqual(self._sum("observed used"), (6, 4))
        self.assertAlmostEqual(self._sum("used_rate")[0], 100 * 4 / 6)

    def test_nothing_is_told_before_the_30_days_are_over(self):
        self._send(self._make_patrons(5))
        with freeze_time("2026-04-02 12:00:00"):
            self._count()
            self.assertEqual(self._sum("delivered observed"), (5, 0))
        with freeze_time("2026-04-03 12:00:00"):
            self._count()
            self.assertEqual(self._sum("delivered observed"), (5, 5))

    def test_it_is_counted_once_and_outlives_the_rows_of_use(self):
        patrons = self._make_patrons(5)
        self._send(patrons)
        self._use(patrons[0], SENT.date() + timedelta(days=2))
        self._count()
        self.env["library.service.usage"].search(
            [("patron_id", "in", patrons.ids)]
        ).unlink()
        self._count()
        self.assertEqual(self._sum("observed used"), (5, 1))

    def test_mails_before_use_was_known_are_not_followed_up(self):
        self._send(self._make_patrons(5), sent=datetime(2024, 12, 31, 9))
        self._count()
        self.assertEqual(self._sum("delivered observed"), (5, 0))

    def test_small_branches_are_followed_up_together_and_fewer_than_five_not(self):
        self._send(self._make_patrons(5))
        few = self._make_patrons(4, self.north)
        self._send(few)
        self._use(few, SENT.date() + timedelta(days=1))
        self._count()
        self.assertEqual(
            self._sum("delivered observed used", ["branch_id"]),
            [
                (self.main, 5, 5, 0),
                (self.north, 4, 0, 0),
            ],
        )
        other = self._make_mailing("Other")
        self._send(few + self._make_patrons(1), other)
        self._count()
        self.assertEqual(
            self._sum(
                "observed used",
                domain=[("mailing_id", "=", other.id), ("branch_id", "=", False)],
            ),
            (5, 4),
        )

    def test_marketing_learns_no_use_of_one_person_from_the_report(self):
        """Of a mailing to one patron, in whatever part of the report."""
        self._send(self.amal)
        self._use(self.amal, SENT.date() + timedelta(days=1))
        self._count()
        rows = self.env["library.mailing.result"].with_user(self.marketing).search([])
        self.assertEqual(sum(rows.mapped("delivered")), 1)
        self.assertEqual(set(rows.mapped("used")), {0})

    def test_job_counts_each_library_and_none_sees_the_other(self):
        self._send(self._make_patrons(5))
        others = self.other_patron + self.env["library.patron"].create(
            [
                {
                    "name": f"Other {index}",
                    "company_id": self.other_library.id,
                    "branch_id": self.other_branch.id,
                }
                for index in range(4)
            ]
        )
        self.env["library.service.usage"].create(
            {
                "patron_id": self.other_patron.id,
                "service_id": self.visit.id,
                "branch_id": self.other_branch.id,
                "date": date(2025, 1, 1),
            }
        )
        self._send(others)
        cron = self.env.ref("library_crm.ir_cron_count_mailing_outcomes")
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        self.assertEqual(self._sum("delivered observed"), (5, 5))
        self.marketing.company_ids = [Command.link(self.other_library.id)]
        both = self.env["library.mailing.result"].with_user(self.marketing)
        both = both.with_context(
            allowed_company_ids=(self.library + self.other_library).ids
        )
        self.assertEqual(both._read_group([], [], ["observed:sum"]), [(10,)])

    # ------------------------------------------------------------
    # JOURNEYS
    # ------------------------------------------------------------

    def _make_journey(self, **values):
        journey = self.env["library.journey"].create(
            {
                "name": "Welcome",
                "company_id": self.library.id,
                "purpose_id": self.news.id,
                **values,
            }
        )
        mailing = self._make_mailing("Welcome", state="draft")
        step = self.env["library.journey.step"].create(
            {"name": "Mail", "journey_id": journey.id, "mailing_id": mailing.id}
        )
        return journey, step

    def _walk(self, step, patrons, moment=SENT, **values):
        for patron, trace in zip(
            patrons, self._send(patrons, step.mailing_id, sent=moment), strict=True
        ):
            enrolment = self.env["library.journey.enrolment"].create(
                {
                    "journey_id": step.journey_id.id,
                    "version": 1,
                    "patron_id": patron.id,
                    "occasion": moment.date(),
                    "entered_at": moment,
                }
            )
            self.env["library.journey.event"].create(
                {
                    "enrolment_id": enrolment.id,
                    "step_id": step.id,
                    "date": moment,
                    "what": "sent",
                    "mailing_id": step.mailing_id.id,
                    "trace_id": trace.id,
                    **values,
                }
            )

    def test_mails_of_a_journey_are_followed_up_when_the_month_is_over(self):
        journey, step = self._make_journey()
        patrons = self._make_patrons(5)
        self._walk(step, patrons)
        self._use(patrons[:2], SENT.date() + timedelta(days=3))
        of_journey = {
            "domain": [("journey_id", "=", journey.id)],
            "model": "library.journey.result",
        }
        with freeze_time("2026-04-30 12:00:00"):
            self._count()
            self.assertEqual(self._sum("sent observed used", **of_journey), (5, 0, 0))
        with freeze_time("2026-05-01 12:00:00"):
            self._count()
            self.assertEqual(self._sum("sent observed used", **of_journey), (5, 5, 2))
        self.assertEqual(
            self._sum("sent used used_rate", ["step_id", "branch_id"], **of_journey),
            [(step, self.main, 5, 2, 40)],
        )
        self.assertEqual(
            self._sum("delivered used", domain=of_journey["domain"]), (5, 2)
        )
        [shown] = journey.with_user(self.marketing).get_picture()["steps"]
        numbers = {number["name"]: number["value"] for number in shown["numbers"]}
        self.assertEqual((numbers["observed"], numbers["used"]), (5, 2))

    def test_months_with_few_mails_of_a_journey_wait_for_the_next(self):
        journey, step = self._make_journey()
        for month, number in ((1, 4), (2, 3), (3, 6), (4, 9)):
            patrons = self._make_patrons(number)
            self._walk(step, patrons, datetime(2026, month, 3, 9))
            self._use(patrons[:1], date(2026, month, 5))
        for day in ("2026-03-05", "2026-04-05", "2026-05-05"):
            with freeze_time(f"{day} 12:00:00"):
                self._count()
        self.assertEqual(
            self._sum(
                "sent observed used",
                ["date:month"],
                [("journey_id", "=", journey.id)],
                "library.journey.result",
            ),
            [
                (date(2026, 1, 1), 4, 0, 0),
                (date(2026, 2, 1), 3, 7, 2),
                (date(2026, 3, 1), 6, 6, 1),
                (date(2026, 4, 1), 9, 0, 0),
            ],
        )

    def test_use_after_a_mail_of_a_journey_is_told_of_nobody_alone(self):
        journey, step = self._make_journey()
        self._walk(step, self.amal)
        self._use(self.amal, SENT.date() + timedelta(days=3))
        self._count()
        rows = self.env["library.journey.result"].search(
            [("journey_id", "=", journey.id)]
        )
        self.assertEqual(sum(rows.mapped("sent")), 1)
        self.assertEqual(set(rows.mapped("used")), {0})

    def test_translated_mail_counts_for_its_step(self):
        journey, step = self._make_journey()
        translation = step.mailing_id.copy(
            {
                "library_original_id": step.mailing_id.id,
                "library_journey_id": journey.id,
            }
        )
        self._send(self._make_patrons(5), translation)
        self._count()
        self.assertEqual(
            self._sum(
                "observed",
                ["step_id"],
                [("journey_id", "=", journey.id)],
                "library.journey.result",
            ),
            [(step, 5)],
        )

    def test_journey_results_by_the_segment_of_the_journey(self):
        segment = self.env["library.segment"].create(
            {"name": "North", "domain": "[]", "company_id": self.library.id}
        )
        journey, step = self._make_journey(
            patron_domain=repr([("segment_ids", "in", segment.ids)])
        )
        self.assertEqual(journey.segment_id, segment)
        self._walk(step, self.amal)
        self.assertEqual(
            self._sum(
                "sent",
                ["segment_id"],
                [("journey_id", "=", journey.id)],
                "library.journey.result",
            ),
            [(segment, 1)],
        )
