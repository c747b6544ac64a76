from ast import literal_eval
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL


class LibraryJourneyForecast(models.TransientModel):
    """A mail that a journey would send within the next days, if nothing changed: as
    patrons are today, whoever is on the way and whoever would enter.

    Nothing is sent and nobody enters. Who is held out is left out; the limit of mails
    a week and the grouping of households, which depend on the moment, are not asked.
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
        """Write the rows of a forecast: one statement for each way to a mail.

        :return: how many people and how many mails
        :rtype: tuple[int, int]
        """
        self._forget(journey)
        journey = journey.sudo()
        self.env.flush_all()
        today = fields.Date.context_today(self)
        now = fields.Datetime.now()
        for step in journey.step_ids.filtered(lambda step: step.kind == "mail"):
            late = step._LATE if step.timing == "occasion" else timedelta()
            self.env.cr.execute(
                SQL(
                    """
                    INSERT INTO library_journey_forecast (
                           journey_id, step_id, patron_id, branch_id, date,
                           create_uid, create_date, write_uid, write_date
                           )
                    SELECT DISTINCT %(journey)s, %(step)s, patron.id,
                           patron.branch_id, mail.due_at::date,
                           %(user)s, %(now)s, %(user)s, %(now)s
                      FROM (%(ways)s) AS mail (patron_id, due_at)
                      JOIN library_patron patron ON patron.id = mail.patron_id
                     WHERE mail.due_at >= %(first)s AND mail.due_at < %(last)s
                       AND %(reachable)s
                    """,
                    journey=journey.id,
                    step=step.id,
                    user=self.env.uid,
                    now=now.replace(microsecond=0),
                    ways=self._query_ways(step, today),
                    first=today - late,
                    last=today + timedelta(days=self.DAYS),
                    reachable=self._sql_reachable(journey),
                )
            )
        self.invalidate_model()
        [(mails, people)] = self.env.execute_query(
            SQL(
                "SELECT count(*), count(DISTINCT patron_id) "
                "FROM library_journey_forecast "
                "WHERE journey_id = %s AND create_uid = %s",
                journey.id,
                self.env.uid,
            )
        )
        return people, mails

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
                       AND patron.active AND %(answers)s
                    """,
                    due_at=self._sql_due_at(
                        way[1:],
                        SQL("greatest(enrolment.due_at, %s)", today),
                        SQL("enrolment.occasion"),
                        today,
                    ),
                    start=way[0].id,
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

    def _sql_reachable(self, journey):
        """Whoever agreed to the purpose and has an address, or whose guardian has."""
        Patron = self.env["library.patron"].sudo()
        conditions = [
            SQL(
                """
                EXISTS (
                    SELECT FROM res_partner partner
                     WHERE partner.id IN (
                               patron.partner_id,
                               (SELECT partner_id FROM library_patron guardian
                                 WHERE guardian.id = patron.guardian_id)
                           )
                       AND partner.email_normalized IS NOT NULL
                )
                """
            )
        ]
        if journey.purpose_id.is_refusable:
            agreed = Domain("agreed_purpose_ids", "in", journey.purpose_id.ids)
            conditions.append(
                SQL("patron.id IN %s", Patron._search(agreed).subselect())
            )
        if exit_domain := journey._get_exit_domain():
            conditions.append(
                SQL("patron.id NOT IN %s", Patron._search(exit_domain).subselect())
            )
        return SQL(" AND ").join(conditions)
