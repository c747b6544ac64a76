from ast import literal_eval
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, split_every


@dataclass(eq=False)
class Message:
    """A message that would be sent to a patron, or, where it is sent to another one of
    the household, name them."""

    step: models.Model
    patron_id: int
    due_at: datetime
    with_patron_id: int | None = None


class LibraryJourneyForecast(models.TransientModel):
    """A message that a journey would send within the next days, if nothing changed: as
    patrons are today, whoever is on the way and whoever would enter.

    Nothing is sent and nobody enters. Who is held out is left out, and so is whoever
    could not be written to today; the limit a week and the grouping of
    households are reckoned with. What other journeys will send by then is not known.
    """

    _name = "library.journey.forecast"
    _description = "Forecast of a Journey"
    _order = "date, patron_id"
    _rec_name = "patron_id"

    DAYS = 30

    journey_id = fields.Many2one("library.journey", readonly=True, ondelete="cascade")
    step_id = fields.Many2one("library.journey.step", readonly=True, ondelete="cascade")
    patron_id = fields.Many2one("library.patron", readonly=True, ondelete="cascade")
    branch_id = fields.Many2one(related="patron_id.branch_id", store=True)
    date = fields.Date(readonly=True)
    with_patron_id = fields.Many2one(
        "library.patron",
        string="Together With",
        readonly=True,
        ondelete="cascade",
        help="The one in the household who gets the message.",
    )

    @api.model
    def _open(self, journey):
        """Compute the forecast of a journey and open it.

        :return: an action; where the user may not know who is on the journey, one
            that shows the number alone
        """
        journey.check_access("read")
        people, messages = self._compute_forecast(journey)
        sentence = self.env._(
            "%(journey)s would write to %(people)s people (%(messages)s messages) in "
            "the next %(days)s days",
            journey=journey.name,
            people=people,
            messages=messages,
            days=self.DAYS,
        )
        if not journey._may_see_names():
            self._forget(journey)
            return {
                "type": "ir.actions.client",
                "tag": "display_notification",
                "params": {"type": "info", "message": sentence, "sticky": True},
            }
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_journey_forecast_action"
            ),
            "name": sentence,
            "display_name": sentence,
            "domain": [("journey_id", "=", journey.id)],
        }

    @api.model
    def _forget(self, journey):
        """Delete the former forecast of the user: as many rows as patrons."""
        self.env.cr.execute(
            SQL(
                "DELETE FROM library_journey_forecast "
                "WHERE journey_id = %s AND create_uid = %s",
                journey.id,
                self.env.uid,
            )
        )
        self.invalidate_model()

    @api.model
    def _compute_forecast(self, journey):
        """Write the rows of a forecast.

        Cost: one query a step, then a pass over the messages found, by the thousand.

        :return: how many people are meant, and how many messages they get
        :rtype: tuple[int, int]
        """
        self._forget(journey)
        journey = journey.sudo()
        self.env.flush_all()
        messages = self._find_messages(journey)
        messages = self._leave_out_unreachable(messages)
        messages = self._hold_back(journey, messages)
        messages = self._group(journey, messages)
        now = fields.Datetime.now().replace(microsecond=0)
        branches = self._get_patrons(messages).grouped("id")
        self.env.cr.execute_values(
            "INSERT INTO library_journey_forecast (journey_id, step_id, patron_id, "
            "branch_id, date, with_patron_id, create_uid, create_date, write_uid, "
            "write_date) VALUES %s",
            [
                (
                    *(journey.id, message.step.id, message.patron_id),
                    branches[message.patron_id].branch_id.id or None,
                    *(message.due_at.date(), message.with_patron_id),
                    *(self.env.uid, now, self.env.uid, now),
                )
                for message in messages
            ],
        )
        self.invalidate_model()
        people = {message.patron_id for message in messages}
        return len(people), sum(not message.with_patron_id for message in messages)

    def _find_messages(self, journey):
        """Whoever comes to a message within the time, whatever may keep it away."""
        today = fields.Date.context_today(self)
        messages = []
        for step in journey.step_ids:
            if not step._is_message() or step._is_at_rest():
                continue
            late = step._LATE if step.timing == "occasion" else timedelta()
            rows = self.env.execute_query(
                SQL(
                    """
                    SELECT DISTINCT patron.id, message.due_at
                      FROM (%(ways)s) AS message (patron_id, due_at)
                      JOIN library_patron patron ON patron.id = message.patron_id
                     WHERE message.due_at >= %(first)s AND message.due_at < %(last)s
                       AND %(stays)s
                  ORDER BY message.due_at, patron.id
                    """,
                    ways=self._query_ways(step, today),
                    first=today - late,
                    last=today + timedelta(days=self.DAYS),
                    stays=self._sql_stays(journey),
                )
            )
            messages += [
                Message(step, patron_id, max(due_at, self._get_midnight(today)))
                for patron_id, due_at in rows
            ]
        return messages

    @api.model
    def _get_midnight(self, day):
        return fields.Datetime.to_datetime(day)

    @api.model
    def _get_patrons(self, messages):
        ids = sorted({message.patron_id for message in messages})
        return self.env["library.patron"].sudo().browse(ids)

    def _leave_out_unreachable(self, messages):
        """Leave out whom the engine would leave out, asking where it asks."""
        gone = set()
        for step, some in self._group_by_kind(messages):
            patrons = self._get_patrons(some)
            for batch in split_every(1000, patrons.ids, patrons.browse):
                for _reason, left_out in step._find_unreachable_patrons(batch):
                    gone.update((step.kind, number) for number in left_out.ids)
        return [
            message
            for message in messages
            if (message.step.kind, message.patron_id) not in gone
        ]

    def _group_by_kind(self, messages):
        """One step of each kind, since all of a kind ask the same of a patron, and the
        messages of that kind."""
        by_kind = defaultdict(list)
        for message in messages:
            by_kind[message.step.kind].append(message)
        return [(some[0].step, some) for some in by_kind.values()]

    def _hold_back(self, journey, messages):
        """Put off what would be too much in a week, as ``_wait_for_cap`` does, and with
        it what comes after. What is then too late for its day is left out, and so are
        what somebody gets only after some days of peace, and the message to an address
        that gets the same one on that day: Odoo refuses it.

        What other journeys and mailings will send is not known, and not counted."""
        cap = 0
        if journey.purpose_id.is_refusable:
            cap = journey.company_id.library_weekly_cap
        week = timedelta(days=7)
        horizon = self._get_midnight(fields.Date.context_today(self)) + timedelta(
            days=self.DAYS
        )
        sent = defaultdict(list)
        if cap:
            for patron_id, sent_at in self.env.execute_query(
                journey.step_ids._query_messages(
                    self._get_patrons(messages), fields.Datetime.now() - week
                )
            ):
                sent[patron_id].append(sent_at)
        had = {
            step.kind: step._get_days_of_last(self._get_patrons(some))
            for step, some in self._group_by_kind(messages)
        }
        addresses = self._get_addresses(messages)
        shifts = defaultdict(timedelta)
        kept, seen = [], set()
        for message in sorted(messages, key=lambda message: message.due_at):
            planned = message.due_at
            is_tied = message.step.timing == "occasion"
            if not is_tied:
                message.due_at += shifts[message.patron_id]
            past = sent[message.patron_id]
            while cap and (
                len(recent := [at for at in past if at > message.due_at - week]) >= cap
            ):
                message.due_at = sorted(recent)[-cap] + week
            shifts[message.patron_id] = message.due_at - planned
            too_late = is_tied and message.due_at > planned + message.step._LATE
            last = had[message.step.kind]
            day = message.due_at.date()
            peace = timedelta(days=message.step._get_days_of_peace())
            is_too_soon = day - last.get(message.patron_id, date.min) < peace
            if message.due_at >= horizon or too_late or is_too_soon:
                continue
            if not message.step._groups_households():
                key = message.step, addresses[message.step.kind, message.patron_id], day
                if key in seen:
                    continue
                seen.add(key)
            past.append(message.due_at)
            last[message.patron_id] = day
            kept.append(message)
        return kept

    def _get_addresses(self, messages):
        """:return: where messages go to, by the kind of step and the patron's id"""
        return {
            (step.kind, patron.id): address
            for step, some in self._group_by_kind(messages)
            for patron, address in step._get_addresses(self._get_patrons(some)).items()
        }

    def _group(self, journey, messages):
        """Who of a household is named in the message to another, and who shares an
        address with one of another household who gets the same message on the same day
        and is refused by Odoo for it."""
        together = [it for it in messages if it.step._groups_households()]
        if not together:
            return messages
        patrons = self._get_patrons(together)
        households = dict(
            self.env.execute_query(
                SQL(
                    "SELECT id, %(household)s FROM library_patron patron "
                    "WHERE id = ANY(%(ids)s)",
                    household=journey._sql_household(),
                    ids=patrons.ids,
                )
            )
        )
        groups = defaultdict(list)
        for message in together:
            key = message.step, households[message.patron_id], message.due_at.date()
            groups[key].append(message)
        by_id = patrons.grouped("id")
        for group in groups.values():
            lead = min(
                group,
                key=lambda message: message.step._rank_reader(by_id[message.patron_id]),
            )
            for message in group:
                if message != lead:
                    message.with_patron_id = lead.patron_id
        addresses = self._get_addresses(together)
        seen, refused = set(), set()
        for message in together:
            address = addresses[message.step.kind, message.patron_id]
            key = message.step, address, message.due_at.date()
            if not message.with_patron_id and key in seen:
                refused.add(message)
            elif not message.with_patron_id:
                seen.add(key)
        return [message for message in messages if message not in refused]

    def _query_ways(self, step, today):
        """Whoever comes to a step, and when: from each step on the way to it, and from
        outside."""
        journey = step.journey_id
        way, ways = step, []
        while way:
            ways.append(
                SQL(
                    """
                    SELECT patron.id, %(due_at)s
                      FROM library_journey_enrolment enrolment
                      JOIN library_patron patron ON patron.id = enrolment.patron_id
                     WHERE enrolment.step_id = %(start)s
                       AND enrolment.state = 'active'
                       AND enrolment.arm = 'treated'
                       AND patron.active AND %(holds)s AND %(answers)s
                    """,
                    due_at=self._sql_due_at(
                        way[1:],
                        SQL("greatest(enrolment.due_at, %s)", today),
                        SQL("enrolment.occasion"),
                        today,
                    ),
                    start=way[0].id,
                    holds=journey._sql_occasion_holds(date.min, date.max),
                    answers=self._sql_answers(way),
                )
            )
            if not way[0].parent_id:
                break
            way = way[0].parent_id + way
        if step.version == journey.version:
            ways.append(
                SQL(
                    """
                    SELECT patron.id, %(due_at)s
                      FROM (%(entrants)s) AS entrant
                      JOIN library_patron patron ON patron.id = entrant.patron_id
                     WHERE entrant.arm = 'treated' AND %(answers)s
                    """,
                    due_at=self._sql_due_at(
                        way,
                        SQL(
                            "greatest(entrant.occasion - %s, %s)::timestamp",
                            journey._get_lead(),
                            today,
                        ),
                        SQL("entrant.occasion"),
                        today,
                    ),
                    entrants=journey._query_entrants(
                        *journey._get_window(today, self.DAYS)
                    ),
                    answers=self._sql_answers(way),
                )
            )
        return SQL(" UNION ALL ").join(ways)

    def _sql_due_at(self, steps, start, occasion, today):
        """When the last of some steps is due for who is at ``start`` before them."""
        due_at = start
        for step in steps:
            base = (
                SQL("%s::timestamp", occasion)
                if step.timing == "occasion"
                else SQL("greatest(%s, %s::timestamp)", due_at, today)
            )
            due_at = SQL("%s + %s::interval", base, f"{step.delay} {step.delay_unit}")
        return due_at

    def _sql_answers(self, way):
        """Whoever answers the questions on the way so that it leads to its end."""
        Patron = self.env["library.patron"].sudo()
        answers = [SQL("TRUE")]
        for question, following in zip(way, way[1:], strict=False):
            if question.kind == "condition":
                query = Patron._search(Domain(literal_eval(question.domain)))
                answers.append(
                    SQL(
                        "patron.id %s %s",
                        SQL("NOT IN" if following.branch == "no" else "IN"),
                        query.subselect(),
                    )
                )
        return SQL(" AND ").join(answers)

    def _sql_stays(self, journey):
        """Whoever does not leave by what holds today."""
        exit_domain = journey._get_exit_domain()
        if not exit_domain:
            return SQL("TRUE")
        return SQL(
            "patron.id NOT IN %s",
            self.env["library.patron"].sudo()._search(exit_domain).subselect(),
        )
