from odoo import models
from odoo.exceptions import AccessError


class BasePartnerMergeAutomaticWizard(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    def _update_foreign_keys(self, src_partners, dst_partner):
        """One contact can be one patron of a library only: where several of the
        contacts are, the patrons are merged first. Odoo would delete all but one, and
        their memberships with them."""
        self._merge_library_patrons(src_partners, dst_partner)
        result = super()._update_foreign_keys(src_partners, dst_partner)
        # Odoo has changed the person of a patron behind the ORM's back.
        patrons = dst_partner.sudo().library_patron_ids
        self.env.add_to_compute(patrons._fields["complete_name"], patrons)
        return result

    def _merge_library_patrons(self, src_partners, dst_partner):
        patrons = (dst_partner | src_partners).sudo().library_patron_ids
        for group in patrons.grouped("company_id").values():
            if len(group) == 1:
                continue
            kept = (group & dst_partner.sudo().library_patron_ids)[:1] or group[:1]
            if not group.with_env(self.env).has_access("write"):
                raise AccessError(
                    self.env._(
                        "%(patrons)s are patrons of %(library)s. Ask somebody who may "
                        "change them to merge their contacts.",
                        patrons=", ".join(group.mapped("display_name")),
                        library=group.company_id.name,
                    )
                )
            kept._merge(group - kept)
