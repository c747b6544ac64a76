from ast import literal_eval
from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import NO_ACCESS, Domain
from odoo.tools import (
    SQL,
    email_normalize,
    escape_psql,
    format_date,
    hash_sign,
    hmac,
    verify_hash_signed,
)


class LibraryPatron(models.Model):
    """A person the library looks after.

    The person is one contact (``res.partner``); what the library knows stands in
    this table of its own. So the library's access rights are not the address
    book's, nightly figures never rewrite contacts, and one contact can be a patron
    of two libraries (companies).

    What somebody read, searched or asked is stored nowhere.
    """

    _name = "library.patron"
    _description = "Patron"
    _inherit = ["mail.thread", "mail.activity.mixin", "library.bulk.mixin"]
    _inherits = {"res.partner": "partner_id"}
    _order = "complete_name, id"
    _rec_name = "complete_name"
    _rec_names_search = ["card_number", "complete_name"]
    _check_company_auto = True
    _mailing_enabled = True
    _library_personal_data = {
        "partner_id": "identity",
        "complete_name": "identity",
        "card_number": "identity",
        "patron_category_id": "identity",
        "birth_date": "identity",
        "birth_year": "identity",
        "preferred_channel": "contact",
        "email_confirmed": "contact",
        "email_bounced": "contact",
        "preferences_asked_at": "contact",
        "preferences_sent_at": "contact",
        "guardian_id": "family",
        "household_id": "family",
        "active": "membership",
        "company_id": "membership",
        "branch_id": "membership",
        "enrolled_on": "membership",
        "membership_id": "membership",
        "membership_state": "membership",
        "expiry_date": "membership",
        "create_date": "membership",
        "write_date": "membership",
        "ils_ref": "link",
        "missing_since": "link",
        "liaison_id": "staff",
        "interest_ids": "preference",
        "last_use_date": "figure",
    }

    _USE_CHART_SERVICES = 5

    # The pages that a link in a mail leads to without a login, and for how long.
    _LINK_DAYS = {"preferences": 180, "confirm": 30, "year": 60, "privacy": 1}
    # How often whoever asks for a link to the own page is sent one, and how many are
    # sent at once.
    _LINK_PAUSE = timedelta(hours=1)
    _LINK_BATCH = 200

    # Who
    partner_id = fields.Many2one(
        "res.partner",
        string="Person",
        required=True,
        ondelete="restrict",
        check_company=True,
        index=True,
    )
    complete_name = fields.Char(
        related="partner_id.complete_name",
        string="Full Name",
        store=True,
        index="trigram",
        help="Kept here too, so that a list in order of names is read from one index.",
    )
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    card_number = fields.Char(
        copy=False,
        tracking=True,
        index="trigram",
        help="Text, as printed on the card: leading zeros count.",
    )
    patron_category_id = fields.Many2one(
        "library.patron.category",
        string="Category",
        index=True,
        ondelete="restrict",
        check_company=True,
        tracking=True,
    )
    branch_id = fields.Many2one(
        "library.branch",
        string="Home Branch",
        index=True,
        ondelete="restrict",
        check_company=True,
        tracking=True,
        default=lambda self: self.env.user.library_branch_id,
    )
    liaison_id = fields.Many2one(
        "res.users",
        index="btree_not_null",
        domain=[("share", "=", False)],
        check_company=True,
        tracking=True,
        help="The librarian who looks after this patron.",
    )
    ils_ref = fields.Char(
        string="ILS Reference",
        copy=False,
        groups="base.group_user",
        help="The patron's number in the integrated library system.",
    )
    missing_since = fields.Date(
        string="Missing from the Library System Since",
        readonly=True,
        copy=False,
        index="btree_not_null",
        groups="base.group_user",
        help="Not in the last file that holds all patrons.",
    )
    alias_ids = fields.One2many(
        "library.patron.alias",
        "patron_id",
        string="Former Numbers",
        readonly=True,
        groups="library_crm.group_library_user",
        help="Of patrons who were merged into this one.",
    )
    birth_date = fields.Date(groups="library_crm.group_library_user")
    birth_year = fields.Integer(
        compute="_compute_birth_year",
        store=True,
        readonly=False,
        groups="library_crm.group_library_user",
        help="Where the day of birth is not known, or not to be kept.",
    )
    is_minor = fields.Boolean(
        string="Minor",
        compute="_compute_is_minor",
        search="_search_is_minor",
        groups="library_crm.group_library_user",
        help="Younger than the age of own consent: the guardian agrees and is written "
        "to.",
    )
    preferred_channel = fields.Selection(
        [("email", "Email"), ("phone", "Phone"), ("post", "Post"), ("none", "None")],
        default="email",
        required=True,
    )

    # Family
    guardian_id = fields.Many2one(
        "library.patron",
        index="btree_not_null",
        check_company=True,
        ondelete="set null",
    )
    dependant_ids = fields.One2many(
        "library.patron", "guardian_id", string="Guardian of"
    )
    household_id = fields.Many2one(
        "library.household",
        index="btree_not_null",
        check_company=True,
        ondelete="set null",
    )
    household_member_ids = fields.One2many(
        related="household_id.patron_ids", string="Household Members"
    )

    # Membership
    enrolled_on = fields.Date(
        string="Patron Since",
        default=fields.Date.context_today,
        tracking=True,
        index=True,
    )
    membership_ids = fields.One2many(
        "library.membership", "patron_id", string="Memberships"
    )
    membership_id = fields.Many2one(
        "library.membership",
        string="Current Membership",
        compute="_compute_membership",
        store=True,
        index="btree_not_null",
        ondelete="set null",
    )
    membership_state = fields.Selection(
        selection=lambda self: (
            self.env["library.membership"]
            ._fields["state"]
            ._description_selection(self.env)
        ),
        string="Membership",
        compute="_compute_membership",
        store=True,
        index="btree_not_null",
    )
    membership_is_renewable = fields.Boolean(related="membership_id.is_renewable")
    expiry_date = fields.Date(
        string="Card Expires",
        compute="_compute_membership",
        store=True,
        index="btree_not_null",
    )

    # Needs and use
    interest_ids = fields.Many2many("library.interest", string="Interests")
    last_use_date = fields.Date(
        string="Last Use",
        readonly=True,
        copy=False,
        # Without an index, so that PostgreSQL writes a new day into the same page and
        # leaves the indexes alone: it changes for most patrons with each load.
        groups="base.group_user",
        help="The last day on which the patron used any service.",
    )
    use_count = fields.Integer(
        string="Uses in 12 Months",
        compute="_compute_use_count",
        groups="library_crm.group_library_user",
    )

    # What staff write and plan: whoever sees the patron may by Odoo search in it, also
    # where they may not read it. Here the rules of messages and tasks hold.
    message_ids = fields.One2many(bypass_search_access=False)
    website_message_ids = fields.One2many(bypass_search_access=False)
    activity_ids = fields.One2many(bypass_search_access=False)
    activity_summary = fields.Char(groups="library_crm.group_library_user")

    # What is open, what was agreed
    request_ids = fields.One2many(
        "crm.lead", "library_patron_id", groups="library_crm.group_library_user"
    )
    open_request_count = fields.Integer(
        string="Open Requests",
        compute="_compute_row_counts",
        groups="library_crm.group_library_user",
    )
    request_count = fields.Integer(
        string="Requests",
        compute="_compute_row_counts",
        groups="library_crm.group_library_user",
    )
    consent_ids = fields.One2many(
        "library.consent", "patron_id", string="Consents", groups="base.group_user"
    )
    agreed_purpose_ids = fields.Many2many(
        "library.consent.purpose",
        string="Agreed to",
        compute="_compute_agreed_purpose_ids",
        search="_search_agreed_purpose_ids",
        groups="base.group_user",
    )
    email_confirmed = fields.Char(
        string="Confirmed Address",
        readonly=True,
        copy=False,
        groups="library_crm.group_library_user",
        help="The address that the patron proved to be theirs, by a link in a mail.",
    )
    email_bounced = fields.Char(
        string="Address That Does Not Work",
        readonly=True,
        copy=False,
        index="btree_not_null",
        groups="library_crm.group_library_user",
    )
    is_email_bounced = fields.Boolean(
        string="Mail Comes Back",
        compute="_compute_is_email_bounced",
        search="_search_is_email_bounced",
        groups="library_crm.group_library_user",
        help="The address that the patron has does not work.",
    )
    preferences_asked_at = fields.Datetime(
        string="Link to the Preferences Asked for",
        copy=False,
        index="btree_not_null",
        groups=NO_ACCESS,
    )
    preferences_sent_at = fields.Datetime(
        string="Link to the Preferences Sent", copy=False, groups=NO_ACCESS
    )
    mailing_trace_count = fields.Integer(
        string="Mailings",
        compute="_compute_row_counts",
        groups="base.group_user",
    )

    journey_count = fields.Integer(
        string="Journeys", compute="_compute_row_counts", groups="base.group_user"
    )
    mailing_cards = fields.Char(
        compute="_compute_mailing_cards",
        groups="base.group_user",
        help="For mails: the patrons whom the mail is for, if others than the reader.",
    )

    _card_uniq = models.UniqueIndex(
        "(card_number, company_id)",
        "Card number: another patron of this library already has this card.",
    )
    _partner_uniq = models.UniqueIndex(
        "(partner_id, company_id)",
        "Person: this contact is already a patron of this library.",
    )
    _ils_ref_uniq = models.UniqueIndex(
        "(ils_ref, company_id) WHERE ils_ref IS NOT NULL",
        "ILS reference: another patron of this library already has it.",
    )
    _default_order_idx = models.Index("(complete_name, id) WHERE active IS TRUE")
    _card_not_blank = models.Constraint(
        "CHECK (card_number = btrim(card_number) AND card_number != '')",
        "Card number: it can not be blank or have spaces around it.",
    )
    _birth_year_plausible = models.Constraint(
        "CHECK (birth_year IS NULL OR birth_year = 0 "
        "OR birth_year BETWEEN 1850 AND 2200)",
        "Birth year: four digits are expected, e.g. 1984.",
    )
    _not_own_guardian = models.Constraint(
        "CHECK (guardian_id IS NULL OR guardian_id != id)",
        "Guardian: a patron can not be their own guardian.",
    )

    def init(self):
        """Leave room in each page for what is written anew again and again."""
        self.env.cr.execute("ALTER TABLE library_patron SET (fillfactor = 80)")

    # ------------------------------------------------------------
    # COMPUTES
    # ------------------------------------------------------------

    @api.depends("complete_name", "card_number")
    def _compute_display_name(self):
        for patron in self:
            name, card = patron.complete_name or "", patron.card_number
            patron.display_name = f"{name} ({card})" if card else name

    @api.depends("birth_date")
    def _compute_birth_year(self):
        for patron in self:
            if patron.birth_date:
                patron.birth_year = patron.birth_date.year

    @api.depends("membership_ids.state", "membership_ids.date_end")
    def _compute_membership(self):
        """The line that matters: a running one before a barred, a barred before an
        ended one; of several, the one that lasts longest."""
        rank = {
            state: -place
            for place, state in enumerate(
                ("active", "grace", "suspended", "draft", "expired", "cancelled")
            )
        }
        for patron in self:
            current = max(
                patron.membership_ids,
                key=lambda line: (
                    rank[line.state],
                    line.date_end or fields.Date.to_date("9999-12-31"),
                    line.id or 0,
                ),
                default=self.env["library.membership"],
            )
            patron.membership_id = current
            patron.membership_state = current.state
            patron.expiry_date = current.date_end

    @api.depends("birth_date", "birth_year", "patron_category_id", "company_id")
    def _compute_is_minor(self):
        minors = self._get_minors()
        for patron in self:
            patron.is_minor = patron._origin in minors

    @api.depends("email_bounced", "email_normalized")
    def _compute_is_email_bounced(self):
        for patron in self:
            patron.is_email_bounced = bool(patron.email_bounced) and (
                patron.email_bounced == patron.email_normalized
            )

    def _search_is_email_bounced(self, operator, value):
        self._check_may_ask("is_email_bounced")
        if operator != "in":
            return NotImplemented
        patrons = self.sudo().search([("email_bounced", "!=", False)])
        return [("id", "in", patrons.filtered("is_email_bounced").ids)]

    def _check_may_ask(self, name):
        """Odoo asks who may read a field that is searched by a method of its own only
        when it is read; whom a search finds tells as much.

        :raise AccessError: if the user may not read the field
        """
        if not self.env.su:
            self._check_field_access(self._fields[name], "read")

    def _search_is_minor(self, operator, value):
        self._check_may_ask("is_minor")
        if operator != "in":
            return NotImplemented
        minors = self._query_minors()
        return Domain.custom(
            to_sql=lambda _model, alias, _query: SQL(
                "%s IN %s", SQL.identifier(alias, "id"), minors
            )
        )

    def _compute_use_count(self):
        since = fields.Date.context_today(self) - relativedelta(years=1)
        counts = dict(
            self.env["library.service.usage"]._read_group(
                [("patron_id", "in", self.ids), ("date", ">", since)],
                ["patron_id"],
                ["quantity:sum"],
            )
        )
        for patron in self:
            patron.use_count = counts.get(patron, 0)

    @api.depends("consent_ids")
    def _compute_agreed_purpose_ids(self):
        agreed = self.env["library.consent"]._get_agreed_purposes(self)
        for patron in self:
            patron.agreed_purpose_ids = agreed.get(patron.id)

    def _search_agreed_purpose_ids(self, operator, value):
        self._check_may_ask("agreed_purpose_ids")
        if operator != "in":
            return NotImplemented
        purposes = self.env["library.consent.purpose"].browse(value).exists()
        return [("id", "in", self.env["library.consent"]._query_agreed(purposes))]

    @api.depends("request_ids.won_status", "request_ids.active")
    def _compute_row_counts(self):
        """All in one statement, as a page shows them all."""
        queries = []
        for name, (records, link, domain) in self._get_counted_rows().items():
            self[name] = 0
            if not self.ids or not records.has_access("read"):
                continue
            query = records._search(Domain(link, "in", self.ids) & domain)
            query.groupby = records._field_to_sql(records._table, link, query)
            queries.append(
                query.select(SQL("%s AS name", name), query.groupby, SQL("count(*)"))
            )
        if queries:
            for name, patron_id, count in self.env.execute_query(
                SQL(" UNION ALL ").join(queries)
            ):
                self.browse(patron_id)[name] = count

    def _get_counted_rows(self):
        """What the buttons of a patron count: rows that are linked to it.

        :return: by field: the model, the name of its link, and which rows count
        :rtype: dict[str, tuple[odoo.models.BaseModel, str, odoo.fields.Domain]]
        """
        requests = self.env["crm.lead"].with_context(active_test=False)
        return {
            "request_count": (requests, "library_patron_id", Domain.TRUE),
            "open_request_count": (
                requests,
                "library_patron_id",
                Domain("won_status", "=", "pending"),
            ),
            "mailing_trace_count": (
                self.env["mailing.trace"],
                "library_patron_id",
                Domain.TRUE,
            ),
            "journey_count": (
                self.env["library.journey.enrolment"],
                "patron_id",
                Domain.TRUE,
            ),
        }

    @api.depends_context("library_journey_companions")
    @api.depends("complete_name", "card_number", "guardian_id", "email_normalized")
    def _compute_mailing_cards(self):
        """First names and the end of the card: what a mail may say of others."""
        companions = dict(self.env.context.get("library_journey_companions", ()))
        recipients = self._get_mail_recipients()
        for patron in self:
            group = self.browse(companions.get(patron.id, ()))
            if not group and recipients[patron] != patron:
                group = patron
            patron.mailing_cards = ", ".join(
                f"{member.complete_name.split()[0]} (…{member.card_number[-4:]})"
                if member.card_number
                else member.complete_name.split()[0]
                for member in group
            )

    @api.model
    def _search_display_name(self, operator, value):
        """A scanned card finds its patron by the index alone; only what is no card
        is looked for in the names."""
        if operator == "ilike" and isinstance(value, str):
            card = Domain("card_number", "=", value.strip())
            if self.search_count(card, limit=1):
                return card
        return super()._search_display_name(operator, value)

    @api.constrains("birth_date")
    def _check_birth_date(self):
        today = fields.Date.context_today(self)
        for patron in self:
            if patron.birth_date and patron.birth_date > today:
                raise ValidationError(
                    self.env._(
                        "Birth date: %(date)s is in the future.",
                        date=patron.birth_date,
                    )
                )

    @api.constrains("guardian_id")
    def _check_guardian(self):
        if self._has_cycle("guardian_id"):
            raise ValidationError(
                self.env._("Guardian: two patrons can not be each other's guardian.")
            )

    # ------------------------------------------------------------
    # CREATE AND WRITE
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        patrons = super().create([self._clean_values(vals) for vals in vals_list])
        # Numbers can be guessed: naming a guardian must not tell who it is.
        patrons.guardian_id.check_access("read")
        patrons._lift_tombstones()
        return patrons

    def write(self, vals):
        result = super().write(self._clean_values(vals))
        if "guardian_id" in vals:
            self.guardian_id.check_access("read")
        if vals.get("card_number") or vals.get("ils_ref"):
            self._lift_tombstones()
        return result

    def _recall_messages(self):
        """What waits in a queue for who is erased is not sent; a hook for other ways to
        write than mail."""
        self.env["mail.mail"]._get_queued_for(self)._recall()

    def _bury(self):
        """See to it that the next load does not bring back whom a row of the library
        system is about; called before they are deleted."""
        for company, patrons in self.sudo().grouped("company_id").items():
            self.env["library.patron.tombstone"]._bury(
                company,
                [
                    (record.card_number, record.ils_ref)
                    for record in (*patrons, *patrons.alias_ids)
                ],
            )

    def _lift_tombstones(self):
        """Who is added here by hand has come back."""
        if self.env.context.get("library_from_ils"):
            return
        for company, patrons in self.sudo().grouped("company_id").items():
            numbers = [
                (patron.card_number, patron.ils_ref)
                for patron in patrons
                if patron.card_number or patron.ils_ref
            ]
            if numbers:
                self.env["library.patron.tombstone"]._lift(company, numbers)

    def _clean_values(self, vals):
        """Strip what scanners and spreadsheets put around a card number."""
        if isinstance(vals.get("card_number"), str):
            vals = {**vals, "card_number": vals["card_number"].strip() or False}
        return vals

    def _start_default_membership(self):
        """Give each patron the plan of their category: running at once where it is
        free, a draft that waits for the fee where it is not. Without a plan on the
        category nothing happens.

        :return: the new ``library.membership``
        """
        return self.env["library.membership"].create(
            [
                {
                    "patron_id": patron.id,
                    "plan_id": patron.patron_category_id.plan_id.id,
                    "state": "draft"
                    if patron.patron_category_id.plan_id.fee
                    else "active",
                }
                for patron in self
                if patron.patron_category_id.plan_id
            ]
        )

    # ------------------------------------------------------------
    # DUPLICATES
    # ------------------------------------------------------------

    @api.model
    def _find_duplicates(self, company, *, email=None, phone=None, name=None):
        """Patrons who may be one person: same email, same phone, or the same name.

        :param company: the library
        :param str email: as typed
        :param str phone: in the international form (``phone_sanitized``)
        :param str name: full name; capitals do not count
        :return: those whom the user may see, archived ones too, the surest first
        """
        Patron = self.with_context(active_test=False)
        in_library = Domain("company_id", "=", company.id)
        found = Patron.browse()
        email = email and email_normalize(email)
        if email:
            found |= Patron.search(in_library & Domain("email_normalized", "=", email))
        if phone:
            found |= Patron.search(in_library & Domain("phone_sanitized", "=", phone))
        name = (name or "").strip()
        if name:
            found |= Patron.search(
                in_library & Domain("complete_name", "=ilike", escape_psql(name))
            )
        return found

    # ------------------------------------------------------------
    # MERGING
    # ------------------------------------------------------------

    def _merge(self, others):
        """Take over all that belongs to others, who are the same person, and delete
        them. What both hold stays as it is here. Their cards and references are kept,
        so that rows of the library system about them are recognised.

        The caller has made sure that the user may do so. To be called with sudo.

        :param others: patrons of the same library
        """
        self.ensure_one()
        together = self + others
        together.filtered(
            lambda patron: patron.guardian_id in together
        ).guardian_id = False
        self._end_double_memberships(together)
        values = self._prepare_merge_values(others)
        numbers = [
            {"patron_id": self.id, "card_number": card, "ils_ref": ref}
            for card, ref in (
                (
                    patron.card_number != values.get("card_number")
                    and patron.card_number,
                    patron.ils_ref != values.get("ils_ref") and patron.ils_ref,
                )
                for patron in others
            )
            if card or ref
        ]
        self.env["library.patron.row"].search(
            [("patron_id", "in", together.ids)]
        ).unlink()
        self.env["library.journey.enrolment"]._merge_patrons(self, others)
        traces = self.env["mailing.trace"].search(
            [("model", "=", self._name), ("res_id", "in", others.ids)]
        )
        traces.res_id = self.id
        self.env.flush_all()
        wizard = self.env["base.partner.merge.automatic.wizard"]
        wizard._update_foreign_keys_generic(self._name, others, self)
        wizard._update_reference_fields_generic(self._name, others, self)
        self.env.invalidate_all()
        others.with_context(library_merge=True).unlink()
        self.write(values)
        self.env["library.patron.alias"].create(numbers)
        for name in ("membership_id", "membership_state", "expiry_date"):
            self.env.add_to_compute(self._fields[name], self)
        self._refresh_last_use_date()

    def _end_double_memberships(self, together):
        """There is one open line a plan: the one that lasts longest."""
        Membership = self.env["library.membership"]
        reason = self.env.ref("library_crm.library_membership_reason_duplicate")
        open_lines = together.membership_ids.filtered(
            lambda line: line.state in Membership._OPEN_STATES
        )
        for lines in open_lines.grouped("plan_id").values():
            longest = max(
                lines,
                key=lambda line: (
                    line.state != "draft",
                    not line.date_end,
                    line.date_end or line.date_start,
                    line.id,
                ),
            )
            (lines - longest).action_cancel(reason)

    def _prepare_merge_values(self, others):
        """What this patron takes from others who are the same person; a hook."""
        values = {}
        for name in (
            *("card_number", "ils_ref", "birth_date", "birth_year", "branch_id"),
            *("patron_category_id", "liaison_id", "guardian_id", "household_id"),
        ):
            found = next((other[name] for other in others if other[name]), False)
            if found and not self[name]:
                is_record = isinstance(found, models.BaseModel)
                values[name] = found.id if is_record else found
        values["enrolled_on"] = min(
            (patron.enrolled_on for patron in self + others if patron.enrolled_on),
            default=False,
        )
        values["active"] = any((self + others).mapped("active"))
        if not all(patron.missing_since for patron in self + others):
            values["missing_since"] = False
        return values

    # ------------------------------------------------------------
    # USE
    # ------------------------------------------------------------

    def _refresh_last_use_date(self):
        """Set the day of the last use from the rows of use: one statement, one index
        look-up a patron."""
        if not self:
            return
        self.env["library.service.usage"].flush_model(["patron_id", "date"])
        self.flush_recordset(["last_use_date"])
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_patron patron
                   SET last_use_date = last_use.date
                  FROM (
                        SELECT asked.id, max(usage.date) AS date
                          FROM unnest(%(ids)s) AS asked (id)
                     LEFT JOIN library_service_usage usage
                            ON usage.patron_id = asked.id
                      GROUP BY asked.id
                       ) last_use
                 WHERE patron.id = last_use.id
                   AND patron.last_use_date IS DISTINCT FROM last_use.date
                """,
                ids=list(self._ids),
            )
        )
        self.invalidate_recordset(["last_use_date"])

    # ------------------------------------------------------------
    # MINORS
    # ------------------------------------------------------------

    def _get_minors(self):
        """Those of these patrons who are minors."""
        patrons = self._origin
        minors = {
            patron_id
            for (patron_id,) in self.env.execute_query(self._query_minors(patrons))
        }
        return patrons.filtered(lambda patron: patron.id in minors)

    @api.model
    def _sql_is_younger(self, years, day):
        """Whether the row ``patron`` is younger than so many years on a day. Where only
        the year of birth is known, the whole year of that birthday counts as younger;
        where nothing is known, the kind of the category decides. Nobody is younger than
        0 years.

        Everything that is not done with children asks here, each with its own age.

        :param years: a number, or SQL that gives one
        :param day: a date, or SQL that gives one
        :rtype: odoo.tools.SQL
        """
        return SQL(
            """
            (
                %(years)s > 0
                AND CASE
                    WHEN patron.birth_date IS NOT NULL
                    THEN patron.birth_date
                         > %(day)s::date - make_interval(years => %(years)s)
                    WHEN patron.birth_year > 0
                    THEN patron.birth_year
                         >= date_part('year', %(day)s::date) - %(years)s
                    ELSE COALESCE(
                        patron.patron_category_id IN (
                            SELECT id
                              FROM library_patron_category
                             WHERE kind IN ('child', 'young_adult')
                        ),
                        FALSE
                    )
                    END
            )
            """,
            years=years,
            day=day,
        )

    @api.model
    def _is_younger(self, birth_date, years):
        """Whether somebody who is no patron yet is younger than so many years today;
        see :meth:`_sql_is_younger`."""
        [(is_younger,)] = self.env.execute_query(
            SQL(
                """
                SELECT %s
                  FROM (
                        SELECT %s::date AS birth_date,
                               NULL::integer AS birth_year,
                               NULL::integer AS patron_category_id
                       ) patron
                """,
                self._sql_is_younger(years, fields.Date.context_today(self)),
                birth_date,
            )
        )
        return is_younger

    @api.model
    def _query_minors(self, patrons=None, alone_on=None):
        """The patrons who are younger than the age of own consent of their library; see
        :meth:`_sql_is_younger`.

        :param patrons: where only these are asked about
        :param str alone_on: only those for whom nobody else can be written to on this
            channel
        :return: SQL that gives patron ids
        :rtype: odoo.tools.SQL
        """
        self.flush_model(
            ["birth_date", "birth_year", "company_id", "guardian_id", "partner_id"]
            + ["patron_category_id"]
        )
        self.env["library.patron.category"].flush_model(["kind"])
        self.env["res.company"].flush_model(["library_minor_age"])
        self.env["res.partner"].flush_model(["email_normalized", "phone_sanitized"])
        alone = {
            "email": SQL("guardian_contact.email_normalized IS NULL"),
            "phone": SQL("guardian_contact.phone_sanitized IS NULL"),
            "post": SQL("guardian.id IS NULL"),
        }
        return SQL(
            """(
                SELECT patron.id
                  FROM library_patron patron
                  JOIN res_company company ON company.id = patron.company_id
             LEFT JOIN library_patron guardian ON guardian.id = patron.guardian_id
             LEFT JOIN res_partner guardian_contact
                    ON guardian_contact.id = guardian.partner_id
                 WHERE %(is_minor)s
                   AND %(alone)s
                   AND %(among)s
            )""",
            is_minor=self._sql_is_younger(
                SQL("company.library_minor_age"), fields.Date.context_today(self)
            ),
            alone=alone.get(alone_on, SQL("TRUE")),
            among=SQL("TRUE")
            if patrons is None
            else SQL("patron.id = ANY(%s)", list(patrons._ids)),
        )

    def _get_mail_recipients(self):
        """Who gets mail that is meant for each of these patrons; see
        :meth:`_get_recipients`."""
        return self._get_recipients("email_normalized")

    def _get_recipients(self, address):
        """Who gets what is meant for each of these patrons: the guardian of a minor,
        and of somebody without an address, where the guardian has one.

        :param str address: the field that it goes to
        :rtype: dict[library.patron, library.patron]
        """
        minors = self._get_minors()
        recipients = {}
        for patron in self:
            guardian = patron.sudo().guardian_id
            is_guarded = guardian[address] and (patron in minors or not patron[address])
            recipients[patron] = guardian.sudo(self.env.su) if is_guarded else patron
        return recipients

    def _mail_get_partners(self, introspect_fields=False):
        partners = super()._mail_get_partners(introspect_fields=introspect_fields)
        for patron, recipient in self._get_mail_recipients().items():
            if recipient != patron:
                partners[patron.id] = recipient.sudo().partner_id.sudo(self.env.su)
        return partners

    # ------------------------------------------------------------
    # WHO AGREES, AND BY WHICH LINK
    # ------------------------------------------------------------

    def _get_speakers(self):
        """Who agrees for each of these patrons: the guardian for a minor who has one,
        everybody else for themselves.

        :rtype: dict[library.patron, library.patron]
        """
        minors = self._get_minors()
        return {
            patron: patron.guardian_id if patron in minors else patron
            for patron in self
        }

    def _get_family(self):
        """Those with whom these patrons live, as far as the library knows: members of
        the household, guardians, and the children of the same guardian."""
        guardians = self | self.guardian_id
        return (
            self.household_id.patron_ids | guardians | guardians.dependant_ids
        ) - self

    def _get_spoken_for(self):
        """The patrons for whom these agree: themselves, unless they are minors, and
        the minors whom they guard."""
        dependants = self.dependant_ids
        minors = (self | dependants)._get_minors()
        return (self - minors) | (dependants & minors)

    def _get_link(self, page):
        """The address of a page that this patron may open without a login. It holds
        for a time, and as long as the patron has the address it was sent to.

        Only the system makes one, for a mail to that address: to a member of staff who
        fills in a text with it, it would open the page in the patron's name. They get
        the address at which the patron asks for it.

        :param str page: a key of ``_LINK_DAYS``
        """
        self.ensure_one()
        if not self.env.su:
            return f"{self.get_base_url()}/library_crm/preferences"
        patron = self.sudo()
        mark = patron._get_address_mark()
        token = hash_sign(
            patron.env,
            f"library_crm-{page}",
            [patron.id, mark],
            expiration=timedelta(days=self._LINK_DAYS[page]),
        )
        return f"{patron.get_base_url()}/library_crm/{page}/{token}"

    @api.model
    def _find_by_link(self, page, token):
        """Whose link it is.

        :return: the ``library.patron`` as superuser; none if the link is forged, has
            expired or went to an address that is no longer the patron's
        """
        env = self.env(su=True)
        try:
            signed = verify_hash_signed(env, f"library_crm-{page}", token)
        except ValueError:
            signed = None
        if not signed:
            return env[self._name]
        patron_id, mark = signed
        patron = env[self._name].browse(patron_id).exists()
        return patron.filtered(
            lambda patron: (
                patron.email_normalized and patron._get_address_mark() == mark
            )
        )

    def _get_address_mark(self):
        """Tells one address of the patron from another, and says nothing of it to who
        reads the logs of a web server."""
        address = self.email_normalized or ""
        return hmac(self.env(su=True), "library_crm-address", address)[:16]

    @api.model
    def _ask_for_preferences_links(self, email):
        """Somebody at this address asks for the link to the preferences. A job writes
        the mails, so that nothing tells whether there is anybody: neither the answer
        nor how long it takes."""
        address = email_normalize(email or "", strict=False)
        if address:
            patrons = self.sudo().search([("email_normalized", "=", address)])
            patrons.preferences_asked_at = fields.Datetime.now()
        self.env.ref("library_crm.ir_cron_send_preferences_links").sudo()._trigger()

    @api.model
    def _cron_send_preferences_links(self):
        """Send whoever asked for it the link to their preferences, but not again and
        again."""
        has_asked = [("preferences_asked_at", "!=", False)]
        asked = self.search(has_asked, limit=self._LINK_BATCH)
        now = fields.Datetime.now()
        patrons = asked.filtered(
            lambda patron: (
                patron._get_spoken_for()
                and (
                    not patron.preferences_sent_at
                    or patron.preferences_sent_at <= now - self._LINK_PAUSE
                )
            )
        )
        asked.preferences_asked_at = False
        patrons.preferences_sent_at = now
        patrons._send_link("library_crm.mail_template_preferences")
        self.env["ir.cron"]._commit_progress(
            len(asked), remaining=self.search_count(has_asked)
        )

    def _send_link(self, template):
        """Queue a mail to each of these patrons, and have the queue seen to soon.

        :param str template: xml id of a ``mail.template``
        """
        patrons = self.filtered("email_normalized")
        if patrons:
            self.env.ref(template).sudo().send_mail_batch(patrons.ids)
            self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()

    def _has_confirmed_email(self):
        return bool(self.email_confirmed) and (
            self.email_confirmed == self.email_normalized
        )

    def _confirm_email(self):
        """The patron has proved the address: what waits for that is given."""
        self.ensure_one()
        self.email_confirmed = self.email_normalized
        return self.env["library.consent"]._confirm(self._get_spoken_for())

    @api.model
    def _stop_email(self, email, source, proof=None):
        """Mail to this address came back, or its reader complained: write no more
        there than what belongs to the service. A new address lifts nothing by itself;
        whoever wants mail agrees anew.

        :param str source: ``bounce`` or ``complaint``
        :param str proof: what the mail server said
        :return: the new rows of the ledger
        """
        address = email_normalize(email, strict=False)
        if not address:
            return self.env["library.consent"]
        patrons = self.with_context(active_test=False).search(
            [("email_normalized", "=", address)]
        )
        if source == "bounce":
            patrons.email_bounced = address
        return self.env["library.consent"]._stop(
            patrons._get_spoken_for(), source, proof
        )

    # ------------------------------------------------------------
    # MAILING
    # ------------------------------------------------------------

    def _mailing_get_default_domain(self, mailing):
        """A mailing made from a list of patrons starts with those patrons."""
        return literal_eval(self.env.context.get("default_mailing_domain") or "[]")

    @api.model
    def _check_mailing_domain(self, domain):
        """Recipients are computed by the system, so a domain may only ask what its
        writer may read; or else who is written to would tell a birth date.

        :raise AccessError: if the user may not read a field of the domain
        """
        self.search_count(domain, limit=1)

    @api.model
    def _check_recipients(self, model, domain):
        """The same for whatever a mailing is written to: from contacts and requests too
        a question leads to what the library knows.

        :param str model: of the recipients
        :raise AccessError: if the user may not read a field of the domain
        """
        if not model:
            return
        records = self.env[model]
        for condition in Domain(domain).iter_conditions():
            step, is_ours = records, "any" in condition.operator
            for name in condition.field_expr.split("."):
                is_ours = is_ours or step._name.startswith("library.")
                field = step._fields.get(name)
                if field and field.relational:
                    step = self.env[field.comodel_name]
            if is_ours or step._name.startswith("library."):
                records.search_count(domain, limit=1)
                return

    def action_new_mailing(self):
        """Begin a mailing to these patrons. Where the whole result of a search was
        chosen, the mailing keeps the search, so that it is read anew on sending."""
        domain = self.env.context.get("active_domain")
        if domain is None or self.search_count(domain) != len(self):
            domain = [("id", "in", self.ids)]
        return self._prepare_new_mailing(domain)

    @api.model
    def _prepare_new_mailing(self, domain):
        """Begin a mailing to the patrons of a domain."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("New Mailing"),
            "res_model": "mailing.mailing",
            "view_mode": "form",
            "context": {
                "default_mailing_model_id": self.env["ir.model"]._get_id(self._name),
                "default_mailing_domain": repr(domain),
            },
        }

    def _mail_get_operation_for_mail_message_operation(self, message_operation):
        """What staff write to each other about a patron is for those who serve the
        patron; reading the patron (as marketing does) is not enough."""
        return dict.fromkeys(self, "write")

    def message_subscribe(self, partner_ids=None, subtype_ids=None):
        """Nor is it enough to follow what is written."""
        self.check_access("write")
        return super().message_subscribe(
            partner_ids=partner_ids, subtype_ids=subtype_ids
        )

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_log_visit(self):
        """Log a visit at the branch where the user sits: one click."""
        self.ensure_one()
        self.check_access("read")
        visit = self.env.ref("library_crm.library_service_visit")
        self.env["library.service.usage"].create(
            {
                "patron_id": self.id,
                "service_id": visit.id,
                "branch_id": (self.env.user.library_branch_id or self.branch_id).id,
            }
        )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._(
                    "Visit logged for %(name)s.", name=self.complete_name
                ),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def action_renew_membership(self):
        """Renew the current membership; see ``library.membership.action_renew``."""
        self.membership_id.action_renew()

    def action_take_request(self):
        """Write down what the patron asks for."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("New Request"),
            "res_model": "crm.lead",
            "view_mode": "form",
            "views": [
                (self.env.ref("library_crm.library_request_view_form").id, "form")
            ],
            "context": self._get_request_context(),
        }

    def _get_request_context(self):
        """Defaults of a new request of this patron."""
        return {
            "default_library_patron_id": self.id,
            "default_partner_id": self.partner_id.id,
            "default_type": "opportunity",
            "default_library_request_kind": "reference",
        }

    def action_view_contact(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "res.partner",
            "view_mode": "form",
            "res_id": self.partner_id.id,
        }

    def action_view_uses(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_service_usage_action"
            ),
            "domain": [("patron_id", "=", self.id)],
            "context": {"default_patron_id": self.id, "search_default_last_year": 1},
        }

    def action_view_requests(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_request_action"
            ),
            "domain": [("library_patron_id", "=", self.id)],
            "context": {"active_test": False, **self._get_request_context()},
        }

    def action_view_memberships(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_membership_action"
            ),
            "domain": [("patron_id", "=", self.id)],
            "context": {"default_patron_id": self.id},
        }

    def action_view_journeys(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_journey_enrolment_action"
            ),
            "domain": [("patron_id", "=", self.id)],
            "context": {},
        }

    def action_view_mailing_traces(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_mailing_trace_action"
            ),
            "domain": [("library_patron_id", "=", self.id)],
        }

    # ------------------------------------------------------------
    # THE CHART ON THE FORM
    # ------------------------------------------------------------

    @api.readonly
    def get_use_by_month(self):
        """What the patron used in the last 12 months, for the chart of the form.

        :return: ``{"months": [first day of each of 12 months, ISO], "services":
            [{"name": str, "quantities": [int, one a month]}]}``, the most used
            service first, the least used ones together at the end
        :rtype: dict
        """
        self.ensure_one()
        this_month = fields.Date.context_today(self).replace(day=1)
        months = [this_month - relativedelta(months=back) for back in range(11, -1, -1)]
        place = {month: index for index, month in enumerate(months)}
        quantities = {}
        for service, month, quantity in self.env["library.service.usage"]._read_group(
            [
                ("patron_id", "=", self.id),
                ("date", ">=", months[0]),
                ("date", "<", this_month + timedelta(days=31)),
            ],
            ["service_id", "date:month"],
            ["quantity:sum"],
        ):
            row = quantities.setdefault(service, [0] * 12)
            if month in place:
                row[place[month]] = quantity
        services = [
            {"name": service.name, "quantities": row}
            for service, row in sorted(
                quantities.items(), key=lambda item: -sum(item[1])
            )
        ]
        if rest := services[self._USE_CHART_SERVICES :]:
            services[self._USE_CHART_SERVICES :] = [
                {
                    "name": self.env._("Other services"),
                    "quantities": [
                        sum(month)
                        for month in zip(
                            *(service["quantities"] for service in rest), strict=True
                        )
                    ],
                }
            ]
        return {
            "months": [fields.Date.to_string(month) for month in months],
            "services": services,
        }

    # ------------------------------------------------------------
    # WHAT IS AGREED TO, ON THE FORM
    # ------------------------------------------------------------

    @api.readonly
    def get_consents(self):
        """What holds for the patron, for the block on the form.

        :return: ``{"channels": [{"key", "label"}], "can_change": bool, "purposes":
            [{"id", "name", "description", "rows": {channel: {"state", "label",
            "source", "date"}}}]}``
        :rtype: dict
        """
        self.ensure_one()
        self.check_access("read")
        Consent = self.env["library.consent"]
        newest = Consent._get_newest(self)
        labels = {
            name: dict(Consent._fields[name]._description_selection(self.env))
            for name in ("channel", "state", "source")
        }
        return {
            "channels": [
                {"key": key, "label": label} for key, label in labels["channel"].items()
            ],
            "can_change": Consent.has_access("create"),
            "purposes": [
                {
                    "id": purpose.id,
                    "name": purpose.name,
                    "description": purpose.description or "",
                    "rows": {
                        channel: {
                            "state": row.state,
                            "label": labels["state"][row.state],
                            "source": labels["source"][row.source],
                            "date": format_date(self.env, row.date),
                        }
                        for (_patron, purpose_id, channel), row in newest.items()
                        if purpose_id == purpose.id
                    },
                }
                for purpose in Consent._get_offered_purposes()
            ],
        }

    def set_consent(self, purpose_id, channel, is_given):
        """The patron says at the desk what they agree to, or take it back: one click.

        :return: as :meth:`get_consents`
        """
        self.ensure_one()
        self.check_access("read")
        self.env["library.consent"]._record(
            self,
            self.env["library.consent.purpose"].browse(purpose_id),
            channel,
            "given" if is_given else "withdrawn",
        )
        return self.get_consents()

    # ------------------------------------------------------------
    # THE PATRON'S OWN PAGE
    # ------------------------------------------------------------

    def _note_occasion(self, event, key="once", date=None):
        """Tell that these patrons have done something by themselves that leaves no row
        of use; a hook for whoever thanks them. Here nothing is kept of it. To be called
        with sudo.

        :param str event: ``interests`` (filled in) or ``survey`` (answered)
        :param str key: what tells it apart from others of the kind, so that none
            counts twice
        :param datetime.date date: its day, empty: today
        """

    def _get_renewal_obstacle(self):
        """Why nobody can ask for a renewal now, in words for the patron or guardian.

        :return: the reason; empty where a renewal can be asked for
        :rtype: str
        """
        self.ensure_one()
        membership = self.membership_id
        if not membership:
            return self.env._(
                "There is no membership yet. Please ask at the library how to join."
            )
        if membership.state == "draft":
            return self.env._(
                "The membership has not begun yet, so there is nothing to renew."
            )
        if membership.state == "suspended":
            return self.env._(
                "The membership is suspended. Please talk to the library first."
            )
        if membership.state == "cancelled":
            return self.env._(
                "The membership was cancelled. Please ask the library for a new one."
            )
        if not membership.date_end or not membership.plan_id.period_count:
            return self.env._("The membership never ends: there is nothing to renew.")
        first_day = membership._get_renewable_from()
        if first_day and fields.Date.context_today(self) < first_day:
            return self.env._(
                "You can ask for a renewal from %(date)s on.",
                date=format_date(self.env, first_day),
            )
        return ""

    def _get_open_renewal_requests(self):
        """Renewals that were asked for and are not dealt with; read as superuser,
        since patrons have no rights on requests."""
        return (
            self.env["crm.lead"]
            .sudo()
            .search(
                [
                    ("library_patron_id", "in", self.ids),
                    ("library_request_kind", "=", "renewal"),
                    ("won_status", "=", "pending"),
                ]
            )
        )

    def _request_renewal(self):
        """Pass the patron's wish on to the staff: one open request at most.

        The caller has made sure that the user may ask for this patron.

        :return: the request, or none where one is open or a renewal is not possible
        """
        self.ensure_one()
        # Of two requests sent at once the second waits here, is refused by the
        # database because the row has changed, and is tried again by Odoo: then it
        # sees what the first one made.
        self.env.cr.execute(
            SQL("UPDATE library_patron SET id = id WHERE id = %s", self.id)
        )
        if self._get_renewal_obstacle() or self._get_open_renewal_requests():
            return self.env["crm.lead"]
        return (
            self.env["crm.lead"]
            .sudo()
            .with_company(self.company_id)
            .with_context(mail_create_nosubscribe=True)
            .create(self._prepare_renewal_request_values())
        )

    def _prepare_renewal_request_values(self):
        """Values of the request for a renewal, in the library's language; a hook."""
        lang = self.company_id.sudo().partner_id.lang or self.env.lang
        env = self.with_context(lang=lang).env
        return {
            "name": env._("Renewal: %(patron)s", patron=self.complete_name),
            "library_request_kind": "renewal",
            "library_patron_id": self.id,
            "company_id": self.company_id.id,
            "user_id": self.liaison_id.id,
            "description": env._(
                "Asked for in the portal by %(name)s.", name=self.env.user.name
            ),
        }
