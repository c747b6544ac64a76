from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain
from odoo.tools import SQL, email_normalize
from odoo.tools.misc import hash_sign, verify_hash_signed


def _is_one_name(*names):
    """Capitals and spaces around do not count."""
    return len({(name or "").strip().casefold() for name in names}) == 1


class LibraryJoin(models.Model):
    """Somebody who filled in the join form.

    Anybody can type anybody's address, so nothing of it reaches the requests before
    the address has confirmed it. What was typed is kept only as long as it is needed:
    7 days without a confirmation, or until there is a patron. Then the row tells no
    longer who it was, only that there was somebody, so that reports can count.
    """

    _name = "library.join"
    _description = "Filled-in Join Form"
    _inherit = ["utm.mixin"]
    _order = "id desc"
    _check_company_auto = True
    _library_personal_data = {"*": "join"}

    _CONFIRM_DAYS = 7
    # Mails to one address, by hours. How many forms one place may send is said in
    # ``library.public.limit``.
    _MAX_BY_ADDRESS = {1: 3, 24: 6}
    _SEND_AGAIN_MINUTES = 10
    _PERSONAL_FIELDS = (
        *("name", "birth_date", "email", "phone", "street", "zip", "city"),
        *("guardian_name", "guardian_email", "email_normalized", "agreed_wordings"),
    )

    state = fields.Selection(
        [
            ("asked", "Waits for confirmation"),
            ("confirmed", "Confirmed"),
            ("refused", "Refused"),
            ("done", "Became a patron"),
            ("expired", "Not confirmed"),
        ],
        required=True,
        readonly=True,
        default="asked",
        index=True,
    )
    company_id = fields.Many2one(
        "res.company", string="Library", required=True, readonly=True, index=True
    )
    branch_id = fields.Many2one(
        "library.branch",
        string="Home Branch",
        check_company=True,
        index="btree_not_null",
        ondelete="set null",
    )
    patron_category_id = fields.Many2one(
        "library.patron.category",
        string="Category",
        check_company=True,
        index="btree_not_null",
        ondelete="set null",
    )
    who = fields.Selection(
        [("self", "For me"), ("child", "For my child")],
        string="For Whom",
        required=True,
        default="self",
    )
    name = fields.Char()
    birth_date = fields.Date()
    email = fields.Char()
    phone = fields.Char()
    street = fields.Char()
    zip = fields.Char()
    city = fields.Char()
    guardian_name = fields.Char(string="Guardian")
    guardian_email = fields.Char(string="Email of the Guardian")
    email_normalized = fields.Char(
        string="Written to",
        compute="_compute_email_normalized",
        store=True,
        index="btree_not_null",
        help="The guardian where there is one; whoever has this address confirms.",
    )
    interest_ids = fields.Many2many("library.interest", string="Interests")
    agreed_wordings = fields.Json(
        help="The version of the wording that was shown, by purpose agreed to."
    )
    purpose_ids = fields.Many2many(
        "library.consent.purpose", string="Agreed to", compute="_compute_purpose_ids"
    )
    heard_of = fields.Selection(
        [
            ("friend", "From friends or family"),
            ("visit", "I came by"),
            ("school", "At school or work"),
            ("event", "At an event"),
            ("press", "In the press"),
            ("poster", "A poster or leaflet"),
            ("social", "On social media"),
            ("search", "I looked for it on the web"),
            ("other", "In another way"),
        ],
        string="Heard of Us",
    )
    lang = fields.Char(string="Language")
    sent_on = fields.Datetime(string="Last Mail", readonly=True)
    confirmed_on = fields.Datetime(readonly=True)
    closed_on = fields.Datetime(readonly=True)
    lead_id = fields.Many2one(
        "crm.lead",
        string="Request",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    _forgotten = models.Constraint(
        "CHECK (state NOT IN ('done', 'expired') OR COALESCE(name, email, phone, "
        "street, zip, city, guardian_name, guardian_email, email_normalized) IS NULL "
        "AND birth_date IS NULL AND agreed_wordings IS NULL)",
        "Who became a patron or did not confirm must be forgotten here.",
    )

    @api.depends("email", "guardian_email")
    def _compute_email_normalized(self):
        for join in self:
            address = join.guardian_email or join.email
            join.email_normalized = address and email_normalize(address)

    @api.depends("agreed_wordings")
    def _compute_purpose_ids(self):
        Purpose = self.env["library.consent.purpose"]
        for join in self:
            join.purpose_ids = Purpose.browse(
                int(purpose_id) for purpose_id in join.agreed_wordings or {}
            ).exists()

    @api.depends("name", "state")
    def _compute_display_name(self):
        for join in self:
            join.display_name = join.name or self.env._("Forgotten")

    # ------------------------------------------------------------
    # ASKED
    # ------------------------------------------------------------

    @api.model
    def _is_over(self, domain, limits):
        now = fields.Datetime.now()
        return any(
            self.search_count(
                Domain(domain)
                & Domain("create_date", ">", now - timedelta(hours=hours)),
                limit=most,
            )
            >= most
            for hours, most in limits.items()
        )

    @api.model
    def _ask(self, values):
        """Keep a form and write to whoever is said to have filled it in.

        To be called with sudo. An address that was written to often enough is left
        alone: nothing is kept, and nobody is told.

        :param dict values: of the fields
        :return: the new ``library.join``, or none
        """
        mail_address = email_normalize(values.get("guardian_email") or values["email"])
        if self._is_over(
            [("email_normalized", "=", mail_address)], self._MAX_BY_ADDRESS
        ):
            return self.browse()
        join = self.create(values)
        join._send_first_mail()
        return join

    def _find_patron_at_address(self):
        """The patron who this seems to be, if the address written to is the patron's.

        Whoever asks with another address is not told that there is a card: it would
        tell a stranger who knows name and birth date. The staff see it later.
        """
        self.ensure_one()
        found = (
            self.env["library.patron"]
            ._find_duplicates(
                self.company_id, email=self.email_normalized, name=self.name
            )
            .filtered("active")
        )
        if self.guardian_email:
            # A guardian may well have a card; the question is whether the child does.
            return (found | found.dependant_ids).filtered(
                lambda patron: (
                    self.email_normalized
                    in (patron.email_normalized, patron.guardian_id.email_normalized)
                    and (
                        _is_one_name(self.name, patron.complete_name)
                        or self.birth_date == patron.birth_date
                    )
                )
            )[:1]
        return found.filtered(
            lambda patron: patron.email_normalized == self.email_normalized
        )[:1]

    def _find_guardian(self):
        """The patron who is the guardian: has the address that confirmed, and the
        name, since families share addresses."""
        if not self.guardian_email:
            return self.env["library.patron"]
        return (
            self.env["library.patron"]
            ._find_duplicates(self.company_id, email=self.guardian_email)
            .filtered(
                lambda patron: (
                    patron.active
                    and not patron.guardian_id
                    and _is_one_name(self.guardian_name, patron.complete_name)
                )
            )[:1]
        )

    # ------------------------------------------------------------
    # CONFIRMED
    # ------------------------------------------------------------

    def _get_token(self):
        """Lets whoever reads the mail confirm: signed, for this form and address, and
        for a week."""
        self.ensure_one()
        return hash_sign(
            self.env(su=True),
            "library_join_confirm",
            [self.id, self.email_normalized],
            expiration_hours=24 * self._CONFIRM_DAYS,
        )

    @api.model
    def _find_by_token(self, token):
        """
        :return: the form that the token was made for, as superuser; empty if it is
            forged or too old, or the form is forgotten
        """
        try:
            values = verify_hash_signed(
                self.env(su=True), "library_join_confirm", token
            )
        except (ValueError, IndexError):
            values = None
        join_id, address = values or (0, False)
        return self.sudo().search(
            [
                ("id", "=", join_id),
                ("email_normalized", "=", address),
                ("state", "!=", "expired"),
            ]
        )

    def _get_confirm_url(self):
        """Only the system makes it, for the mail to that address: with it staff could
        confirm for somebody else."""
        if not self.env.su:
            return f"{self.get_base_url()}/library/join"
        return f"{self.get_base_url()}/library/join/confirm/{self._get_token()}"

    def _confirm(self):
        """Take over what was typed as a request: one, however often it is confirmed.

        To be called with sudo.

        :return: the request (``crm.lead``)
        """
        self.ensure_one()
        # Of two confirmations at once the second waits here, is refused by the
        # database because the row has changed, and is tried again by Odoo.
        self.env.cr.execute(
            SQL("UPDATE library_join SET id = id WHERE id = %s", self.id)
        )
        if self.state != "asked":
            return self.lead_id
        lead = self._take_over_earlier_request() or self._make_request()
        self.write(
            {
                "state": "confirmed",
                "confirmed_on": fields.Datetime.now(),
                "lead_id": lead.id,
            }
        )
        self._send("library_crm.mail_template_join_received")
        return lead

    def _make_request(self):
        """A request at the stage where the form is filled in, if its team has that."""
        lead = (
            self.env["crm.lead"]
            .with_company(self.company_id)
            .with_context(mail_create_nosubscribe=True)
            .create(self._prepare_lead_values())
        )
        stage = self.env.ref(
            "library_crm.crm_stage_acquisition_form", raise_if_not_found=False
        )
        if stage and lead.team_id in stage.team_ids:
            lead.stage_id = stage
        return lead

    def _take_over_earlier_request(self):
        """Whoever filled in the form twice is one person with one request: what was
        said last holds."""
        earlier = self.search(
            [
                ("state", "=", "confirmed"),
                ("company_id", "=", self.company_id.id),
                ("email_normalized", "=", self.email_normalized),
                ("birth_date", "=", self.birth_date),
                ("lead_id.won_status", "=", "pending"),
            ]
        ).filtered(lambda join: _is_one_name(self.name, join.name))[:1]
        lead = earlier.lead_id
        if lead:
            earlier.unlink()
            values = self._prepare_lead_values()
            lead.write(
                {
                    name: values[name]
                    for name in ("phone", "street", "zip", "city", "description")
                }
            )
        return lead

    def _prepare_lead_values(self):
        """Values of the request, in the library's language; a hook. Birth date and
        guardian stay here: marketing works on requests, too."""
        lang = self.company_id.partner_id.lang or self.env.lang
        env = self.with_context(lang=lang).env
        told = self.with_env(env)
        lines = [
            (env._("Category"), told.patron_category_id.name),
            (env._("Interests"), ", ".join(told.interest_ids.mapped("name"))),
            (
                env._("Heard of us"),
                dict(self._fields["heard_of"]._description_selection(env)).get(
                    self.heard_of
                ),
            ),
        ]
        return {
            "name": env._("Card for %(name)s", name=self.name),
            "library_request_kind": "joining",
            "company_id": self.company_id.id,
            "library_branch_id": self.branch_id.id,
            "user_id": False,
            "contact_name": self.name,
            "email_from": self.email_normalized,
            "phone": self.phone,
            "street": self.street,
            "zip": self.zip,
            "city": self.city,
            "country_id": self.company_id.country_id.id,
            "lang_id": self.env["res.lang"]._get_data(code=self.lang).id,
            "source_id": self.source_id.id,
            "medium_id": self.medium_id.id,
            "campaign_id": self.campaign_id.id,
            "description": Markup().join(
                Markup("<p>%s: %s</p>") % line for line in lines if line[1]
            ),
        }

    # ------------------------------------------------------------
    # ANSWERED
    # ------------------------------------------------------------

    def _prepare_patron_values(self):
        """What the patron takes from the form beside what the request tells; a hook."""
        self.ensure_one()
        return {
            "birth_date": self.birth_date,
            "email": self.email_normalized,
            "phone": self.phone,
            "interest_ids": [Command.link(id_) for id_ in self.interest_ids.ids],
        }

    def _prepare_guardian_values(self):
        """Values of a guardian who is no patron yet: known, without a card; a hook."""
        self.ensure_one()
        return {
            "name": self.guardian_name,
            "email": self.guardian_email,
            "company_id": self.company_id.id,
            "branch_id": self.branch_id.id,
            "lang": self.lang or self.env.lang,
        }

    def _complete(self, patron, is_new):
        """There is a patron: write what was agreed into the ledger, say so, and forget
        what was typed. To be called with sudo.

        :param patron: the ``library.patron``
        :param bool is_new: or who was found to have a card already
        """
        for join in self.filtered(lambda join: join.state in ("confirmed", "refused")):
            join.lead_id.library_patron_id = patron
            join._record_consents(patron)
            join._send(
                "library_crm.mail_template_join_welcome"
                if is_new
                else "library_crm.mail_template_join_known"
            )
            join._forget("done")

    def _record_consents(self, patron):
        """What was agreed to by email holds for the address that confirmed it: the
        patron's, or that of the guardian."""
        if patron.email_normalized != self.email_normalized:
            return
        confirmed = patron | patron._get_speakers()[patron]
        for person in confirmed.filtered(
            lambda person: person.email_normalized == self.email_normalized
        ):
            person.email_confirmed = person.email_normalized
        self.env["library.consent"]._record(
            patron,
            self.purpose_ids,
            source="form",
            date=self.confirmed_on,
            wording_versions=self.agreed_wordings,
        )

    def _refuse(self):
        """The staff dropped the request: say so, with the reason. To be called with
        sudo."""
        for join in self.filtered(lambda join: join.state == "confirmed"):
            join.write({"state": "refused", "closed_on": fields.Datetime.now()})
            join._send("library_crm.mail_template_join_refused")

    def _reopen(self):
        """The staff took the request up again. To be called with sudo."""
        self.filtered(lambda join: join.state == "refused" and join.name).write(
            {"state": "confirmed", "closed_on": False}
        )

    def _forget(self, state):
        """Keep what reports count, and not who it was."""
        self.write(
            {
                **dict.fromkeys(self._PERSONAL_FIELDS, False),
                "interest_ids": [Command.clear()],
                "state": state,
                "closed_on": fields.Datetime.now(),
            }
        )

    @api.model
    def _get_closed_domain(self, before):
        """Those whose request was decided before a day, or was deleted, and which still
        tell who it was."""
        confirmed = Domain("state", "=", "confirmed")
        refused = (
            Domain("state", "=", "refused")
            & Domain("name", "!=", False)
            & Domain("closed_on", "<", before)
        )
        return (
            refused
            | (confirmed & Domain("lead_id", "=", False))
            | (
                confirmed
                & Domain("lead_id.date_closed", "<", before)
                & Domain("lead_id.won_status", "in", ("won", "lost"))
            )
        )

    # ------------------------------------------------------------
    # MAILS
    # ------------------------------------------------------------

    def _send(self, template):
        """Put a mail of a template into the queue, which is then worked on at once.
        Sending it here would let a page tell by its slowness what is in the mail."""
        for join in self:
            self.env.ref(template).with_company(join.company_id).send_mail(join.id)
        self.env.ref("mail.ir_cron_mail_scheduler_action")._trigger()

    def _send_first_mail(self):
        self.sent_on = fields.Datetime.now()
        self._send(
            "library_crm.mail_template_join_known"
            if self._find_patron_at_address()
            else "library_crm.mail_template_join_confirm"
        )

    def action_send_again(self):
        """For whom the first mail did not reach.

        :raise UserError: if it has just been sent, or was confirmed
        """
        self.ensure_one()
        self.check_access("read")
        join = self.sudo()
        a_while_ago = fields.Datetime.now() - timedelta(
            minutes=self._SEND_AGAIN_MINUTES
        )
        if join.state != "asked" or (join.sent_on and join.sent_on > a_while_ago):
            raise UserError(
                self.env._(
                    "Send the mail again: it was confirmed, or the last one has only "
                    "just left. Wait %(minutes)s minutes, and look whether the address "
                    "is right.",
                    minutes=self._SEND_AGAIN_MINUTES,
                )
            )
        join._send_first_mail()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("The mail is on its way."),
            },
        }

    def _get_sender(self):
        """The branch where it has an address for mails, else the library."""
        return (
            self.branch_id.partner_id.email_formatted
            or self.company_id.email_formatted
            or self.env.ref("base.partner_root").email_formatted
        )

    def _get_own_page_url(self):
        return f"{self.get_base_url()}/my/library"
