from ast import literal_eval
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, split_every


@dataclass(eq=False)
class Mail:
    """A mail that would be sent to a patron, or, where it is sent to another one of the
    household, name them."""

    step: models.Model
    patron_id: int
    due_at: datetime
    with_patron_id: int | None = None


class LibraryJourneyForecast(models.TransientModel):
    """A mail that a journey would send within the next days, if nothing changed: as
    patrons are today, whoever is on the way and whoever would enter.

    Nothing is sent and nobody enters. Who is held out is left out, and so is whoever
    could not be written to today; the limit of mails a week and the grouping of
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
        help="The one in the household who gets the mail.",
    )

    @api.model
    def _open(self, journey):
        """Compute the forecast of a journey and open it.

        :return: an action; where the user may not know who is on the journey, one
            that shows the number alone
        """
        journey.check_access("read")
        people, mails = self._compute_forecast(journey)
        sentence = self.env._(
            "%(journey)s would write to %(people)s people (%(mails)s mails) in the "
            "next %(days)s days",
            journey=journey.name,
            people=people,
            mails=mails,
            days=self.DAYS,
        )
        if journey.is_private and not self.env.user.has_group(
            "library_crm.group_library_user"
        ):
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

        Cost: one query a step, then a pass over the mails found, by the thousand.

        :return: how many people are meant, and how many mails they get
        :rtype: tuple[int, int]
        """
        self._forget(journey)
        journey = journey.sudo()
        self.env.flush_all()
        mails = self._find_mails(journey)
        mails = self._leave_out_unreachable(journey, mails)
        mails = self._hold_to_cap(journey, mails)
        mails = self._group(journey, mails)
        now = fields.Datetime.now().replace(microsecond=0)
        branches = self._get_patrons(mails).grouped("id")
        self.env.cr.execute_values(
            "INSERT INTO library_journey_forecast (journey_id, step_id, patron_id, "
            "branch_id, date, with_patron_id, create_uid, create_date, write_uid, "
            "write_date) VALUES %s",
            [
                (
                    *(journey.id, mail.step.id, mail.patron_id),
                    branches[mail.patron_id].branch_id.id or None,
                    *(mail.due_at.date(), mail.with_patron_id),
                    *(self.env.uid, now, self.env.uid, now),
                )
                for mail in mails
            ],
        )
        self.invalidate_model()
        people = {mail.patron_id for mail in mails}
        return len(people), sum(not mail.with_patron_id for mail in mails)

    def _find_mails(self, journey):
        """Whoever comes to a mail within the time, whatever may keep it from them."""
        today = fields.Date.context_today(self)
        mails = []
        for step in journey.step_ids.filtered(lambda step: step._sends_mail()):
            late = step._LATE if step.timing == "occasion" else timedelta()
            rows = self.env.execute_query(
                SQL(
                    """
                    SELECT DISTINCT patron.id, mail.due_at
                      FROM (%(ways)s) AS mail (patron_id, due_at)
                      JOIN library_patron patron ON patron.id = mail.patron_id
                     WHERE mail.due_at >= %(first)s AND mail.due_at < %(last)s
                       AND %(stays)s
                  ORDER BY mail.due_at, patron.id
                    """,
                    ways=self._query_ways(step, today),
                    first=today - late,
                    last=today + timedelta(days=self.DAYS),
                    stays=self._sql_stays(journey),
                )
            )
            mails += [
                Mail(step, patron_id, max(due_at, self._get_midnight(today)))
                for patron_id, due_at in rows
            ]
        return mails

    @api.model
    def _get_midnight(self, day):
        return fields.Datetime.to_datetime(day)

    @api.model
    def _get_patrons(self, mails):
        ids = sorted({mail.patron_id for mail in mails})
        return self.env["library.patron"].sudo().browse(ids)

    def _leave_out_unreachable(self, journey, mails):
        """Leave out whom the engine would leave out, asking where it asks."""
        by_kind = defaultdict(list)
        for mail in mails:
            by_kind[mail.step.kind].append(mail)
        kept = []
        for of_kind in by_kind.values():
            gone = set()
            patrons = self._get_patrons(of_kind)
            for batch in split_every(1000, patrons.ids, patrons.browse):
                left_out = of_kind[0].step._find_unreachable_patrons(batch)
                gone.update(patron.id for _reason, some in left_out for patron in some)
            kept += [mail for mail in of_kind if mail.patron_id not in gone]
        return kept

    def _hold_to_cap(self, journey, mails):
        """Put off what would be too much in a week, as ``_wait_for_cap`` does, and with
        it what comes after; what is then too late for its day is left out.

        What other journeys and mailings will send is not known, and not counted."""
        cap = journey.company_id.library_weekly_cap
        if not cap or not journey.purpose_id.is_refusable:
            return mails
        week = timedelta(days=7)
        horizon = self._get_midnight(fields.Date.context_today(self)) + timedelta(
            days=self.DAYS
        )
        sent = defaultdict(list)
        for patron_id, sent_at in self.env.execute_query(
            journey.step_ids._query_mails(
                self._get_patrons(mails), fields.Datetime.now() - week
            )
        ):
            sent[patron_id].append(sent_at)
        shifts = defaultdict(timedelta)
        kept = []
        for mail in sorted(mails, key=lambda mail: mail.due_at):
            planned = mail.due_at
            is_tied = mail.step.timing == "occasion"
            if not is_tied:
                mail.due_at += shifts[mail.patron_id]
            past = sent[mail.patron_id]
            while len(recent := [at for at in past if at > mail.due_at - week]) >= cap:
                mail.due_at = sorted(recent)[-cap] + week
            shifts[mail.patron_id] = mail.due_at - planned
            too_late = is_tied and mail.due_at > planned + mail.step._LATE
            if mail.due_at < horizon and not too_late:
                past.append(mail.due_at)
                kept.append(mail)
        return kept

    def _group(self, journey, mails):
        """Who is named in the mail to another, and who shares an address with somebody
        who gets the same mail on the same day and is refused by Odoo for it."""
        patrons = self._get_patrons(mails)
        if journey.groups_households and mails:
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
            for mail in mails:
                key = mail.step, households[mail.patron_id], mail.due_at.date()
                groups[key].append(mail)
            by_id = patrons.grouped("id")
            for group in groups.values():
                lead = min(
                    group,
                    key=lambda mail: mail.step._rank_reader(by_id[mail.patron_id]),
                )
                for mail in group:
                    if mail != lead:
                        mail.with_patron_id = lead.patron_id
        addresses = {
            patron.id: address
            for patron, address in journey.step_ids._get_addresses(patrons).items()
        }
        seen, kept = set(), []
        for mail in mails:
            key = mail.step, addresses[mail.patron_id], mail.due_at.date()
            if mail.with_patron_id or key not in seen:
                kept.append(mail)
            if not mail.with_patron_id:
                seen.add(key)
        return kept

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
