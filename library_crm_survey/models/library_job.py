from odoo import api, models

from odoo.addons.library_crm.models.library_job import Watched


class LibraryJob(models.Model):
    """What the job that asks in surveys works on."""

    _inherit = "library.job"

    @api.model
    def _get_watched(self):
        return {
            **super()._get_watched(),
            "library_crm_survey.ir_cron_ask": Watched(
                (
                    "library.survey.invitation",
                    [("state", "=", "waiting"), ("round_id.state", "=", "running")],
                ),
                (
                    "library.survey.round",
                    [("state", "=", "paused"), ("problem", "!=", False)],
                ),
            ),
        }
