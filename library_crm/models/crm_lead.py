from odoo import api, fields, models
from odoo.fields import Domain


class CrmLead(models.Model):
    """A request of a patron, or of somebody who may become one."""

    _inherit = "crm.lead"
    _library_personal_data = {
        "library_request_kind": "request",
        "library_patron_id": "request",
        "library_branch_id": "request",
        "library_service_id": "request",
        "name": "request",
        "contact_name": "request",
        "partner_id": "request",
        "partner_name": "request",
        "email_from": "request",
        "phone": "request",
        "street": "request",
        "street2": "request",
        "zip": "request",
        "city": "request",
        "description": "request",
        "lang_id": "request",
        "user_id": "staff",
    }

    _LIBRARY_PURPOSE_OF_KIND = {
        "joining": "acquisition",
        "win_back": "win_back",
    }

    library_request_kind = fields.Selection(
        [
            ("joining", "Joining"),
            ("renewal", "Renewal"),
            ("reference", "Reference"),
            ("consultation", "Consultation"),
            ("suggestion", "Suggestion"),
            ("complaint", "Complaint"),
            ("outreach", "Outreach or partnership"),
            ("win_back", "Win back"),
            ("correction", "Correction of data"),
            ("erasure", "Erasure of data"),
        ],
        string="Kind of Request",
        index="btree_not_null",
        tracking=True,
    )
    library_patron_id = fields.Many2one(
        "library.patron",
        string="Patron",
        index="btree_not_null",
        check_company=True,
        ondelete="set null",
        tracking=True,
    )
    library_branch_id = fields.Many2one(
        "library.branch",
        string="Branch",
        compute="_compute_library_branch_id",
        store=True,
        readonly=False,
        index="btree_not_null",
        check_company=True,
        ondelete="set null",
    )
    library_service_id = fields.Many2one(
        "library.service",
        string="Service",
        check_company=True,
        index="btree_not_null",
        ondelete="set null",
    )
    library_join_ids = fields.One2many(
        "library.join",
        "lead_id",
        string="Filled-in Join Form",
        groups="library_crm.group_library_user",
        help="What was typed on the page; one at most.",
    )
    library_team_purpose = fields.Selection(related="team_id.library_purpose")

    @api.depends("library_patron_id")
    def _compute_library_branch_id(self):
        for lead in self:
            lead.library_branch_id = (
                lead.library_branch_id
                or lead.library_patron_id.branch_id
                or (lead.library_request_kind and self.env.user.library_branch_id)
            )

    @api.depends("library_request_kind")
    def _compute_team_id(self):
        """A request goes to the team whose work it is."""
        requests = self.filtered("library_request_kind")
        result = super(CrmLead, self - requests)._compute_team_id()
        for lead in requests:
            purpose = lead._get_library_purpose()
            if lead.team_id.library_purpose != purpose:
                lead.team_id = self.env["crm.team"].search(
                    [
                        ("library_purpose", "=", purpose),
                        (
                            "company_id",
                            "in",
                            [False, (lead.company_id or self.env.company).id],
                        ),
                    ],
                    limit=1,
                )
        return result

    def _compute_company_id(self):
        """A request stays with its library, also while nobody looks after it."""
        requests = self.filtered(
            lambda lead: lead.library_request_kind and lead.company_id
        )
        return super(CrmLead, self - requests)._compute_company_id()

    def _get_library_purpose(self):
        """Which kind of team looks after a request; a hook.

        :rtype: str
        """
        return self._LIBRARY_PURPOSE_OF_KIND.get(self.library_request_kind, "service")

    @api.onchange("library_patron_id")
    def _onchange_library_patron_id(self):
        if self.library_patron_id:
            self.partner_id = self.library_patron_id.partner_id

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._complete_library_values(vals)
        leads = super().create(vals_list)
        # Numbers can be guessed: naming a patron must not tell who it is.
        leads.library_patron_id.check_access("read")
        return leads

    @api.model
    def _complete_library_values(self, vals):
        """A request is worked on at once (it is never a mere lead), and its contact
        is the patron's."""
        if not vals.get("library_request_kind"):
            return
        vals.setdefault("type", "opportunity")
        patron = self.env["library.patron"].browse(vals.get("library_patron_id"))
        if patron:
            vals.setdefault("partner_id", patron.partner_id.id)

    def write(self, vals):
        result = super().write(vals)
        if "library_patron_id" in vals:
            self.library_patron_id.check_access("read")
        if "library_branch_id" in vals:
            # Whoever works on the request sees the form that it came from.
            self.sudo().library_join_ids.branch_id = vals["library_branch_id"]
        return result

    def action_set_lost(self, **additional_values):
        """Who asked on the join form gets an answer."""
        result = super().action_set_lost(**additional_values)
        self.sudo().library_join_ids._refuse()
        return result

    def action_restore(self):
        result = super().action_restore()
        self.sudo().library_join_ids._reopen()
        return result

    # ------------------------------------------------------------
    # STAGES
    # ------------------------------------------------------------

    @api.model
    def _get_library_team_ids(self, team_ids):
        """Those of the teams that have stages of their own."""
        teams = self.env["crm.team"].browse(team_ids).sudo().exists()
        return teams.filtered("library_purpose").ids

    @api.model
    def _read_group_stage_ids(self, stages, domain):
        """The kanban of a library team shows the team's own stages only."""
        team_id = self.env.context.get("default_team_id")
        own = self._get_library_team_ids([team_id] if team_id else [])
        if not own:
            return super()._read_group_stage_ids(stages, domain)
        return stages.sudo().search(
            Domain("id", "in", stages.ids) | Domain("team_ids", "in", own)
        )

    def _stage_find(self, team_id=False, domain=None, order="sequence, id", limit=1):
        """A request of a library team takes the team's own stages."""
        own = self._get_library_team_ids([team_id] if team_id else self.team_id.ids)
        if own:
            domain = [*(domain or []), ("team_ids", "in", own)]
        return super()._stage_find(
            team_id=team_id, domain=domain, order=order, limit=limit
        )

    # ------------------------------------------------------------
    # FROM ENQUIRY TO PATRON
    # ------------------------------------------------------------

    def _find_library_duplicates(self):
        """Patrons of the same library who may be the person of this enquiry."""
        self.ensure_one()
        # Where a guardian has filled in the join form, address and phone say who the
        # guardian is, not who the child is.
        is_guarded = bool(self.sudo().library_join_ids.guardian_email)
        return self.env["library.patron"]._find_duplicates(
            self.company_id or self.env.company,
            email=not is_guarded and self.email_from,
            phone=not is_guarded and self.phone_sanitized,
            name=self.contact_name or self.partner_id.name,
        )

    def action_library_make_patron(self):
        """Open the dialogue that looks for duplicates and makes the patron."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Make a patron"),
            "res_model": "library.lead.to.patron",
            "view_mode": "form",
            "target": "new",
            "context": {"default_lead_id": self.id},
        }

    def action_view_library_patron(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "library.patron",
            "view_mode": "form",
            "res_id": self.library_patron_id.id,
        }

    def action_view_library_join(self):
        """What was typed on the join form."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Join Form"),
            "res_model": "library.join",
            "view_mode": "form",
            "res_id": self.library_join_ids[:1].id,
        }

    def action_library_erase(self):
        """Open the dialogue that erases the patron who asked for it."""
        self.ensure_one()
        return self.library_patron_id.action_erase()

    # ------------------------------------------------------------
    # ERASED
    # ------------------------------------------------------------

    def _get_library_forgotten_name(self):
        """What a request is called of which nobody is to know whose it was; a hook."""
        return self.env._("Request of a patron who was erased")

    def _library_forget(self):
        """Their patrons are erased: keep that there was a request, of which kind, when
        and what came of it; nothing in words, no name, address, file or meeting. To be
        called with sudo."""
        if not self:
            return
        emptied = {
            name: False
            for name, field in self._fields.items()
            if field.store
            and not field.required
            and not field.related
            and not (field.compute and field.readonly)
            and (
                field.type in ("char", "text", "html", "properties")
                or (
                    field.type == "many2one"
                    and field.comodel_name in ("library.patron", "res.partner")
                )
            )
        }
        emptied["lang_id"] = False
        self.library_join_ids.filtered(lambda join: join.name)._forget("refused")
        pointed = [("res_model", "=", self._name), ("res_id", "in", self.ids)]
        self.env["calendar.event"].with_context(dont_notify=True).search(
            ["|", ("opportunity_id", "in", self.ids), *(["&", *pointed])]
        ).unlink()
        self.activity_ids.unlink()
        self.env["mail.message"].search(
            [("model", "=", self._name), ("res_id", "in", self.ids)]
        ).unlink()
        self.env["ir.attachment"].search(pointed).unlink()
        self.message_unsubscribe(self.partner_id.ids)
        for lead in self.with_context(tracking_disable=True):
            lang = lead.company_id.partner_id.lang or self.env.lang
            name = lead.with_context(lang=lang)._get_library_forgotten_name()
            lead.write({**emptied, "name": name})

    def _library_forget_address(self, people):
        """Take addresses of people whose these are no more out of them: Odoo copies
        them when a request is given to somebody, and leaves them when it is given to
        somebody who has none. To be called with sudo.

        :param people: ``res.partner`` or ``library.patron``
        """
        names = {
            "email_from": "email",
            "contact_name": "name",
            "partner_name": "name",
            **{name: name for name in ("phone", "street", "street2", "zip", "city")},
        }
        for lead in self.with_context(tracking_disable=True):
            lead.write(
                {
                    name: False
                    for name, of_person in names.items()
                    if lead[name]
                    and lead[name] in people.mapped(of_person)
                    and lead[name] != lead.partner_id[of_person]
                }
            )

    def action_library_renew(self):
        """Renew the patron's membership and close the request."""
        self.ensure_one()
        self.library_patron_id.membership_id.action_renew()
        return self.action_set_won_rainbowman()
