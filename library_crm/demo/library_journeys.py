"""What two journeys have done in the demo library: welcoming those who joined, and
writing to those who had not come for half a year."""

from datetime import datetime, time, timedelta

from odoo.tools import SQL

DAYS = 300


class DemoJourneys:
    """The history of the journeys that run in the demo library.

    :param DemoLibrary library: with its people and their use
    """

    def __init__(self, library):
        self.library, self.env, self.today = library, library.env, library.today
        self.now = datetime.combine(self.today, time(0))
        self.random = library.random("journeys")

    def make(self):
        for name, occasions in (
            ("welcome", self._find_joined()),
            ("win_back", self._find_unused()),
        ):
            journey = self.library.ref(f"library_journey_{name}")
            journey.write(
                {
                    "state": "running",
                    "started_on": self.today - timedelta(days=DAYS),
                    "user_id": self.library.ref("library_user_marketing").id,
                }
            )
            journey._check_steps(journey.version)
            self._lead(journey, occasions)

    def _find_joined(self):
        patrons = self.env["library.patron"].search(
            [
                ("company_id", "=", self.library.company.id),
                ("enrolled_on", ">=", self.today - timedelta(days=DAYS)),
            ],
            order="id",
        )
        return [(patron, patron.enrolled_on, None) for patron in patrons]

    def _find_unused(self):
        """Patrons who had not used anything for half a year, since when, and the day
        on which they came back, if they did."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT patron_id, date + 180, next
                  FROM (
                        SELECT patron_id, date, lead(date) OVER (
                                   PARTITION BY patron_id ORDER BY date
                               ) AS next
                          FROM library_service_usage usage
                          JOIN library_patron patron ON patron.id = usage.patron_id
                         WHERE patron.company_id = %(company)s AND patron.active
                       ) gap
                 WHERE date + 180 BETWEEN %(first)s AND %(today)s
                   AND (next > date + 180 OR next IS NULL)
              ORDER BY date, patron_id
                """,
                company=self.library.company.id,
                first=self.today - timedelta(days=DAYS),
                today=self.today - timedelta(days=1),
            )
        )
        return [
            (self.env["library.patron"].browse(patron), day, back)
            for patron, day, back in rows
        ]

    def _lead(self, journey, occasions):
        first_step = journey._get_first_step()
        agreed = self.env["library.patron"].search(
            [("agreed_purpose_ids", "in", journey.purpose_id.ids)]
        )
        on_the_way = set()
        for patron, day, back in occasions:
            if patron in on_the_way:
                continue
            may_write = not journey.purpose_id.is_refusable or patron in agreed
            is_held_out = self.random.randrange(100) < journey.hold_out_percent
            enrolment = self.env["library.journey.enrolment"].create(
                {
                    "journey_id": journey.id,
                    "version": journey.version,
                    "patron_id": patron.id,
                    "occasion": day,
                    "arm": "held_out" if is_held_out else "treated",
                    "entered_at": self.library.at(day, self.random),
                }
            )
            self._walk(enrolment, first_step, back, may_write)
            if enrolment.state == "active":
                on_the_way.add(patron)

    def _walk(self, enrolment, step, back, may_write):
        moment = enrolment.entered_at
        while step:
            moment += step._get_delay(moment)
            if moment >= self.now:
                enrolment.write({"step_id": step.id, "due_at": moment})
                return
            if back and moment.date() > back:
                self._note(enrolment, step, moment, "exited", reason="occasion")
                enrolment.write({"state": "exited", "ended_at": moment})
                return
            what = self._do(enrolment, step, moment, may_write)
            step = step._get_children().filtered(
                lambda child, what=what: (child.branch or what) == what
            )
        enrolment.write({"state": "done", "ended_at": moment})

    def _do(self, enrolment, step, moment, may_write):
        patron = enrolment.patron_id
        if step.kind == "condition":
            what, values = ("yes" if patron.last_use_date else "no"), {}
        elif not may_write:
            what, values = "skipped", {"reason": "no_consent"}
        elif not patron.email_normalized:
            what, values = "skipped", {"reason": "no_address"}
        elif patron.is_blacklisted:
            what, values = "skipped", {"reason": "blacklisted"}
        elif enrolment.arm == "held_out":
            what, values = "held_out", {}
        else:
            what, values = "sent", self._trace(patron, step.mailing_id, moment)
        if what in ("sent", "held_out") and not enrolment.first_at:
            enrolment.first_at = moment
        self._note(enrolment, step, moment, what, **values)
        return what

    def _trace(self, patron, mailing, sent):
        values = {
            "mass_mailing_id": mailing.id,
            "model": patron._name,
            "res_id": patron.id,
            "email": patron.email_normalized,
            "sent_datetime": sent,
            "trace_status": self.random.choices(
                ("sent", "open", "bounce"), (44, 54, 2)
            )[0],
        }
        if values["trace_status"] == "open":
            opened = sent + timedelta(minutes=self.random.randint(3, 3000))
            values["open_datetime"] = opened
            if self.random.random() < 0.3:
                values["links_click_datetime"] = opened + timedelta(minutes=1)
        elif values["trace_status"] == "bounce":
            values["failure_type"] = "mail_bounce"
        trace = self.env["mailing.trace"].create(values)
        return {"trace_id": trace.id, "mailing_id": mailing.id}

    def _note(self, enrolment, step, moment, what, **values):
        self.env["library.journey.event"].create(
            {
                "enrolment_id": enrolment.id,
                "step_id": step.id,
                "date": moment,
                "what": what,
                **values,
            }
        )
