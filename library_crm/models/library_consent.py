from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, email_normalize


class LibraryConsent(models.Model):
    """The ledger of what patrons agreed to and took back.

    Rows are added and never changed. What holds today for a patron, a purpose and a
    channel is what the newest row says; without a row nothing was agreed. The newest
    is that of the latest date, so an old paper that is entered today does not undo
    what the patron said since.
    """

    _name = "library.consent"
    _description = "Consent"
    _order = "date desc, id desc"
    _rec_name = "purpose_id"
    _library_personal_data = {"*": "consent"}

    # Nobody of the library was there when these were said, so the address may be
    # anybody's until it is confirmed.
    _UNPROVED = ("form", "portal")
    # Said by the patron alone, of the address of that day.
    _ONLINE = ("form", "portal", "mail")
    _CONFIRM_PAUSE = timedelta(hours=1)
    # Of the same person: the ledger of the library that writes, or that of the others.
    _SQL_REFUSED = SQL(
        "CASE WHEN bool_or(is_ours) THEN NOT bool_or(is_ours AND is_reachable)"
        " ELSE NOT bool_or(is_reachable) END"
    )
    # So many people are looked up one by one; of more, the whole ledger is read.
    _FEW = 1000

    patron_id = fields.Many2one(
        "library.patron", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="patron_id.company_id", store=True)
    purpose_id = fields.Many2one(
        "library.consent.purpose",
        required=True,
        ondelete="restrict",
        domain=[("is_refusable", "=", True)],
    )
    channel = fields.Selection(
        [("email", "Email"), ("phone", "Phone"), ("post", "Post")],
        required=True,
        default="email",
    )
    state = fields.Selection(
        [
            ("given", "Given"),
            ("asked", "To be confirmed"),
            ("withdrawn", "Withdrawn"),
        ],
        required=True,
        default="given",
        help="To be confirmed: given for an address that has not proved yet to be the "
        "patron's.",
    )
    date = fields.Datetime(required=True, readonly=True, default=fields.Datetime.now)
    user_id = fields.Many2one(
        "res.users",
        string="Recorded by",
        readonly=True,
        default=lambda self: self.env.user,
    )
    source = fields.Selection(
        [
            ("desk", "At the desk"),
            ("paper", "On paper"),
            ("portal", "In the portal"),
            ("form", "On a form of the website"),
            ("import", "From a file"),
            ("mail", "By a link in a mail"),
            ("address", "The address changed"),
            ("bounce", "Mail came back"),
            ("complaint", "Complaint of spam"),
        ],
        string="How",
        required=True,
        default="desk",
    )
    proof = fields.Text(
        help="Where and how it was given, for whoever has to show it.",
    )
    wording_version = fields.Char(
        compute="_compute_wording_version",
        store=True,
        precompute=True,
        readonly=False,
        help="Of the wording that the patron saw.",
    )

    _current_idx = models.Index("(purpose_id, channel, patron_id, date DESC, id DESC)")

    @api.depends("purpose_id")
    def _compute_wording_version(self):
        """Taken when the row is made; a later wording does not change it."""
        for consent in self:
            consent.wording_version = (
                consent.wording_version or consent.purpose_id.wording_version
            )

    @api.model_create_multi
    def create(self, vals_list):
        consents = super().create(vals_list)
        profiling = consents.filtered(lambda row: row.purpose_id.kind == "profiling")
        profiling.patron_id._refresh_engagement()
        consents.filtered(lambda row: row.state != "given")._recall()
        return consents

    def write(self, vals):
        if vals:
            raise UserError(
                self.env._(
                    "Consent: the ledger is only added to. Record a new row to change "
                    "what holds."
                )
            )
        return super().write(vals)

    def _recall(self):
        """What waits in a queue for these patrons, and is not agreed to any more, is
        not sent. A hook for other ways to write than mail."""
        by_email = self.filtered(lambda row: row.channel == "email")
        if by_email:
            self.env["mail.mail"]._get_queued_for(by_email.patron_id)._recall_refused()

    # ------------------------------------------------------------
    # WHAT HOLDS
    # ------------------------------------------------------------

    @api.model
    def _get_newest(self, patrons, purposes=None, channels=None):
        """The rows that say what holds.

        :param patrons: ``library.patron``
        :param purposes: ``library.consent.purpose``; empty: all
        :param channels: list of channels; empty: all
        :return: the newest row by (patron id, purpose id, channel)
        :rtype: dict[tuple[int, int, str], library.consent]
        """
        chosen = [SQL("patron_id = ANY(%s)", patrons.ids)]
        if purposes is not None:
            chosen.append(SQL("purpose_id = ANY(%s)", purposes.ids))
        if channels is not None:
            chosen.append(SQL("channel = ANY(%s)", list(channels)))
        newest = self._query_newest("id", SQL(" AND ").join(chosen))
        return {
            (consent.patron_id.id, consent.purpose_id.id, consent.channel): consent
            for consent in self.search_fetch(
                [("id", "in", newest)],
                ["patron_id", "purpose_id", "channel", "state"],
            )
        }

    @api.model
    def _query_newest(self, column, chosen, state=None):
        """The newest row of each patron, purpose and channel: the one place that says
        which that is.

        :param str column: what is asked of them
        :param SQL chosen: which rows of the ledger are looked at; all or none of a
            patron, purpose and channel
        :param str state: only those that say so
        :return: SQL that gives the column
        :rtype: odoo.tools.SQL
        """
        self.flush_model(["patron_id", "purpose_id", "channel", "state", "date"])
        return SQL(
            """(
                SELECT newest.%(column)s
                  FROM (
                        SELECT DISTINCT ON (purpose_id, channel, patron_id)
                               id, patron_id, state
                          FROM library_consent
                         WHERE %(chosen)s
                      ORDER BY purpose_id, channel, patron_id, date DESC, id DESC
                       ) newest
                 WHERE %(is_asked)s
            )""",
            column=SQL.identifier(column),
            chosen=chosen,
            is_asked=SQL("newest.state = %s", state) if state else SQL("TRUE"),
        )

    @api.model
    def _get_agreed_purposes(self, patrons, channel="email"):
        """What patrons have agreed to.

        :param patrons: ``library.patron``
        :param str channel: ``email``, ``phone`` or ``post``
        :return: purposes by patron id; a patron who agreed to nothing is left out
        :rtype: dict[int, library.consent.purpose]
        """
        agreed = {}
        newest = self._get_newest(patrons, channels=[channel])
        for (patron_id, _purpose_id, _channel), consent in newest.items():
            if consent.state == "given":
                purposes = agreed.get(patron_id, consent.purpose_id.browse())
                agreed[patron_id] = purposes | consent.purpose_id
        return agreed

    @api.model
    def _query_agreed(self, purposes, channel="email", patrons=None):
        """The patrons who have agreed to any of the purposes, as a query.

        Cost: one pass over the index of the ledger for each purpose.

        :param purposes: ``library.consent.purpose``
        :param str channel: ``email``, ``phone`` or ``post``
        :param patrons: where only these are asked about: spares the pass
        :return: SQL that gives patron ids
        :rtype: odoo.tools.SQL
        """
        return self._query_newest(
            "patron_id",
            SQL(
                "purpose_id = ANY(%s) AND channel = %s AND %s",
                list(purposes._ids),
                channel,
                SQL("TRUE")
                if patrons is None
                else SQL("patron_id = ANY(%s)", list(patrons._ids)),
            ),
            state="given",
        )

    @api.model
    def _query_objected(self, kind, chosen=None):
        """The patrons whose last word on a purpose of that kind, on any channel, was
        no. Who was never asked has not objected.

        :param str kind: of ``library.consent.purpose``
        :param SQL chosen: where only some patrons are asked about, a condition on the
            row ``patron``: spares the others
        :return: SQL that gives patron ids
        :rtype: odoo.tools.SQL
        """
        return self._query_newest(
            "patron_id",
            SQL(
                """
                purpose_id = ANY(ARRAY(
                    SELECT id FROM library_consent_purpose WHERE kind = %s
                ))
                AND %s
                """,
                kind,
                SQL("TRUE")
                if chosen is None
                else SQL(
                    "patron_id IN (SELECT id FROM library_patron patron WHERE %s)",
                    chosen,
                ),
            ),
            state="withdrawn",
        )

    # ------------------------------------------------------------
    # WHO MAY BE WRITTEN TO
    # ------------------------------------------------------------

    @api.model
    def _get_reachable_domain(
        self, model_name, purpose, channel="email", company=None, patrons=None
    ):
        """The records that may be written to. Every door through which the library
        writes to many people asks here: mailings, the composer, surveys, loyalty.

        Patrons, and by mail what is theirs (``library.mail.mixin``): those who agreed;
        a minor, where there is a guardian to write to. Other records (contacts, leads,
        mailing lists, registrations …): all, except those of patrons who did not agree,
        found by their contact and by their address. Of patrons who share an address one
        who agreed is enough. Where the library that writes knows the person, its ledger
        decides; otherwise that of the libraries that do.

        :param str model_name: whose records
        :param purpose: ``library.consent.purpose``; empty: no patron is written to
        :param str channel: ``email``, ``phone`` or ``post``
        :param company: ``res.company`` that writes; by default that of the user
        :param patrons: see :meth:`_query_agreed`
        :rtype: odoo.fields.Domain
        """
        if purpose and not purpose.is_refusable:
            return Domain.TRUE
        Model = self.env[model_name]
        owner = self._get_patron_field(Model, channel)
        if owner:
            reachable = self._query_reachable(
                purpose, channel, patrons, by_guardian=True
            )
            agreed = Domain.custom(
                to_sql=lambda model, alias, query: SQL(
                    "%s IN %s", model._field_to_sql(alias, owner, query), reachable
                )
            )
            if owner == "id":
                return agreed
        contacts, emails = self._query_refused(
            purpose, channel, company or self.env.company, patrons
        )
        if model_name == "res.partner":
            return self._get_domain_without("id", contacts)
        domain = Domain.TRUE
        for name in self._get_contact_fields(Model):
            if Model._fields[name].type == "many2one":
                domain &= self._get_domain_without(name, contacts)
            else:
                domain &= Domain(name, "not any!", [("id", "in", contacts)])
        if name := self._get_email_field(Model):
            domain &= self._get_domain_without(name, emails)
        if owner:
            domain = agreed | (Domain(owner, "=", False) & domain)
        return domain

    @api.model
    def _get_patron_field(self, Model, channel="email"):
        """The field of a model that leads to the patron who is asked, and whose mail
        goes to the guardian of a child; None where records are asked by the contacts
        and addresses that they have.

        :param str channel: what is not mail goes to the record's own contact
        """
        if Model._name == "library.patron":
            return "id"
        return channel == "email" and getattr(Model, "_library_patron_field", None)

    @api.model
    def _get_domain_without(self, name, query):
        """The records whose field holds nothing of what a query gives. Said as an
        anti-join: ``NOT IN`` compares each with each where the planner expects more
        than fits into the memory of a session.

        :param str name: of a column; of addresses only the address itself counts
        :param SQL query: gives one column
        """

        def to_sql(model, alias, domain_query):
            column = model._field_to_sql(alias, name, domain_query)
            if model._fields[name].type == "char" and name != "email_normalized":
                # As in "Amal <Amal@example.com>".
                address = r'[^\s<>",;]+@[^\s<>",;]+'
                column = SQL("lower(substring(%s FROM %s))", column, address)
            return SQL(
                "NOT EXISTS (SELECT FROM %s refused (key) WHERE refused.key = %s)",
                query,
                column,
            )

        return Domain.custom(to_sql=to_sql)

    @api.model
    def _filter_reachable(self, records, purpose, channel="email", company=None):
        """The records that may be written to; see :meth:`_get_reachable_domain`.

        :return: some of the records, in their order
        """
        if not records or (purpose and not purpose.is_refusable):
            return records
        patrons = None
        if records._name == "library.patron":
            patrons = records
        elif len(records) <= self._FEW:
            patrons = self._get_patrons_of(*self._get_people(records))
            if owner := self._get_patron_field(records, channel):
                patrons |= records.sudo()[owner]
        domain = self._get_reachable_domain(
            records._name, purpose, channel, company, patrons
        )
        reachable = (
            records.sudo()
            .with_context(active_test=False)
            .search(Domain("id", "in", records.ids) & domain)
        )
        return records.filtered(lambda record: record.id in reachable._ids)

    @api.model
    def _filter_reachable_emails(self, emails, purpose, channel="email", company=None):
        """The addresses that may be written to, where there is nothing but addresses;
        see :meth:`_get_reachable_domain`.

        :param emails: list of addresses, with names or without
        :return: some of the addresses, in their order
        :rtype: list[str]
        """
        normalized = {email_normalize(email, strict=False) for email in emails}
        patrons = self._get_patrons_of(self.env["res.partner"], normalized)
        if not patrons or (purpose and not purpose.is_refusable):
            return emails
        _contacts, query = self._query_refused(
            purpose, channel, company or self.env.company, patrons
        )
        refused = {email for (email,) in self.env.execute_query(query)}
        return [
            email
            for email in emails
            if email_normalize(email, strict=False) not in refused
        ]

    @api.model
    def _query_reachable(self, purpose, channel, patrons=None, by_guardian=False):
        """The patrons who agreed to the purpose and may be written to about it.

        :param bool by_guardian: whether what is meant for a minor goes to the guardian;
            if not, no minor is reachable
        :return: SQL that gives patron ids
        :rtype: odoo.tools.SQL
        """
        if not purpose:
            return SQL("(SELECT NULL::integer WHERE FALSE)")
        return SQL(
            "(%s EXCEPT %s)",
            self._query_agreed(purpose, channel, patrons),
            self.env["library.patron"]._query_minors(
                patrons, alone_on=channel if by_guardian else None
            ),
        )

    @api.model
    def _query_refused(self, purpose, channel, company, patrons=None):
        """Who is a patron and may not be written to, as people outside the library's
        own tables are known: by contact and by address.

        Cost: one pass over patrons and contacts; a look-up where patrons are given.

        :return: two queries, of contact ids and of normalised addresses
        :rtype: tuple[odoo.tools.SQL, odoo.tools.SQL]
        """
        self.env["library.patron"].flush_model(["partner_id", "company_id"])
        self.env["res.partner"].flush_model(["email_normalized"])
        ours = self.env["res.company"].sudo().search([("id", "child_of", company.id)])
        people = SQL(
            """
            SELECT patron.partner_id,
                   contact.email_normalized,
                   patron.company_id = ANY(%(ours)s) AS is_ours,
                   reachable.id IS NOT NULL AS is_reachable
              FROM library_patron patron
              JOIN res_partner contact ON contact.id = patron.partner_id
         LEFT JOIN %(reachable)s reachable (id) ON reachable.id = patron.id
             WHERE %(among)s
            """,
            ours=ours.ids,
            reachable=self._query_reachable(purpose, channel, patrons),
            among=SQL("TRUE")
            if patrons is None
            else SQL("patron.id = ANY(%s)", list(patrons._ids)),
        )
        emails = SQL(
            """
                SELECT email_normalized
                  FROM people
                 WHERE email_normalized IS NOT NULL
              GROUP BY email_normalized
                HAVING %(refused)s
            """,
            refused=self._SQL_REFUSED,
        )
        contacts = SQL(
            """(
                WITH people AS MATERIALIZED (%(people)s)
                SELECT partner_id
                  FROM people
              GROUP BY partner_id
                HAVING %(refused)s
             UNION ALL
                SELECT id
                  FROM res_partner
                 WHERE email_normalized IN (%(emails)s)
            )""",
            people=people,
            refused=self._SQL_REFUSED,
            emails=emails,
        )
        emails = SQL("(WITH people AS (%s) %s)", people, emails)
        return contacts, emails

    @api.model
    def _get_contact_fields(self, Model):
        """The fields of a model that lead to the people it is about."""
        return [
            name
            for name in Model._mail_get_partner_fields()
            if Model._fields[name].store and Model._fields[name].relational
        ]

    @api.model
    def _get_email_field(self, Model):
        """The field of a model that a mail to its record would go to; or None."""
        for name in (
            *("email_normalized", Model._mail_get_primary_email_field()),
            *("email_from", "email", "partner_email"),
        ):
            field = Model._fields.get(name)
            if field and field.type == "char" and (field.store or field.inherited):
                return name
        return None

    @api.model
    def _get_patrons_of(self, contacts, emails):
        """The patrons who are these people, of any library, archived ones too: who
        left has not agreed to anything by that."""
        Partner = self.env["res.partner"].sudo().with_context(active_test=False)
        emails = [email for email in emails if email]
        contacts |= Partner.search([("email_normalized", "in", emails)])
        return (
            self.env["library.patron"]
            .sudo()
            .with_context(active_test=False)
            .search([("partner_id", "in", contacts.ids)])
        )

    @api.model
    def _get_people(self, records):
        """Who records are about.

        :return: contacts, and normalised addresses
        :rtype: tuple[res.partner, set[str]]
        """
        records = records.sudo()
        if records._name == "res.partner":
            contacts = records
        else:
            contacts = self.env["res.partner"].sudo()
            for name in self._get_contact_fields(records):
                contacts |= records[name]
        emails = set(contacts.mapped("email_normalized"))
        if name := self._get_email_field(records):
            emails.update(
                email_normalize(record[name], strict=False) for record in records
            )
        return contacts, emails

    # ------------------------------------------------------------
    # WHAT IS SAID NOW
    # ------------------------------------------------------------

    @api.model
    def _record(
        self,
        patrons,
        purposes,
        channel="email",
        state="given",
        source="desk",
        proof=None,
        date=None,
        wording_versions=None,
    ):
        """Add what patrons say now. What holds already, and purposes that need no
        consent, are left out, so the same may be said twice.

        Email that somebody agrees to on the website waits until the address is
        confirmed: a mail with a link goes there. At the desk, on paper and in a file
        the library has seen to it.

        The caller has made sure that the user may speak for these patrons.

        :param patrons: ``library.patron``
        :param purposes: ``library.consent.purpose``
        :param str channel: ``email``, ``phone`` or ``post``
        :param str state: ``given`` or ``withdrawn``
        :param str source: how it was said; a key of the field ``source``
        :param str proof: where and how, for whoever has to show it
        :param datetime date: when it was said, if not just now
        :param dict wording_versions: of the wordings that were shown, by purpose id as
            text; by default the present ones
        :return: the new rows
        """
        purposes = purposes.filtered("is_refusable")
        states = dict.fromkeys(patrons, state)
        if state == "given" and channel == "email" and source in self._UNPROVED:
            for patron, speaker in patrons.sudo()._get_speakers().items():
                if not speaker._has_confirmed_email():
                    states[patron] = "asked"
        newest = self._get_newest(patrons, purposes, [channel])
        rows = self.create(
            [
                {
                    "patron_id": patron.id,
                    "purpose_id": purpose.id,
                    "channel": channel,
                    "state": states[patron],
                    "source": source,
                    "proof": proof,
                    "date": date or fields.Datetime.now(),
                    "wording_version": (wording_versions or {}).get(
                        str(purpose.id), purpose.wording_version
                    ),
                }
                for patron in patrons
                for purpose in purposes
                if not newest.get((patron.id, purpose.id, channel), self)._says(
                    states[patron]
                )
            ]
        )
        rows._ask_for_confirmation()
        return rows

    def _says(self, state):
        """Whether there is no need to say it after this row (or after none)."""
        if state != "asked":
            return self.state == state
        return self.state == "given" or (
            self.state == "asked"
            and self.date > fields.Datetime.now() - self._CONFIRM_PAUSE
        )

    def _ask_for_confirmation(self):
        """Send the link to whoever can confirm these rows: one mail each."""
        patrons = self.filtered(lambda row: row.state == "asked").patron_id.sudo()
        speakers = patrons.browse().union(*patrons._get_speakers().values())
        speakers._send_link("library_crm.mail_template_confirm")

    @api.model
    def _confirm(self, patrons):
        """What waited for the address of these patrons is given now.

        :return: the new rows
        """
        return self.create(
            [
                {
                    "patron_id": row.patron_id.id,
                    "purpose_id": row.purpose_id.id,
                    "channel": row.channel,
                    "state": "given",
                    "source": "mail",
                }
                for row in self._get_newest(patrons, channels=["email"]).values()
                if row.state == "asked"
            ]
        )

    @api.model
    def _doubt_address(self, patrons):
        """The address of these patrons is another: what they agreed to on the website
        was meant for the old one, and waits until the new one is confirmed."""
        patrons = patrons.filtered(
            lambda patron: not patron._has_confirmed_email()
        )._get_spoken_for()
        rows = self.create(
            [
                {
                    "patron_id": row.patron_id.id,
                    "purpose_id": row.purpose_id.id,
                    "channel": row.channel,
                    "state": "asked",
                    "source": "address",
                }
                for row in self._get_newest(patrons, channels=["email"]).values()
                if row.state == "asked"
                or (row.state == "given" and row.source in self._ONLINE)
            ]
        )
        rows._ask_for_confirmation()
        return rows

    @api.model
    def _stop(self, patrons, source, proof=None):
        """All that these patrons agreed to by email is withdrawn.

        :return: the new rows
        """
        return self.create(
            [
                {
                    "patron_id": row.patron_id.id,
                    "purpose_id": row.purpose_id.id,
                    "channel": row.channel,
                    "state": "withdrawn",
                    "source": source,
                    "proof": proof,
                }
                for row in self._get_newest(patrons, channels=["email"]).values()
                if row.state != "withdrawn"
            ]
        )

    @api.model
    def _save_preferences(self, patrons, wanted, source):
        """Record a whole page of preferences: what is wanted is given, what is not is
        withdrawn, and nothing is written about what stays as it is.

        :param set wanted: of (patron id, purpose id, channel)
        :return: the new rows
        """
        purposes = self._get_offered_purposes()
        newest = self._get_newest(patrons, purposes)
        rows = self.browse()
        for channel, _label in self._fields["channel"].selection:
            for purpose in purposes:
                changes = {"given": patrons.browse(), "withdrawn": patrons.browse()}
                for patron in patrons:
                    key = (patron.id, purpose.id, channel)
                    is_on = newest.get(key, self.browse()).state in ("given", "asked")
                    if is_on != (key in wanted):
                        changes["withdrawn" if is_on else "given"] |= patron
                for state, changed in changes.items():
                    if changed:
                        rows += self._record(changed, purpose, channel, state, source)
        return rows

    @api.model
    def _get_offered_purposes(self):
        """What patrons are asked about."""
        return self.env["library.consent.purpose"].search([("is_refusable", "=", True)])
