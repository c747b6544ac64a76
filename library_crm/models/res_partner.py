from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError


class ResPartner(models.Model):
    _name = "res.partner"
    _inherit = ["res.partner", "library.bulk.mixin"]
    _library_personal_data = {
        "name": "contact",
        "email": "contact",
        "email_normalized": "contact",
        "phone": "contact",
        "street": "contact",
        "street2": "contact",
        "zip": "contact",
        "city": "contact",
        "state_id": "contact",
        "country_id": "contact",
        "lang": "contact",
    }

    library_patron_ids = fields.One2many(
        "library.patron",
        "partner_id",
        string="Patrons",
        context={"active_test": False},
        groups="library_crm.group_library_user,library_crm.group_library_marketing",
    )

    # The check for duplicates asks for an email; Odoo's own index is for parts of it.
    _library_email_idx = models.Index(
        "(email_normalized) WHERE email_normalized IS NOT NULL"
    )

    @api.constrains("company_id")
    def _check_library_patron_company(self):
        """A contact stays within reach of the libraries that it is a patron of."""
        for patron in self.sudo().library_patron_ids:
            company = patron.partner_id.company_id
            if company and company not in patron.company_id.parent_ids:
                raise ValidationError(
                    self.env._(
                        "Company: %(name)s is a patron of %(library)s. Leave the "
                        "company of the contact empty, or set it to that library.",
                        name=patron.complete_name,
                        library=patron.company_id.name,
                    )
                )

    def write(self, vals):
        if "email" not in vals:
            return super().write(vals)
        old = {partner: partner.email_normalized for partner in self}
        result = super().write(vals)
        changed = self.filtered(
            lambda partner: partner.email_normalized != old[partner]
        )
        if patrons := changed.sudo().library_patron_ids:
            self.env["library.consent"].sudo()._doubt_address(patrons)
        return result

    def unlink(self):
        """Who deletes a contact erases the patron: from the list of contacts, or from
        Odoo's look-up of what is held about somebody."""
        patrons = self.sudo().library_patron_ids
        if not patrons:
            return super().unlink()
        self._check_may_erase(patrons)
        patrons._erase("contact")
        return super(ResPartner, self.exists()).unlink()

    def _check_may_erase(self, patrons):
        if not patrons.sudo(self.env.su).has_access("unlink"):
            raise UserError(
                self.env._(
                    "%(names)s: a manager of the library erases patrons.",
                    names=", ".join(patrons.mapped("complete_name")),
                )
            )

    def action_view_library_patron(self):
        """Open the patron that this contact is (of each library that it belongs
        to)."""
        self.ensure_one()
        action = self.env["ir.actions.actions"]._for_xml_id(
            "library_crm.library_patron_action"
        )
        patrons = self.library_patron_ids
        if len(patrons) == 1:
            return {**action, "views": [(False, "form")], "res_id": patrons.id}
        return {
            **action,
            "domain": [("partner_id", "=", self.id)],
            "context": {"active_test": False},
        }
