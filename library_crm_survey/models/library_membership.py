from odoo import models


class LibraryMembership(models.Model):
    """Who leaves is asked why, if they agreed to surveys and were not asked lately;
    children are not."""

    _inherit = "library.membership"

    def action_cancel(self, reason):
        result = super().action_cancel(reason)
        if reason.asks_why:
            self.sudo()._ask_why()
        return result

    def _ask_why(self):
        """Put invitations to the exit survey of each library into the queue of mails.
        A library without one asks nothing; neither does one without an address to
        write from."""
        for company, memberships in self.grouped("company_id").items():
            survey = self.env["survey.survey"].search(
                [
                    ("library_company_id", "=", company.id),
                    ("library_occasion", "=", "membership_cancelled"),
                ],
                order="library_version desc, id desc",
                limit=1,
            )
            if not survey or not company.email_formatted:
                continue
            invite = self.env["survey.invite"].create(
                self._prepare_exit_invite_values(
                    survey, memberships.patron_id.partner_id
                )
            )
            partners, _emails = invite._filter_library_reachable(invite.partner_ids, [])
            if partners:
                invite.partner_ids = partners
                invite.action_invite()

    def _prepare_exit_invite_values(self, survey, partners):
        template = self.env.ref("library_crm_survey.mail_template_exit_invite")
        return {
            "survey_id": survey.id,
            "template_id": template.id,
            "partner_ids": partners.ids,
            "existing_mode": "new",
        }
