from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models, tools
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL


class LoyaltyProgram(models.Model):
    """A library's programme: patrons who take part earn points by using the library.

    What a patron's points are follows from the rules and from their use, and from
    nothing else. So new, late, corrected and deleted use, a rule that was changed, a
    job that was killed are all put right in one way: what should be in the ledger is
    reckoned, compared with what is, and the difference is posted.
    """

    _name = "loyalty.program"
    _inherit = ["loyalty.program", "library.cache.mixin"]
    _library_personal_data = {"*": "setting"}

    program_type = fields.Selection(
        selection_add=[("library", "Library use")],
        ondelete={"library": lambda programs: programs._become_shop_programs()},
    )
    library_rule_ids = fields.One2many(
        "library.loyalty.rule", "program_id", string="What Earns Points", copy=True
    )
    library_tier_ids = fields.One2many(
        "library.loyalty.tier", "program_id", string="Tiers", copy=True
    )
    library_reward_ids = fields.One2many(
        "library.loyalty.reward", "program_id", string="Rewards for Patrons", copy=True
    )
    library_manual_limit = fields.Integer(
        string="By Hand, at Most",
        default=500,
        help="Points that may be given or taken by hand at once.",
    )
    library_lets_give = fields.Boolean(
        string="Households May Share",
        default=True,
        help="Patrons may give points to somebody of their household who takes part "
        "too. What is given counts for no tier.",
    )
    library_expire_months = fields.Integer(
        string="Points Last (Months)",
        help="Points that are older expire, the oldest first; what was spent counts as "
        "the oldest. 0: they last for ever.",
    )
    library_warning_days = fields.Integer(
        string="Warn Before (Days)",
        default=30,
        help="So many days before points expire their owner gets a mail.",
    )
    library_point_value = fields.Float(
        string="A Point Is Worth",
        digits=(16, 4),
        help="In money, e.g. what a reward costs the library divided by the points "
        "that it takes. 0: what is owed is told in points only.",
    )
    library_settled_until = fields.Date(
        string="Settled until",
        readonly=True,
        copy=False,
        help="Points for days until then are final, because the rows of use behind "
        "them may have been deleted.",
    )
    library_reckoned_on = fields.Date(
        readonly=True, copy=False, help="The last day on which the nightly job ran."
    )
    library_proved_at = fields.Datetime(
        string="Ledger Checked", readonly=True, copy=False
    )
    library_unbalanced = fields.Integer(
        string="Cards That Do Not Balance",
        readonly=True,
        copy=False,
        help="Cards whose points were not the sum of their lines at the last check.",
    )

    _library_has_company = models.Constraint(
        "CHECK (program_type != 'library' OR company_id IS NOT NULL)",
        "Programme: it belongs to a library.",
    )
    _library_manual_limit_plausible = models.Constraint(
        "CHECK (program_type != 'library' "
        "OR library_manual_limit BETWEEN 0 AND 100000)",
        "By hand, at most: 0 to 100,000 points.",
    )

    _library_point_value_plausible = models.Constraint(
        "CHECK (coalesce(library_point_value, 0) >= 0)",
        "A point is worth 0 or more.",
    )
    _library_expiry_plausible = models.Constraint(
        "CHECK (program_type != 'library' OR (library_expire_months BETWEEN 0 AND 240 "
        "AND library_warning_days BETWEEN 0 AND 365))",
        "Points last 0 (for ever) to 240 months, the warning is 0 to 365 days before.",
    )

    # ------------------------------------------------------------
    # A PROGRAMME WITHOUT PRODUCTS
    # ------------------------------------------------------------

    @api.model
    def _program_type_default_values(self):
        return {
            **super()._program_type_default_values(),
            "library": {
                "applies_on": "both",
                "trigger": "auto",
                "portal_visible": True,
                "portal_point_name": self.env._("points"),
                "rule_ids": [fields.Command.clear()],
                "reward_ids": [fields.Command.clear()],
                "communication_plan_ids": [fields.Command.clear()],
            },
        }

    @api.model
    def _program_items_name(self):
        return {**super()._program_items_name(), "library": self.env._("Cards")}

    @api.constrains("reward_ids")
    def _constrains_reward_ids(self):
        shops = self.filtered(lambda program: program.program_type != "library")
        return super(LoyaltyProgram, shops)._constrains_reward_ids()

    def _become_shop_programs(self):
        """When this addon goes the programmes stay, as ended programmes of a shop."""
        self.with_context(library_programs_end=True).write(
            {"program_type": "loyalty", "active": False}
        )

    def write(self, vals):
        ending = self.env.context.get("library_programs_end")
        if vals.keys() & {"program_type", "company_id"} and not ending:
            self._refuse_to_move(vals)
        result = super().write(vals)
        if vals.keys() & {"date_from", "date_to", "active"} and not ending:
            self._library_note_due()
        return result

    def _refuse_to_move(self, vals):
        """Cards are of the patrons of one library, and their ledger is of one kind."""
        for program in self.with_context(active_test=False):
            if (
                program.coupon_ids
                and "library" in (program.program_type, vals.get("program_type"))
                and any(
                    program._fields[name].convert_to_write(program[name], program)
                    != vals[name]
                    for name in vals.keys() & {"program_type", "company_id"}
                )
            ):
                raise ValidationError(
                    self.env._(
                        "%(program)s has cards: it keeps its kind and its library.",
                        program=program.name,
                    )
                )

    @api.model
    @tools.ormcache()
    def _get_library_company_ids(self):
        """The libraries with a programme, ended ones too: the others are not asked for
        cards at each use that is logged."""
        programs = (
            self.sudo()
            .with_context(active_test=False)
            .search([("program_type", "=", "library")])
        )
        return frozenset(programs.company_id.ids)

    @api.model
    @tools.ormcache("today")
    def _get_library_running_ids(self, today):
        """The programmes in which one can take part on a day, by library.

        :rtype: dict[int, tuple[int]]
        """
        programs = self.sudo().search(
            Domain("program_type", "=", "library")
            & (Domain("date_from", "=", False) | Domain("date_from", "<=", today))
            & (Domain("date_to", "=", False) | Domain("date_to", ">=", today))
        )
        return {
            company.id: tuple(group.ids)
            for company, group in programs.grouped("company_id").items()
        }

    def _library_has_lines(self):
        return bool(
            self.env["loyalty.history"]
            .sudo()
            .search_count([("card_id.program_id", "in", self.ids)], limit=1)
        )

    def _library_note_due(self):
        """Let the job reckon everybody who takes part in these programmes."""
        self.env["loyalty.card"].flush_model()
        self.env.cr.execute(
            self.env["library.loyalty.due"]._sql_add(
                SQL(
                    """
                    SELECT library_patron_id
                      FROM loyalty_card
                     WHERE is_library AND active AND program_id = ANY(%s)
                    """,
                    list(self._ids),
                )
            )
        )
        self.env.ref("library_crm_loyalty.ir_cron_reckon_points").sudo()._trigger()

    def _library_join(self, patrons, since=None):
        """Let patrons take part: each gets a card, unless they have one.

        :param since: the day from which their use earns; None: today
        :return: the cards of all of them
        """
        self.ensure_one()
        Card = self.env["loyalty.card"]
        known = Card.search(
            [("program_id", "=", self.id), ("library_patron_id", "in", patrons.ids)]
        )
        return known + Card.create(
            [
                {
                    "program_id": self.id,
                    "partner_id": patron.partner_id.id,
                    "library_joined_on": since or self._library_today(),
                }
                for patron in patrons - known.library_patron_id
            ]
        )

    def _library_runs(self):
        """Whether the programme runs today."""
        self.ensure_one()
        today = self._library_today()
        return (
            self.active
            and (not self.date_from or self.date_from <= today)
            and (not self.date_to or today <= self.date_to)
        )

    def _library_get_cards(self, patrons):
        """:return: the cards of those patrons who take part
        :rtype: dict[library.patron, loyalty.card]
        """
        self.ensure_one()
        cards = self.env["loyalty.card"].search(
            [("program_id", "=", self.id), ("library_patron_id", "in", patrons.ids)]
        )
        return {card.library_patron_id: card for card in cards}

    # ------------------------------------------------------------
    # RECKONING
    # ------------------------------------------------------------

    def _library_today(self):
        """The day of the library. A clock that was set back does not turn it back."""
        self.ensure_one()
        today = fields.Date.context_today(self.with_company(self.company_id))
        return max(today, self.library_reckoned_on or today)

    def _library_reckon(self, chosen, rules=None):
        """Post the difference between what cards have earned and what they have got.

        Cost: a pass over the use of their patrons for each rule, and the lines that
        are new. Cards are locked, so two who reckon the same do it one after another.

        :param SQL chosen: a condition on the row ``card``
        :param rules: rules that are reckoned; none given: all of the programme
        """
        self.ensure_one()
        if not self.active or self.program_type != "library":
            return
        difference = self._sql_difference(chosen, rules)
        Card = self.env["loyalty.card"]
        self.env.flush_all()
        Card._library_lock(SQL("card.program_id = %s AND %s", self.id, chosen))
        if difference is not None:
            Card._library_post(difference, waive=True)
        self._library_place(chosen)

    def _library_place(self, chosen):
        """Move cards to the tiers that they reach."""
        tiers = self.sudo().library_tier_ids
        if tiers:
            self.env.flush_all()
            self.env.cr.execute(tiers._sql_place(chosen, self._library_today()))
            self.env["loyalty.card"].invalidate_model(
                ["library_tier_id", "library_tier_until"], flush=False
            )

    def _library_preview(self, since):
        """What ``_library_recompute`` would do.

        :return: patrons who gain and who lose, points given, points taken, and how
            many of those taken would not be asked back
        :rtype: dict
        """
        self.ensure_one()
        self.env.flush_all()
        difference = self._sql_difference(SQL("TRUE"), since=since)
        names = ("gaining", "losing", "given", "taken", "waived")
        if difference is None:
            return dict.fromkeys(names, 0)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT count(*) FILTER (WHERE change.points > 0),
                       count(*) FILTER (WHERE change.points < 0),
                       coalesce(sum(change.given), 0)::int,
                       coalesce(sum(change.taken), 0)::int,
                       coalesce(
                           sum(greatest(0, - change.points - card.points)), 0
                       )::int
                  FROM (
                        SELECT card_id, sum(points) AS points,
                               sum(greatest(points, 0)) AS given,
                               sum(greatest(- points, 0)) AS taken
                          FROM (%s) difference
                      GROUP BY card_id
                       ) change
                  JOIN loyalty_card card ON card.id = change.card_id
                """,
                difference,
            )
        )
        return dict(zip(names, rows[0], strict=True))

    def _library_recompute(self, since):
        """Let the rules as they stand hold from a day on, and post what that changes.
        The lines that were there stay; what differs is posted as corrected.

        :param since: a date; None: from the first day
        """
        self.ensure_one()
        rules = self.with_context(active_test=False).library_rule_ids
        rules.sudo()._hold_since(since)
        self._library_reckon(SQL("TRUE"))

    def _sql_difference(self, chosen, rules=None, since=False):
        """What is to be posted for the chosen cards: lines as in ``_LIBRARY_LINE``, or
        None where nothing earns.

        :param since: as if the rules as they stand held from this day on (None: from
            the first); False: as they do hold
        """
        rules = (rules or self.with_context(active_test=False).library_rule_ids).sudo()
        settled = self.library_settled_until
        wordings = rules.filtered("is_reckoned")
        families = wordings.filtered(lambda rule: not rule.current_id)
        if not families:
            return None
        wanted = SQL(" UNION ALL ").join(
            [
                families._sql_nothing(),
                *(
                    rule._sql_wanted(chosen, *span)
                    for rule in wordings
                    if (span := rule._get_span(since))
                ),
            ]
        )
        if wordings != families:
            # What two wordings of a rule would both give is given once.
            wanted = SQL(
                "SELECT DISTINCT ON (card_id, rule_id, key) * FROM (%s) each "
                "ORDER BY card_id, rule_id, key, date",
                wanted,
            )
        return SQL(
            """
            WITH wanted AS (%(wanted)s),
            booked AS (
                SELECT history.card_id, history.library_rule_id AS rule_id,
                       history.library_key AS key, min(history.library_date) AS date,
                       sum(history.issued - history.used) AS points
                  FROM loyalty_history history
                  JOIN loyalty_card card ON card.id = history.card_id
                 WHERE card.program_id = %(program)s
                   AND card.active
                   AND %(chosen)s
                   AND history.library_kind IN ('earned', 'corrected')
                   AND %(booked_under)s
              GROUP BY 1, 2, 3
            )
            SELECT difference.card_id,
                   coalesce(rule.name ->> %(lang)s, rule.name ->> 'en_US')
                       AS description,
                   difference.kind AS library_kind,
                   difference.rule_id AS library_rule_id,
                   difference.key AS library_key,
                   difference.date AS library_date,
                   difference.usage_id AS library_usage_id,
                   NULL::int AS library_redemption_id,
                   NULL::varchar AS library_note,
                   difference.points::float8 AS points
              FROM (
                    SELECT card_id, rule_id, key, wanted.usage_id,
                           CASE WHEN booked.points IS NULL THEN 'earned'
                                ELSE 'corrected' END AS kind,
                           coalesce(wanted.date, booked.date) AS date,
                           coalesce(wanted.points, 0) - coalesce(booked.points, 0)
                               AS points
                      FROM wanted
                 FULL JOIN booked USING (card_id, rule_id, key)
                     WHERE coalesce(wanted.points, 0) != coalesce(booked.points, 0)
                       AND %(is_open)s
                   ) difference
              JOIN library_loyalty_rule rule ON rule.id = difference.rule_id
          ORDER BY difference.date, difference.card_id
            """,
            wanted=wanted,
            program=self.id,
            chosen=chosen,
            booked_under=families._sql_booked_under(),
            is_open=(
                SQL("(booked.date IS NULL OR booked.date > %s)", settled)
                if settled
                else SQL("TRUE")
            ),
            lang=self.company_id.partner_id.lang or "en_US",
        )

    def _library_settle(self, until):
        """Declare the points for days until ``until`` final. To be called before rows
        of use are deleted by age; the day is moved back to a Sunday, so that no week
        with a limit is torn apart."""
        until -= timedelta(days=until.isoweekday() % 7)
        for program in self:
            if not program.library_settled_until or (
                program.library_settled_until < until
            ):
                program.library_settled_until = until

    # ------------------------------------------------------------
    # EVERY NIGHT
    # ------------------------------------------------------------

    @api.model
    def _cron_library_night(self):
        """What comes with the days, and the proof of the ledger."""
        IrCron = self.env["ir.cron"]
        programs = self.search([("program_type", "=", "library")])
        for place, program in enumerate(programs, 1):
            program._library_night()
            if not IrCron._commit_progress(1, remaining=len(programs) - place):
                return

    def _library_night(self):
        self.ensure_one()
        today = self._library_today()
        anniversaries = self.with_context(active_test=False).library_rule_ids.filtered(
            lambda rule: rule.event == "anniversary"
        )
        if anniversaries:
            self._library_reckon(SQL("TRUE"), anniversaries)
        if self.library_expire_months:
            self._library_expire(today)
            self._library_warn(today)
        self._library_place(SQL("TRUE"))
        self.library_reckoned_on = today
        self._library_prove()

    def _sql_expiring(self, today):
        """The points of each card that are too old on a day: what was given until
        then, less all that was spent, since what is spent is the oldest. Lines that
        correct others count with these.

        Cost: one pass over the ledger of the programme.

        :return: a query of card and points
        """
        self.ensure_one()
        return SQL(
            """
            SELECT card.id AS card_id,
                   least(
                       min(card.points),
                       coalesce(sum(history.issued - history.used) FILTER (
                           WHERE %(is_gift)s AND history.library_date <= %(day)s
                       ), 0)
                       + coalesce(sum(history.issued - history.used) FILTER (
                           WHERE NOT %(is_gift)s
                       ), 0)
                   ) AS points
              FROM loyalty_card card
              JOIN loyalty_history history ON history.card_id = card.id
             WHERE card.program_id = %(program)s
               AND card.active
               AND card.points > 0
          GROUP BY card.id
            """,
            is_gift=self._sql_is_gift(),
            program=self.id,
            day=today - relativedelta(months=self.library_expire_months, days=1),
        )

    @api.model
    def _sql_is_gift(self):
        """Whether the row ``history`` gave points that can grow old; the other rows
        took some, or gave back what was taken."""
        return SQL(
            """
            (
                history.library_kind IN ('earned', 'corrected', 'journey')
                OR history.library_kind IN ('manual', 'merged', 'moved')
                   AND history.issued > 0
            )
            """
        )

    def _library_expire(self, today):
        """Take the points that are too old. A second run of the day finds none."""
        self.env.flush_all()
        Card = self.env["loyalty.card"]
        Card._library_lock(SQL("card.program_id = %s", self.id))
        Card._library_post(
            SQL(
                """
                SELECT card_id, %(description)s AS description,
                       'expired' AS library_kind, NULL::int AS library_rule_id,
                       NULL::varchar AS library_key, %(today)s::date AS library_date,
                       NULL::int AS library_usage_id,
                       NULL::int AS library_redemption_id,
                       NULL::varchar AS library_note,
                       - points AS points
                  FROM (%(expiring)s) expiring
                 WHERE points > 0
                """,
                description=self.env._("Expired"),
                today=today,
                expiring=self._sql_expiring(today),
            )
        )

    def _library_warn(self, today):
        """Write to those whose points are about to expire, once in the days of the
        warning. They are who agreed to news, as with all mails of a programme."""
        template = self.env.ref(
            "library_crm_loyalty.mail_template_points_expire", raise_if_not_found=False
        )
        if not template or not self.library_warning_days:
            return
        self.env.flush_all()
        last_day = today + timedelta(days=self.library_warning_days)
        expiring = dict(
            self.env.execute_query(
                SQL(
                    "SELECT card_id, points FROM (%s) expiring WHERE points > 0",
                    self._sql_expiring(last_day),
                )
            )
        )
        cards = self.env["loyalty.card"].search(
            [
                ("id", "in", list(expiring)),
                "|",
                ("library_warned_on", "=", False),
                (
                    "library_warned_on",
                    "<=",
                    today - timedelta(days=self.library_warning_days),
                ),
            ]
        )
        for card in cards._filter_library_reachable(always=True):
            template.with_context(
                card.env.context, points=int(expiring[card.id]), day=last_day
            ).send_mail(card.id, email_layout_xmlid="mail.mail_notification_light")
        cards.library_warned_on = today

    def _library_prove(self):
        """Count the cards whose points are not the sum of their lines. Nothing is put
        right here: it must not happen, so whoever finds it has to know.

        Cost: one pass over the ledger of the programme.
        """
        self.ensure_one()
        self.env.flush_all()
        [(count,)] = self.env.execute_query(
            SQL(
                """
                SELECT count(*)
                  FROM loyalty_card card
             LEFT JOIN (
                        SELECT card_id, sum(issued - used) AS points
                          FROM loyalty_history
                      GROUP BY card_id
                       ) ledger ON ledger.card_id = card.id
                 WHERE card.program_id = %s
                   AND card.points != coalesce(ledger.points, 0)
                """,
                self.id,
            )
        )
        self.write(
            {"library_unbalanced": count, "library_proved_at": fields.Datetime.now()}
        )

    def get_formview_id(self, access_uid=None):
        """A programme of the library opens in the library's form, wherever it is
        opened from."""
        if self.program_type == "library":
            return self.env.ref("library_crm_loyalty.loyalty_program_view_form").id
        return super().get_formview_id(access_uid=access_uid)

    def action_open_shop_form(self):
        """Whoever changed the number in the address of a library's programme came to
        one of a shop."""
        self.ensure_one()
        return self.get_formview_action()

    def action_view_unbalanced(self):
        self.ensure_one()
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT card.id
                  FROM loyalty_card card
             LEFT JOIN loyalty_history history ON history.card_id = card.id
                 WHERE card.program_id = %s
              GROUP BY card.id
                HAVING card.points != coalesce(sum(history.issued - history.used), 0)
                """,
                self.id,
            )
        )
        return self._get_library_action(
            "loyalty_card_action", [("id", "in", [id_ for (id_,) in rows])]
        )

    def action_view_library_cards(self):
        self.ensure_one()
        action = self._get_library_action(
            "loyalty_card_action", [("program_id", "=", self.id)]
        )
        action["context"] = {"default_program_id": self.id}
        return action

    def action_view_library_ledger(self):
        self.ensure_one()
        return self._get_library_action(
            "loyalty_history_action", [("card_id.program_id", "=", self.id)]
        )

    def action_view_library_effect(self):
        """Whether those who take part come more often."""
        self.ensure_one()
        return self._get_library_action(
            "library_loyalty_effect_action", [("program_id", "=", self.id)]
        )

    def _get_library_action(self, name, domain):
        return {
            **self.env["ir.actions.actions"]._for_xml_id(f"library_crm_loyalty.{name}"),
            "domain": domain,
        }
