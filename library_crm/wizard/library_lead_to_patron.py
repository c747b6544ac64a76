from odoo import api, fields, models
from odoo.exceptions import UserError


class LibraryLeadToPatron(models.TransientModel):
    """Turn an enquiry into a patron, after a look at who may be the same person."""

    _name = "library.lead.to.patron"
    _description = "Make a Patron of an Enquiry"

    lead_id = fields.Many2one("crm.lead", string="Request", required=True)
    company_id = fields.Many2one("res.company", compute="_compute_from_lead")
    duplicate_ids = fields.Many2many(
        "library.patron",
        compute="_compute_from_lead",
        string="May Be the Same Person",
        context={"active_test": False},
    )
    action = fields.Selection(
        [
            ("link", "It is this patron"),
            ("create", "It is somebody new"),
        ],
        required=True,
        compute="_compute_action",
        store=True,
        readonly=False,
    )
    patron_id = fields.Many2one(
        "library.patron",
        compute="_compute_action",
        store=True,
        readonly=False,
        domain="[('company_id', '=', company_id)]",
        context={"active_test": False},
    )
    card_number = fields.Char()
    patron_category_id = fields.Many2one(
        "library.patron.category",
        string="Category",
        compute="_compute_patron_category_id",
        store=True,
        readonly=False,
        domain="[('company_id', '=', company_id)]",
    )
    join_id = fields.Many2one("library.join", compute="_compute_from_lead")
    guardian_name = fields.Char(
        related="join_id.guardian_name", string="Guardian on the Form"
    )
    guardian_id = fields.Many2one(
        "library.patron",
        compute="_compute_guardian_id",
        store=True,
        readonly=False,
        domain="[('company_id', '=', company_id)]",
        help="Empty: the guardian named on the form becomes a patron without a card.",
    )
    branch_id = fields.Many2one(
        "library.branch",
        string="Home Branch",
        compute="_compute_action",
        store=True,
        readonly=False,
        domain="[('company_id', '=', company_id)]",
    )

    @api.depends("lead_id")
    def _compute_from_lead(self):
        for wizard in self:
            wizard.company_id = wizard.lead_id.company_id or self.env.company
            wizard.duplicate_ids = (
                wizard.lead_id._find_library_duplicates() if wizard.lead_id else False
            )
            wizard.join_id = wizard.lead_id.library_join_ids[:1]

    @api.depends("lead_id")
    def _compute_action(self):
        for wizard in self:
            wizard.patron_id = (
                wizard.lead_id.library_patron_id or (wizard.duplicate_ids[:1])
            )
            wizard.action = "link" if wizard.patron_id else "create"
            wizard.branch_id = wizard.lead_id.library_branch_id

    @api.depends("lead_id")
    def _compute_patron_category_id(self):
        for wizard in self:
            wizard.patron_category_id = wizard.join_id.patron_category_id

    @api.depends("lead_id")
    def _compute_guardian_id(self):
        for wizard in self:
            wizard.guardian_id = wizard.join_id._find_guardian()

    def action_apply(self):
        """Link or make the patron, and close the enquiry as won.

        :raise UserError: if no patron was chosen, or the new one lacks a name
        """
        self.ensure_one()
        lead = self.lead_id
        if self.action == "link":
            if not self.patron_id:
                raise UserError(self.env._("Patron: choose who it is."))
            patron = self.patron_id
            if not patron.active:
                patron.action_unarchive()
        else:
            patron = self.env["library.patron"].create(self._prepare_patron_values())
            patron._start_default_membership()
        if self.join_id:
            self._take_over_join_form(patron)
        lead.write({"library_patron_id": patron.id, "partner_id": patron.partner_id.id})
        lead.action_set_won()
        self.join_id.sudo()._complete(patron, is_new=self.action == "create")
        return {
            "type": "ir.actions.act_window",
            "res_model": "library.patron",
            "view_mode": "form",
            "res_id": patron.id,
        }

    def _take_over_join_form(self, patron):
        """What the form tells and the request does not: what is known already stays."""
        values = {
            name: value
            for name, value in self.join_id._prepare_patron_values().items()
            if name == "interest_ids" or not patron[name]
        }
        guardian = self.guardian_id
        if not guardian and self.join_id.guardian_name and not patron.guardian_id:
            guardian = self.env["library.patron"].create(
                self.join_id._prepare_guardian_values()
            )
        if guardian and guardian != patron:
            values["guardian_id"] = guardian.id
        patron.write(values)

    def _prepare_patron_values(self):
        """Values of the new patron; a hook. The contact of the request is taken where
        there is one.

        :raise UserError: if the request names nobody
        """
        lead = self.lead_id
        values = {
            "company_id": self.company_id.id,
            "card_number": self.card_number,
            "patron_category_id": self.patron_category_id.id,
            "branch_id": self.branch_id.id,
        }
        if lead.partner_id:
            return {**values, "partner_id": lead.partner_id.id}
        if not lead.contact_name:
            raise UserError(
                self.env._("Contact name: the request does not say who it is.")
            )
        return {
            **values,
            "name": lead.contact_name,
            "email": lead.email_from,
            "phone": lead.phone,
            "street": lead.street,
            "street2": lead.street2,
            "zip": lead.zip,
            "city": lead.city,
            "state_id": lead.state_id.id,
            "country_id": lead.country_id.id,
            "lang": lead.lang_id.code or self.env.lang,
        }
