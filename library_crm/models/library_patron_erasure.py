import csv
from ast import literal_eval
from collections import Counter

from psycopg2 import IntegrityError

from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain
from odoo.tools import SQL, email_normalize, escape_psql, mute_logger

#: What says something about a contact and goes with it; what else names a contact (an
#: invoice, an employee, a company) needs it.
TRACES = (
    *("library.", "mail.", "mailing.", "discuss.", "bus.", "sms.", "phone.", "survey."),
    *("loyalty.", "calendar.", "rating.", "link.", "privacy.", "auth", "gamification."),
    *("res.users", "res.partner", "res.device", "digest.", "crm.lead", "im_livechat."),
    "website.visitor",
)
HOLDERS = ("library.branch", "res.partner.bank")


class LibraryPatron(models.Model):
    """Somebody is forgotten: the one place that knows how.

    ``unlink`` forgets what the library has, whoever calls it: what only tells of the
    person is deleted, what counts stays as a count of nobody. ``_erase`` goes on to
    the contact and the login, unless somebody else needs them, and writes down what was
    removed, what was kept and why. Other addons forget what they have in
    ``_forget`` and ``_forget_contact``, and tell by ``_get_kept_reasons`` what stays.
    """

    _inherit = "library.patron"

    # ------------------------------------------------------------
    # THE WHOLE OF IT
    # ------------------------------------------------------------

    def _erase(self, origin="staff", new_guardian=None, tell=False):
        """Remove these people. Who is gone already is left out, so it may be asked for
        twice; of two at once the second finds nobody. The caller has made sure that the
        user may.

        :param str origin: as in ``library.erasure``
        :param new_guardian: who looks after their children from now on
        :param bool tell: send them what was removed and kept
        :return: the ``library.erasure``, one a library
        :raise UserError: if somebody can not be erased; it says why
        """
        patrons = self.sudo().with_context(active_test=False, tracking_disable=True)
        self.env.flush_all()
        # Of two at once the second waits here; then Odoo tries it again, or it ends.
        self.env.cr.execute(
            SQL(
                "SELECT id FROM library_patron WHERE id = ANY(%s) FOR UPDATE",
                list(patrons._ids),
            )
        )
        patrons = patrons.browse(id_ for (id_,) in self.env.cr.fetchall())
        if new_guardian:
            patrons.dependant_ids.filtered(
                lambda child: child not in patrons
            ).guardian_id = new_guardian.id
        patrons._check_can_be_erased()
        erasures = self.env["library.erasure"].sudo()
        for company, group in patrons.grouped("company_id").items():
            erasures += group._erase_of_library(company, origin, tell)
        self._tick_off_look_up()
        return erasures

    @api.model
    def _tick_off_look_up(self):
        """Where Odoo's look-up of what is held about somebody is open (the addon
        ``privacy_lookup``), it goes on to what is there still."""
        if "privacy.lookup.wizard.line" not in self.env:
            return
        lines = (
            self.env["privacy.lookup.wizard.line"]
            .sudo()
            .search([("is_unlinked", "=", False)])
        )
        for name, group in lines.grouped("res_model").items():
            there = self.env[name].sudo().browse(group.mapped("res_id")).exists()
            gone = group.filtered(
                lambda line, there=there: line.res_id not in there.ids
            )
            gone.is_unlinked = True

    def _get_erasure_obstacles(self):
        """Why these can not be erased now, in words; a hook."""
        obstacles = []
        for patron in self.sudo():
            children = patron.dependant_ids - self
            if children:
                obstacles.append(
                    self.env._(
                        "%(name)s is the guardian of %(children)s. Name another "
                        "guardian, or erase the children too.",
                        name=patron.complete_name,
                        children=", ".join(children.mapped("complete_name")),
                    )
                )
        return obstacles

    def _check_can_be_erased(self):
        if obstacles := self._get_erasure_obstacles():
            raise UserError("\n".join(obstacles))

    def _erase_of_library(self, company, origin, tell):
        before, after = {}, Counter()
        letters = []
        for patron in self:
            for name, records in patron._find_personal_records().items():
                before.setdefault(name, set()).update(records._ids)
            if tell and (
                email := patron._get_mail_recipients()[patron].email_normalized
            ):
                letters.append((email, patron.lang or company.partner_id.lang))
        reasons = self._get_kept_reasons()
        contacts = self.partner_id
        self.unlink()
        for contact in contacts:
            if holders := self._erase_contact(contact, company):
                reasons["res.partner"] = self.env._(
                    "The contact is needed by: %(names)s", names=", ".join(holders)
                )
                reasons.setdefault("res.users", reasons["res.partner"])
                reasons.setdefault("mail.message", reasons["res.partner"])
        self.env.flush_all()
        for name, ids in before.items():
            after[name] = len(self.env[name].sudo().browse(ids).exists())
        label = self.env["ir.model"].sudo()._get
        erasure = (
            self.env["library.erasure"]
            .sudo()
            .create(
                {
                    "company_id": company.id,
                    "origin": origin,
                    "patron_count": len(self),
                    "is_told": bool(letters),
                    "line_ids": [
                        Command.create(
                            {
                                "what": label(name).name,
                                "removed": len(ids) - after[name],
                                "kept": after[name],
                                "reason": reasons.get(name) if after[name] else False,
                            }
                        )
                        for name, ids in sorted(before.items())
                        if name not in self._UNTOLD or after[name]
                    ]
                    + self._prepare_tombstone_lines(company),
                }
            )
        )
        for email, lang in letters:
            erasure._tell(email, lang)
        return erasure

    @api.model
    def _prepare_tombstone_lines(self, company):
        return [
            Command.create(
                {
                    "what": self.env._("Digests of numbers and addresses"),
                    "kept": 1,
                    "reason": self.env._(
                        "So that the next file of the library system does not bring "
                        "the person back, and who objected to mail gets none"
                    ),
                }
            )
        ]

    @api.model
    def _get_kept_reasons(self):
        """Why records of a model are kept without the person; a hook.

        :rtype: dict[str, str]
        """
        count = self.env._("Counts in the figures, without the person")
        listed = self.env._("Is others', too; the person is in it no more")
        return dict.fromkeys(self._get_lists(), listed) | dict.fromkeys(
            (
                *("library.service.usage", "mailing.trace", "link.tracker.click"),
                *("crm.lead", "library.join", "calendar.event"),
                *("library.journey.enrolment", "library.journey.event"),
            ),
            count,
        )

    # ------------------------------------------------------------
    # WHAT THE LIBRARY HAS
    # ------------------------------------------------------------

    def unlink(self):
        if not self.env.context.get("library_merge"):
            self.check_access("unlink")
            self.sudo().with_context(active_test=False, tracking_disable=True)._forget()
        return super().unlink()

    def _forget(self):
        """Before these are deleted: let nothing be left in the library that leads to
        them; a hook, as superuser."""
        self._bury()
        self._recall_messages()
        self._get_requests_to_forget()._library_forget()
        self._forget_joins()
        self._forget_refused_rows()
        self._forget_meetings()
        self._forget_in_letters_of_family()
        self._forget_in_domains()
        self.env["library.retention.former"]._add(self)
        self.env["library.journey.enrolment"]._forget(self)
        self.env["mailing.trace"]._library_forget(self)
        # The database would delete them, and not what was written about them.
        self.membership_ids.unlink()
        empty = self.household_id.filtered(
            lambda household: not household.patron_ids - self
        )
        self._scrub(self.household_id - empty, ["name"], self._get_told())
        empty.unlink()
        self._forget_changes(self, self._get_told())

    def _get_own_emails(self):
        """Addresses that are these people's alone: a family often has one together."""
        emails = {email for email in self.mapped("email_normalized") if email}
        others = self.env["res.partner"].search(
            [("email_normalized", "in", list(emails))]
        )
        return emails - set((others - self.partner_id).mapped("email_normalized"))

    def _get_requests_to_forget(self):
        emails = list(self._get_own_emails())
        is_request = Domain("library_request_kind", "!=", False)
        in_library = Domain("company_id", "in", [False, *self.company_id.ids])
        of_nobody_else = Domain("library_patron_id", "in", [False, *self.ids])
        return self.env["crm.lead"].search(
            Domain("library_patron_id", "in", self.ids)
            | is_request
            & in_library
            & of_nobody_else
            & (
                Domain("partner_id", "in", self.partner_id.ids)
                | Domain("email_normalized", "in", emails)
            )
        )

    def _forget_joins(self):
        """Forms that nobody has dealt with yet."""
        joins = self.env["library.join"].search(
            [
                ("email_normalized", "in", list(self._get_own_emails())),
                ("company_id", "in", self.company_id.ids),
            ]
        )
        joins.filtered(lambda join: join.state == "asked")._forget("expired")
        joins.filtered(lambda join: join.state != "expired")._forget("refused")

    def _forget_refused_rows(self):
        """Rows of files that could not be taken: one of the cells is a number or an
        address of the person."""
        numbers = {
            value
            for record in (*self, *self.alias_ids)
            for value in (record.card_number, record.ils_ref)
            if value
        } | self._get_own_emails()
        Refusal = self.env["library.data.refusal"]
        rows = Refusal.search(
            Domain("load_id.source_id.company_id", "in", self.company_id.ids)
            & Domain.OR(
                Domain("content", "ilike", escape_psql(number)) for number in numbers
            )
        )
        folded = {number.casefold() for number in numbers}
        rows.filtered(
            lambda row: any(
                cell.strip().casefold() in folded
                for cells in csv.reader((row.content or "").splitlines())
                for cell in cells
            )
        ).unlink()

    def _forget_meetings(self):
        """What was agreed for them goes; a meeting with others goes on without them."""
        Event = self.env["calendar.event"].with_context(
            dont_notify=True, no_mail_to_attendees=True
        )
        Event.search(
            [("res_model", "=", self._name), ("res_id", "in", self.ids)]
        ).unlink()

    def _forget_in_letters_of_family(self):
        """A letter to a household names the others: their names and cards go."""
        family = (
            self.guardian_id | self.dependant_ids | self.household_id.patron_ids
        ) - self
        messages = self.env["mail.message"].search(
            [("model", "=", self._name), ("res_id", "in", family.ids)]
        )
        self._scrub(messages, ["subject", "body"], self._get_told())

    def _get_told(self):
        """How texts name these people."""
        return {
            value
            for patron in self
            for value in (
                *(patron.complete_name, patron.email, patron.phone),
                patron.card_number,
                # As letters to a household have it.
                patron.card_number
                and f"{patron.complete_name.split()[0]} (…{patron.card_number[-4:]})",
            )
            if value
        }

    @api.model
    def _scrub(self, records, names, told):
        """Take names, numbers and addresses out of texts that are somebody else's and
        stay."""
        if not records:
            return
        self.env.flush_all()
        for name in names:
            # Short ones stand in other words, too.
            for value in sorted((v for v in told if v and len(v) > 3), key=len)[::-1]:
                self.env.cr.execute(
                    SQL(
                        """
                        UPDATE %(table)s
                           SET %(column)s = replace(%(column)s, %(value)s, '…')
                         WHERE id = ANY(%(ids)s)
                           AND strpos(%(column)s, %(value)s) > 0
                        """,
                        table=SQL.identifier(records._table),
                        column=SQL.identifier(name),
                        value=value,
                        ids=list(records.ids),
                    )
                )
        records.invalidate_model(names)

    def _forget_in_domains(self):
        """A mailing to chosen patrons names them by number."""
        mailings = self.env["mailing.trace"].search(
            [("model", "=", self._name), ("res_id", "in", self.ids)]
        ).mass_mailing_id | self.env["mailing.mailing"].search(
            Domain("mailing_model_id.model", "=", self._name)
            & Domain.OR(Domain("mailing_domain", "like", str(id_)) for id_ in self.ids)
        )
        self.env["mail.compose.message"].search(
            Domain("model", "=", self._name)
            & Domain.OR(Domain("res_ids", "like", str(id_)) for id_ in self.ids)
        ).unlink()
        gone = set(self.ids)
        for mailing in mailings:
            try:
                domain = literal_eval(mailing.mailing_domain or "[]")
            except (ValueError, SyntaxError):
                continue
            rest = [
                (leaf[0], leaf[1], [id_ for id_ in leaf[2] if id_ not in gone])
                if isinstance(leaf, list | tuple)
                and leaf[0] == "id"
                and isinstance(leaf[2], list)
                else leaf
                for leaf in domain
            ]
            if rest != [
                tuple(leaf) if isinstance(leaf, list) else leaf for leaf in domain
            ]:
                self.env.cr.execute(
                    SQL(
                        "UPDATE mailing_mailing SET mailing_domain = %s WHERE id = %s",
                        repr(rest),
                        mailing.id,
                    )
                )
                mailing.invalidate_recordset(["mailing_domain"])

    @api.model
    def _forget_changes(self, records, told):
        """What was linked to them once and is somebody else's now: its log of changes
        names them, and a request may have kept their address."""
        self.env.flush_all()
        linked = self.env.execute_query(
            SQL(
                """
                DELETE FROM mail_tracking_value value
                      USING ir_model_fields field, mail_message message
                      WHERE field.id = value.field_id
                        AND message.id = value.mail_message_id
                        AND field.relation = %(model)s
                        AND (old_value_integer = ANY(%(ids)s)
                             OR new_value_integer = ANY(%(ids)s))
                  RETURNING message.model, message.res_id
                """,
                model=records._name,
                ids=list(records.ids),
            )
        )
        told = [value for value in told if value]
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM mail_tracking_value value
                      USING mail_message message
                      WHERE message.id = value.mail_message_id
                        AND message.model = ANY(%(models)s)
                        AND message.res_id = ANY(%(ids)s)
                        AND (old_value_char = ANY(%(told)s)
                             OR new_value_char = ANY(%(told)s))
                """,
                models=list({model for model, _id in linked}),
                ids=list({res_id for _model, res_id in linked}),
                told=told,
            )
        )
        self.env["mail.tracking.value"].invalidate_model()
        requests = self.env["crm.lead"].browse(
            res_id for model, res_id in linked if model == "crm.lead"
        )
        requests.exists()._library_forget_address(records)

    # ------------------------------------------------------------
    # THE CONTACT
    # ------------------------------------------------------------

    @api.model
    def _get_contact_holders(self, contact, going=None):
        """What else needs a contact, in words: then it stays.

        :param going: the patrons who are going to be erased
        :rtype: list[str]
        """
        holders = []
        contact = contact.sudo().with_context(active_test=False)
        if contact.library_patron_ids - (going or self.browse()).sudo():
            holders.append(self.env._("another library"))
        if contact.user_ids.filtered(lambda user: not user.share):
            holders.append(self.env._("a user of the staff"))
        label = self.env["ir.model"].sudo()._get

        def itself(name):
            return (
                Domain("id", "=", contact.id) if name == contact._name else Domain.FALSE
            )

        for name, field, comodel in self._get_links():
            if comodel != "res.partner":
                continue
            domain = self._get_holder_domain(name)
            if not domain.is_false() and contact.env[name].search_count(
                Domain(field, "=", contact.id) & domain & ~itself(name), limit=1
            ):
                holders.append(label(name).name)
        return list(dict.fromkeys(holders))

    @api.model
    def _get_holder_domain(self, model):
        """Which records of a model need the contact that they name; a hook."""
        if model == "crm.lead":
            return Domain("library_request_kind", "=", False) & Domain(
                "library_patron_id", "=", False
            )
        if model == "res.partner":
            return Domain("type", "=", "contact") & Domain("active", "=", True)
        if model in HOLDERS or not model.startswith(TRACES):
            return Domain.TRUE
        return Domain.FALSE

    @api.model
    def _erase_contact(self, contact, company):
        """Remove a contact who is no patron any more, and the login.

        :return: what needs it, where it stays
        :rtype: list[str]
        """
        if holders := self._get_contact_holders(contact):
            return holders
        try:
            with self.env.cr.savepoint(), mute_logger("odoo.sql_db"):
                self._forget_contact(contact, company)
                contact.unlink()
                self.env.flush_all()
        except (IntegrityError, UserError):
            self.env.invalidate_all()
            return [self.env._("other records of Odoo")]
        return []

    @api.model
    def _forget_contact(self, contact, company):
        """Before a contact is deleted: remove what leads to the person; a hook."""
        emails = {
            email
            for email in (
                contact.email_normalized,
                email_normalize(contact.email or ""),
            )
            if email
        }
        shared = self.env["res.partner"].search(
            [("email_normalized", "in", list(emails)), ("id", "!=", contact.id)]
        )
        emails -= set(shared.mapped("email_normalized"))
        self._forget_lists(list(emails), company)
        self._forget_words(contact, list(emails))
        self._forget_logins(contact)
        self._forget_changes(contact, {contact.name, contact.email, contact.phone})
        self._forget_wizards(contact)
        self._forget_logs(contact, emails)
        if "website.visitor" in self.env:
            self.env["website.visitor"].search(
                [("partner_id", "=", contact.id)]
            ).unlink()
        addresses = contact.child_ids.filtered(lambda child: child.type != "contact")
        addresses.unlink()

    @api.model
    def _forget_lists(self, emails, company):
        """Lists of addresses, and the list of those who want no mail: that somebody
        objected is remembered by a digest of the address."""
        self.env["mailing.contact"].search(
            [("email_normalized", "in", emails)]
        ).unlink()
        refused = self.env["mail.blacklist"].search([("email", "in", emails)])
        self.env["library.patron.tombstone"]._remember_objections(
            company, refused.filtered("active").mapped("email")
        )
        refused.unlink()
        traces = self.env["mailing.trace"].search([("email", "in", emails)])
        traces._library_blank()

    @api.model
    def _forget_words(self, contact, emails):
        """What the person wrote, and letters to nobody else."""
        Message = self.env["mail.message"]
        written = Message.search(
            Domain("author_id", "=", contact.id)
            | Domain.OR(Domain("email_from", "ilike", email) for email in emails)
        )
        written.attachment_ids.unlink()
        letters = self.env["mail.mail"].search(
            Domain("recipient_ids", "=", contact.id)
            | Domain.OR(
                Domain(field, "ilike", email)
                for email in emails
                for field in ("email_to", "email_cc", "email_from", "reply_to")
            )
        )
        letters = letters.filtered(lambda mail: not mail.recipient_ids - contact)
        (written | letters.mail_message_id).unlink()
        to_them = Message.search(
            Domain("partner_ids", "=", contact.id)
            | Domain("notified_partner_ids", "=", contact.id)
            | Domain.OR(
                Domain(field, "ilike", email)
                for email in emails
                for field in ("incoming_email_to", "incoming_email_cc")
                + ("outgoing_email_to", "reply_to")
            )
        )
        to_them.filtered(
            lambda message: not message.partner_ids - contact and not message.res_id
        ).unlink()
        told = {contact.name, contact.email, contact.email_normalized, contact.phone}
        self._scrub(
            to_them.exists(),
            ["subject", "body", "email_from", "reply_to"]
            + ["incoming_email_to", "incoming_email_cc", "outgoing_email_to"],
            told,
        )
        notices = self.env["mail.notification"].search(
            [("mail_email_address", "in", emails)]
        )
        notices.unlink()
        meetings = self.env["calendar.event"].search([("partner_ids", "=", contact.id)])
        self._scrub(meetings, ["name", "description"], told)
        attendees = self.env["calendar.attendee"].search(
            Domain("partner_id", "=", contact.id) | Domain("email", "in", emails)
        )
        attendees.unlink()

    @api.model
    def _forget_logins(self, contact):
        users = contact.user_ids
        self.env["res.device.log"].search([("user_id", "in", users.ids)]).unlink()
        self.env["res.users.deletion"].search(
            [("user_id_int", "in", users.ids)]
        ).unlink()
        users.unlink()

    @api.model
    def _forget_wizards(self, contact):
        """Dialogues that were open about the contact; Odoo would clear them within a
        day."""
        for name in self.env.registry:
            Model = self.env[name]
            if Model._transient and Model._auto and not name.startswith("privacy."):
                for field in Model._fields.values():
                    if (
                        field.store
                        and field.type in ("many2one", "many2many")
                        and field.comodel_name == "res.partner"
                    ):
                        Model.search([(field.name, "=", contact.id)]).unlink()
        lines = self.env["base.partner.merge.line"].search(
            [("aggr_ids", "like", str(contact.id))]
        )
        lines.filtered(lambda line: contact.id in literal_eval(line.aggr_ids)).unlink()

    @api.model
    def _forget_logs(self, contact, emails):
        """What waits to be shown in a browser, and what the server noted."""
        told = [value for value in (*emails, contact.name) if value and len(value) > 3]
        own_channel = f'"res.partner",{contact.id}]'
        for table, columns in (
            ("bus_bus", ("message",)),
            ("ir_logging", ("message", "func", "path")),
        ):
            for column in columns:
                self.env.cr.execute(
                    SQL(
                        "DELETE FROM %s WHERE %s ILIKE ANY(%s)",
                        SQL.identifier(table),
                        SQL.identifier(column),
                        [f"%{escape_psql(value)}%" for value in told],
                    )
                )
        self.env.cr.execute(
            SQL(
                "DELETE FROM bus_bus WHERE replace(channel, ' ', '') LIKE %s",
                f"%{escape_psql(own_channel)}",
            )
        )
