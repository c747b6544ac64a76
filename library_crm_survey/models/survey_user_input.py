from collections import defaultdict

from odoo import api, fields, models
from odoo.tools import email_normalize


class SurveyUserInput(models.Model):
    """An answer finds the patron who gave it.

    The contact decides. An answer that has only an email is linked where exactly one
    patron of the survey's library has that email: members of a household share
    addresses, and a guess would put words into somebody's mouth. Answers with
    neither, and test entries, stay with nobody.
    """

    _inherit = "survey.user_input"

    library_patron_id = fields.Many2one(
        "library.patron",
        string="Patron",
        compute="_compute_library_patron_id",
        store=True,
        readonly=False,
        index="btree_not_null",
        ondelete="set null",
        groups="library_crm.group_library_user,library_crm.group_library_marketing",
    )
    # What results are told by; it stays when nobody knows any more whose answer it is.
    library_round_id = fields.Many2one(
        "library.survey.round", string="Round", index="btree_not_null", readonly=True
    )
    library_branch_id = fields.Many2one(
        "library.branch", string="Branch", index="btree_not_null"
    )
    library_service_id = fields.Many2one(
        "library.service", string="Service", index="btree_not_null"
    )
    library_category_id = fields.Many2one(
        "library.patron.category", string="Patron Category", index="btree_not_null"
    )
    library_answered_on = fields.Date(
        string="Answered on",
        index="btree_not_null",
        help="Of an anonymous answer the first day of the month.",
    )
    library_set_aside = fields.Selection(
        [
            ("no_opinion", "More than 11 times no opinion"),
            ("inverted", "More than 9 times the minimum above the desired"),
        ],
        string="Set Aside",
        readonly=True,
        help="Its ratings of service quality are counted, and left out of the means.",
    )

    @api.depends(
        "email",
        "partner_id.library_patron_ids",
        "survey_id.library_company_id",
        "test_entry",
    )
    def _compute_library_patron_id(self):
        """Two queries, however many answers there are."""
        linkable = self.filtered(
            lambda answer: answer.survey_id.library_company_id and not answer.test_entry
        )
        companies = linkable.survey_id.library_company_id
        by_partner = linkable._get_patron_by_partner(companies)
        by_email = linkable.filtered(
            lambda answer: not answer.partner_id
        )._get_patron_by_email(companies)
        (self - linkable).library_patron_id = False
        for answer in linkable:
            company = answer.survey_id.library_company_id
            if answer.partner_id:
                patron = by_partner.get((answer.partner_id, company))
            else:
                patron = by_email.get(
                    (email_normalize(answer.email, strict=False), company)
                )
            answer.library_patron_id = patron or False

    def _get_patron_by_partner(self, companies):
        """:return: patrons of the answers' contacts, by (contact, library); archived
        ones too, who were patrons when they answered"""
        patrons = (
            self.env["library.patron"]
            .with_context(active_test=False)
            .search(
                [
                    ("partner_id", "in", self.partner_id.ids),
                    ("company_id", "in", companies.ids),
                ]
            )
        )
        return {(patron.partner_id, patron.company_id): patron for patron in patrons}

    def _get_patron_by_email(self, companies):
        """:return: patrons by (normalised email, library), where there is one only"""
        emails = {email_normalize(answer.email, strict=False) for answer in self}
        emails.discard(False)
        if not emails:
            return {}
        found = defaultdict(self.env["library.patron"].browse)
        for patron in self.env["library.patron"].search(
            [
                ("email_normalized", "in", list(emails)),
                ("company_id", "in", companies.ids),
            ]
        ):
            found[patron.email_normalized, patron.company_id] |= patron
        return {key: patrons for key, patrons in found.items() if len(patrons) == 1}
