from odoo import fields, models


class CrmLead(models.Model):
    """A request that an unhappy answer opened."""

    _inherit = "crm.lead"

    library_answer_id = fields.Many2one(
        "survey.user_input",
        string="Unhappy Answer",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
