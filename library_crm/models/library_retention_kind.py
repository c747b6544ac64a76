from datetime import timedelta
from typing import NamedTuple

from odoo import api, fields, models
from odoo.tools import SQL

from .library_service_usage import AT_LEAST_DAYS, WHOLE_DAYS

#: Memberships of somebody who still belongs to the library.
RUNNING = ("draft", "active", "grace", "suspended")


class Kept(NamedTuple):
    """Data that is not kept for ever.

    ``says`` has, by what can happen to it, a sentence for patrons with the period in
    it; what stands first is what happens if nobody changes it. ``batch`` is how many
    rows go in one transaction. A period below ``least`` days is refused because of
    ``least_why``, one below ``better`` is warned of because of ``better_why``.
    """

    label: str
    why: str
    number: int
    unit: str
    says: dict
    batch: int = 500
    least: int = 1
    least_why: str = ""
    better: int = 1
    better_why: str = ""


class LibraryRetentionKind(models.AbstractModel):
    """What retention rules do: which rows are due, and how they go.

    A kind of data ``x`` has a query ``_query_due_x`` of id and day of the rows that are
    due, and for each thing that can happen to them ``_delete_x`` or
    ``_pseudonymise_x``, which gets their ids. All that happens to a row happens in one
    transaction, and then the row is not due any more: so a job that was killed goes on
    where it was, and nothing is done twice. ``_prepare_x`` is asked once before the
    first row goes. An addon adds kinds in the same way.
    """

    _name = "library.retention.kind"
    _description = "What Retention Rules Do"

    @api.model
    def _get_kinds(self):
        """The kinds of data by name, in the order in which they go; a hook.

        :rtype: dict[str, Kept]
        """
        env = self.env
        return {
            "usage": Kept(
                env._("Use of services"),
                env._(
                    "27 months: the share of users who come again compares two years, "
                    "and three months more are open for loads that come late. Reports "
                    "by month stay, they name nobody."
                ),
                27,
                "month",
                {
                    "delete": env._("Deleted %(period)s after the day."),
                    "pseudonymise": env._(
                        "Your name is taken off %(period)s after the day."
                    ),
                },
                batch=50_000,
                least=AT_LEAST_DAYS,
                least_why=env._(
                    "Lifecycle, tiers and most segments look back over a year; 13 "
                    "months is the least."
                ),
                better=WHOLE_DAYS,
                better_why=env._(
                    "Below 27 months, indicators of who comes again compare less than "
                    "two years and have gaps."
                ),
            ),
            "request": Kept(
                env._("Requests, when they are closed"),
                env._(
                    "12 months: until then somebody may come back to it. That there "
                    "was a request, of which kind and with which end, stays as a count."
                ),
                12,
                "month",
                {
                    "pseudonymise": env._(
                        "What you wrote and your name are deleted %(period)s after it "
                        "was dealt with."
                    )
                },
                batch=100,
            ),
            "message": Kept(
                env._("Messages and notes about patrons"),
                env._(
                    "24 months: notes of staff and mails tell more about a person than "
                    "anything else here; after two years nobody needs them."
                ),
                24,
                "month",
                {"delete": env._("Deleted %(period)s after the day.")},
            ),
            "trace": Kept(
                env._("Who got which mailing"),
                env._(
                    "13 months: a year can be compared with the one before. Figures of "
                    "the mailing stay, without who got it."
                ),
                13,
                "month",
                {
                    "pseudonymise": env._(
                        "Your name and address are taken off %(period)s after the mail."
                    )
                },
                batch=5000,
                least=60,
                least_why=env._(
                    "Whether a mailing was of use is counted when 30 days are over."
                ),
            ),
            "click": Kept(
                env._("From where links in mails were opened"),
                env._(
                    "30 days: the network address only tells clicks of machines from "
                    "those of people."
                ),
                30,
                "day",
                {"pseudonymise": env._("Network addresses go after %(period)s.")},
                batch=5000,
            ),
            "join": Kept(
                env._("Join forms that nobody confirmed"),
                env._("7 days: as long as the link in the mail works."),
                7,
                "day",
                {"pseudonymise": env._("Emptied after %(period)s if not confirmed.")},
            ),
            "join_closed": Kept(
                env._("Join forms whose request is closed"),
                env._("30 days: somebody may ask why they were refused."),
                30,
                "day",
                {"pseudonymise": env._("Emptied %(period)s after it was decided.")},
            ),
            "load_file": Kept(
                env._("Files that were not loaded"),
                env._("7 days: who uploaded one knows by then whether it is wanted."),
                7,
                "day",
                {"delete": env._("Deleted after %(period)s.")},
                batch=50,
            ),
            "refusal": Kept(
                env._("Rows that a load refused"),
                env._("30 days: to mend them in the library system and load again."),
                30,
                "day",
                {"delete": env._("Deleted after %(period)s.")},
                batch=5000,
            ),
            "load": Kept(
                env._("What gates and other own tools sent"),
                env._("30 days: a gate sends every few minutes."),
                30,
                "day",
                {"delete": env._("Deleted after %(period)s.")},
            ),
            "patron": Kept(
                env._("Patrons who left"),
                env._(
                    "24 months without a membership, a use or anything open: who comes "
                    "back later is asked anew. Everything about them goes as if they "
                    "had asked for it; counts stay."
                ),
                24,
                "month",
                {
                    "delete": env._(
                        "As long as you are a patron. Deleted %(period)s after your "
                        "membership ended and you were here last."
                    )
                },
                batch=50,
                least=90,
                least_why=env._("People renew late; 90 days is the least."),
            ),
            "tombstone": Kept(
                env._("Digests of who was erased"),
                env._(
                    "24 months: library systems delete cards within that time. As long "
                    "as one still has the card, the digest keeps it from coming back."
                ),
                24,
                "month",
                {"delete": env._("Deleted after %(period)s.")},
                batch=5000,
            ),
            "log": Kept(
                env._("Log of the server in the database"),
                env._("30 days: to find a fault. Usually there is none."),
                30,
                "day",
                {"delete": env._("Deleted after %(period)s.")},
                batch=10_000,
            ),
        }

    @api.model
    def _get_shared(self):
        """The kinds that are not of one library but of the whole database; a hook.

        :rtype: set[str]
        """
        return {"log"}

    @api.model
    def _get_before(self, rule, before):
        """The day before which rows are due, where a kind moves it back; a hook.

        Use goes by whole weeks, so that no week of points is torn apart.
        """
        if rule.kind == "usage":
            return before - timedelta(days=before.weekday())
        return before

    @api.model
    def _get_holds(self, rule):
        """What keeps a row from going though it is old enough: conditions on it by what
        they are; a hook. Only patrons are held.

        :rtype: dict[str, SQL]
        """
        if rule.kind != "patron":
            return {}
        return {
            self.env._("an open request"): SQL(
                """
                EXISTS (
                    SELECT FROM crm_lead lead
                     WHERE lead.library_patron_id = patron.id
                       AND lead.active
                       AND lead.won_status = 'pending'
                )
                """
            ),
            self.env._("a child or another patron whom they answer for"): SQL(
                """
                EXISTS (
                    SELECT FROM library_patron child
                     WHERE child.guardian_id = patron.id
                )
                """
            ),
            self.env._("a login of staff"): SQL(
                """
                EXISTS (
                    SELECT FROM res_users
                     WHERE res_users.partner_id = patron.partner_id
                       AND res_users.share IS NOT TRUE
                )
                """
            ),
        }

    def _select(self, model, domain, day):
        """Ids and days of the records of a domain, archived ones too."""
        query = self.env[model].sudo().with_context(active_test=False)._search(domain)
        return query.select(
            SQL.identifier(query.table, "id"),
            SQL("%s::date AS day", SQL.identifier(query.table, day)),
        )

    # ------------------------------------------------------------
    # USE
    # ------------------------------------------------------------

    def _query_due_usage(self, rule, before):
        """Rows of COUNTER reports are of nobody, and are needed to replace a report.
        Cost: the index by day."""
        due = (
            SQL("usage.patron_id IS NOT NULL")
            if rule.action == "pseudonymise"
            else SQL(
                """
                NOT EXISTS (
                    SELECT FROM library_data_source source
                     WHERE source.id = usage.source_id
                       AND source.kind = 'eresource'
                )
                """
            )
        )
        return SQL(
            """
            SELECT usage.id, usage.date AS day
              FROM library_service_usage usage
              JOIN library_branch branch ON branch.id = usage.branch_id
             WHERE branch.company_id = %s
               AND usage.date < %s
               AND %s
            """,
            rule.company_id.id,
            before,
            due,
        )

    def _prepare_usage(self, rule, before):
        """Count once more what is counted from rows of use, while they are there. An
        addon that needs them settles its own here."""
        figures = self.env.registry["library.count.mixin"]
        for name, model in sorted(self.env.registry.items()):
            if issubclass(model, figures) and not model._abstract:
                self.env[name].sudo()._count(rule.company_id)
        self.env["library.journey"].sudo()._keep_outcomes(rule.company_id, before)

    def _delete_usage(self, rule, ids, before):
        self.env.cr.execute(
            SQL("DELETE FROM library_service_usage WHERE id = ANY(%s)", ids)
        )
        company = rule.company_id.sudo()
        if not company.library_use_since or company.library_use_since < before:
            company.library_use_since = before

    def _pseudonymise_usage(self, rule, ids, before):
        self.env.cr.execute(
            SQL(
                "UPDATE library_service_usage SET patron_id = NULL WHERE id = ANY(%s)",
                ids,
            )
        )

    # ------------------------------------------------------------
    # WHAT WAS SAID AND SENT
    # ------------------------------------------------------------

    def _query_due_request(self, rule, before):
        return self._select(
            "crm.lead",
            [
                ("company_id", "=", rule.company_id.id),
                ("library_request_kind", "!=", False),
                ("won_status", "in", ("won", "lost")),
                ("date_closed", "<", before),
                *("|", "|", "|"),
                ("library_patron_id", "!=", False),
                ("partner_id", "!=", False),
                ("email_from", "!=", False),
                ("contact_name", "!=", False),
            ],
            "date_closed",
        )

    def _pseudonymise_request(self, rule, ids, before):
        self.env["crm.lead"].sudo().browse(ids)._library_forget()

    def _query_due_message(self, rule, before):
        """Cost: a look-up in the index of messages for each patron."""
        of_patrons = [
            SQL(
                """
                SELECT message.id, message.date::date AS day
                  FROM mail_message message
                  JOIN library_patron patron ON %s
                 WHERE message.model = %s
                   AND message.date < %s
                   AND patron.company_id = %s
                """,
                belongs,
                model,
                before,
                rule.company_id.id,
            )
            for model, belongs in (
                ("library.patron", SQL("patron.id = message.res_id")),
                ("res.partner", SQL("patron.partner_id = message.res_id")),
                (
                    "library.membership",
                    SQL(
                        """
                        patron.id = (
                            SELECT membership.patron_id
                              FROM library_membership membership
                             WHERE membership.id = message.res_id
                        )
                        """
                    ),
                ),
            )
        ]
        return SQL(" UNION ALL ").join(of_patrons)

    def _delete_message(self, rule, ids, before):
        self.env["mail.message"].sudo().browse(ids).unlink()

    def _query_due_trace(self, rule, before):
        return SQL(
            """
            SELECT trace.id, coalesce(trace.sent_datetime, trace.create_date)::date
                       AS day
              FROM mailing_trace trace
              JOIN library_patron patron ON patron.id = trace.library_patron_id
             WHERE patron.company_id = %s
               AND coalesce(trace.sent_datetime, trace.create_date) < %s
               AND trace.trace_status NOT IN ('outgoing', 'process', 'pending')
            """,
            rule.company_id.id,
            before,
        )

    def _prepare_trace(self, rule, before):
        """Count what followed the mailings, while it is known who got them."""
        self.env["library.mailing.outcome"].sudo()._count(rule.company_id)

    def _pseudonymise_trace(self, rule, ids, before):
        self.env["mailing.trace"].sudo().browse(ids)._library_take_names_off()

    def _query_due_click(self, rule, before):
        return SQL(
            """
            SELECT click.id, click.create_date::date AS day
              FROM link_tracker_click click
              JOIN mailing_trace trace ON trace.id = click.mailing_trace_id
              JOIN library_patron patron ON patron.id = trace.library_patron_id
             WHERE patron.company_id = %s
               AND click.create_date < %s
               AND (click.ip IS NOT NULL OR click.country_id IS NOT NULL)
            """,
            rule.company_id.id,
            before,
        )

    def _pseudonymise_click(self, rule, ids, before):
        self.env["link.tracker.click"].sudo().browse(ids).write(
            {"ip": False, "country_id": False}
        )

    # ------------------------------------------------------------
    # JOINING AND LOADING
    # ------------------------------------------------------------

    def _query_due_join(self, rule, before):
        return self._select(
            "library.join",
            [
                ("company_id", "=", rule.company_id.id),
                ("state", "=", "asked"),
                ("create_date", "<", before),
            ],
            "create_date",
        )

    def _pseudonymise_join(self, rule, ids, before):
        self.env["library.join"].sudo().browse(ids)._forget("expired")

    def _query_due_join_closed(self, rule, before):
        return self._select(
            "library.join",
            [
                ("company_id", "=", rule.company_id.id),
                *self.env["library.join"]._get_closed_domain(before),
            ],
            "create_date",
        )

    def _pseudonymise_join_closed(self, rule, ids, before):
        joins = self.env["library.join"].sudo().browse(ids)
        won = joins.filtered(lambda join: join.lead_id.won_status == "won")
        won._forget("done")
        (joins - won)._forget("refused")

    def _query_due_load_file(self, rule, before):
        return self._select(
            "library.data.load",
            [
                ("company_id", "=", rule.company_id.id),
                ("file", "!=", False),
                ("state", "not in", ("queued", "running")),
                ("write_date", "<", before),
            ],
            "write_date",
        )

    def _delete_load_file(self, rule, ids, before):
        self.env["library.data.load"].sudo().browse(ids).file = False

    def _query_due_refusal(self, rule, before):
        return self._select(
            "library.data.refusal",
            [
                ("load_id.company_id", "=", rule.company_id.id),
                ("create_date", "<", before),
            ],
            "create_date",
        )

    def _delete_refusal(self, rule, ids, before):
        self.env["library.data.refusal"].sudo().browse(ids).unlink()

    def _query_due_load(self, rule, before):
        return self._select(
            "library.data.load",
            [
                ("company_id", "=", rule.company_id.id),
                ("source_id.format", "=", "webhook"),
                ("state", "not in", ("queued", "running")),
                ("create_date", "<", before),
            ],
            "create_date",
        )

    def _delete_load(self, rule, ids, before):
        self.env["library.data.load"].sudo().browse(ids).unlink()

    # ------------------------------------------------------------
    # PEOPLE
    # ------------------------------------------------------------

    def _query_old_patrons(self, rule, before):
        """Who left long enough ago, held or not: a query from ``patron``."""
        since = SQL(
            """
            greatest(
                patron.last_use_date, patron.expiry_date, patron.enrolled_on,
                patron.create_date::date
            )
            """
        )
        return SQL(
            """
            SELECT patron.id, %(since)s AS day
              FROM library_patron patron
             WHERE patron.company_id = %(company)s
               AND %(since)s < %(before)s
               AND coalesce(patron.membership_state, '') != ALL(%(running)s)
            """,
            since=since,
            company=rule.company_id.id,
            before=before,
            running=list(RUNNING),
        )

    def _query_due_patron(self, rule, before):
        return SQL(
            "%s AND NOT (%s)",
            self._query_old_patrons(rule, before),
            SQL(" OR ").join(self._get_holds(rule).values()),
        )

    def _delete_patron(self, rule, ids, before):
        self.env["library.patron"].sudo().browse(ids)._erase(origin="retention")

    def _query_due_tombstone(self, rule, before):
        return self._select(
            "library.patron.tombstone",
            [("company_id", "=", rule.company_id.id), ("date", "<", before)],
            "date",
        )

    def _delete_tombstone(self, rule, ids, before):
        self.env["library.patron.tombstone"].sudo().browse(ids).unlink()

    def _query_due_log(self, rule, before):
        return SQL(
            "SELECT id, create_date::date AS day FROM ir_logging "
            "WHERE create_date < %s",
            fields.Date.to_string(before),
        )

    def _delete_log(self, rule, ids, before):
        self.env["ir.logging"].sudo().browse(ids).unlink()
