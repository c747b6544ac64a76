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

    def _get_library_forgotten_name(self):
        if self.library_answer_id:
            return self.env._("Call back about an answer that was erased")
        return super()._get_library_forgotten_name()

    def _library_forget(self):
        """The answer was somebody's, too."""
        result = super()._library_forget()
        self.library_answer_id = False
        return result
