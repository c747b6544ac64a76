from odoo import api, models, tools
from odoo.fields import Domain


class IrRule(models.Model):
    """Spare each search for patrons the join to the contacts.

    A patron delegates to a contact, so Odoo adds the contact's record rules to the
    patron's, and every list, count and look-up of patrons reads ``res_partner`` too:
    at 200,000 patrons, counting them takes three times as long as it need.

    Odoo's one rule for the contacts of staff, that of companies, can shut out nobody
    whom the patron's own rule lets in: a patron is seen in the companies that the
    user works in, and its contact belongs to that company, to a parent of it or to
    none (``check_company`` on ``partner_id`` and ``_check_library_patron_company`` on
    the contact hold that). So reading leaves that rule out, and only that one, and
    only where nothing else limits the user's contacts: a portal user, a rule that an
    administrator changed or another addon brought, or writing, creating and deleting,
    all keep the contact's rules. The fields of the contact itself (name, email …) are
    read from ``res.partner`` under its rules as ever.
    """

    _inherit = "ir.rule"

    @api.model
    def _compute_domain(self, model_name, mode="read"):
        domain = super()._compute_domain(model_name, mode)
        if model_name == "library.patron" and mode == "read" and not self.env.su:
            return self._leave_out_implied(domain)
        return domain

    @api.model
    @tools.ormcache("self.env.uid", "tuple(self._compute_domain_context_values())")
    def _leave_out_implied(self, domain):
        """The rules for reading patrons, without the one that they imply. The domain
        follows from the user and the companies, so these are the key of the cache."""
        Partner = self.env["res.partner"]
        companies = self._eval_context()["company_ids"]
        implied = Domain(
            [
                "|",
                "|",
                ("partner_share", "=", False),
                ("company_id", "parent_of", companies),
                ("company_id", "=", False),
            ]
        ).optimize(Partner)
        if self._compute_domain("res.partner", "read") != implied:
            return domain
        return domain.map_conditions(
            lambda condition: (
                Domain.TRUE
                if condition.field_expr == "partner_id"
                and condition.operator == "any"
                and condition.value == implied
                else condition
            )
        )
