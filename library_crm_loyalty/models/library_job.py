from datetime import timedelta

from odoo import api, fields, models

from odoo.addons.library_crm.models.library_job import Watched


class LibraryJob(models.Model):
    """What the jobs of points, vouchers and challenges work on."""

    _inherit = "library.job"

    @api.model
    def _get_watched(self):
        yesterday = fields.Date.today() - timedelta(days=1)
        return {
            **super()._get_watched(),
            "library_crm_loyalty.ir_cron_reckon_points": Watched(
                ("library.loyalty.due", [])
            ),
            "library_crm_loyalty.ir_cron_end_vouchers": Watched(
                (
                    "library.loyalty.redemption",
                    [("state", "=", "issued"), ("expires_on", "<", yesterday)],
                )
            ),
            "library_crm_loyalty.ir_cron_loyalty_night": Watched(
                undone=("loyalty.program", [("library_unbalanced", ">", 0)])
            ),
        }
