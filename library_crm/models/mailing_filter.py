from ast import literal_eval

from odoo import api, fields, models


class MailingFilter(models.Model):
    """A saved choice of recipients; of patrons it may ask what its writer may read."""

    _inherit = "mailing.filter"
    _library_personal_data = {"*": "setting"}

    library_segment_id = fields.Many2one(
        "library.segment",
        string="Segment",
        readonly=True,
        ondelete="cascade",
        index="btree_not_null",
        help="The filter goes with the segment.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        filters = super().create(vals_list)
        filters._check_library_domain()
        return filters

    def write(self, vals):
        result = super().write(vals)
        self._check_library_domain()
        return result

    def _check_library_domain(self):
        for mailing_filter in self:
            self.env["library.patron"]._check_recipients(
                mailing_filter.mailing_model_name,
                literal_eval(mailing_filter.mailing_domain),
            )
