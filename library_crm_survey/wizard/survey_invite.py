from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.mail import email_normalize, email_split_and_format


class SurveyInvite(models.TransientModel):
    """Of patrons, only those who agreed to surveys and were not asked lately are
    invited to one of a library. What is no library's (an exam of the staff) is not
    asked about."""

    _inherit = "survey.invite"

    library_reach = fields.Char(compute="_compute_library_reach", compute_sudo=True)

    @api.depends("partner_ids", "emails", "survey_id")
    def _compute_library_reach(self):
        for invite in self:
            emails = email_split_and_format(invite.emails or "")
            partners = invite.partner_ids._origin
            reachable = invite._filter_library_reachable(partners, emails)
            total = len(partners) + len(emails)
            refused = total - sum(map(len, reachable))
            invite.library_reach = (
                self.env._(
                    "%(refused)s of %(total)s are left out: patrons who did not agree "
                    "to surveys, or were asked lately.",
                    refused=refused,
                    total=total,
                )
                if refused
                else False
            )

    def _filter_library_reachable(self, partners, emails):
        """Who of the invited may be written to.

        :return: contacts, addresses
        :rtype: tuple[res.partner, list[str]]
        """
        company = self.survey_id.library_company_id
        if not company:
            return partners, emails
        Consent = self.env["library.consent"]
        purpose = self._get_library_purpose()
        partners = Consent._filter_reachable(partners, purpose, company=company)
        emails = Consent._filter_reachable_emails(emails, purpose, company=company)
        tired = self._get_asked_lately(partners, emails)
        tired_emails = set(tired.mapped("email_normalized"))
        return (
            partners - tired.partner_id,
            [
                email
                for email in emails
                if email_normalize(email, strict=False) not in tired_emails
            ],
        )

    def _send_mail(self, answer):
        """The mail is asked again when it leaves the queue."""
        company = self.survey_id.library_company_id
        if not company:
            return super()._send_mail(answer)
        invite = self.with_context(
            default_library_purpose_id=self._get_library_purpose().id,
            default_record_company_id=company.id,
        )
        return super(SurveyInvite, invite)._send_mail(answer)

    def _get_library_purpose(self):
        return self.env.ref("library_crm.library_consent_purpose_survey")

    def _get_asked_lately(self, partners, emails):
        """The patrons among the invited who are to be left in peace. Inviting again to
        the same survey is a reminder."""
        company = self.survey_id.library_company_id.sudo()
        patrons = self.env["library.consent"]._get_patrons_of(
            partners, {email_normalize(email, strict=False) for email in emails}
        )
        asked = self.env["library.survey.invitation"]._query_asked_lately(
            company.library_survey_fatigue_days, patrons, but_survey=self.survey_id
        )
        asked_ids = {patron_id for (patron_id,) in self.env.execute_query(asked)}
        return patrons.filtered(lambda patron: patron.id in asked_ids)

    def _prepare_answers(self, partners, emails):
        partners, emails = self.sudo()._filter_library_reachable(partners, emails)
        if not partners and not emails:
            raise UserError(
                self.env._(
                    "Recipients: none of them agreed to be asked in surveys, or they "
                    "were asked lately. Choose others, or share the link of the survey."
                )
            )
        return super()._prepare_answers(partners, emails)
