from odoo import fields, models


class CrmLead(models.Model):
    """A request that an unhappy answer opened."""

    _inherit = "crm.lead"
    _library_personal_data = {"library_answer_id": "answer"}

    library_answer_id = fields.Many2one(
        "survey.user_input",
        string="Unhappy Answer",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )

    def _forget_library_answer(self):
        """Take what came from the answer out of requests whose patron is erased: the
        answer in their text, the name in their title, who it was, and what was sent to
        staff about them. That somebody was called, by whom and when stays to be
        counted. To be called with sudo."""
        if not self:
            return
        self.message_unsubscribe(self.partner_id.ids)
        for company, requests in self.grouped("company_id").items():
            lang = company.partner_id.lang or self.env.lang
            requests.with_context(tracking_disable=True).write(
                {
                    "name": self.with_context(lang=lang).env._(
                        "Call back about an answer that was erased"
                    ),
                    **dict.fromkeys(
                        (
                            *("library_answer_id", "library_patron_id", "description"),
                            *("partner_id", "contact_name", "partner_name"),
                            *("email_from", "email_cc", "phone"),
                        ),
                        False,
                    ),
                }
            )
        # Odoo logs former titles, and tells whoever a request is given to its title.
        messages = self.env["mail.message"].search(
            [
                ("model", "=", self._name),
                ("res_id", "in", self.ids),
                ("message_type", "in", ["notification", "user_notification"]),
            ]
        )
        messages.unlink()
        self.activity_ids.unlink()
