import logging
import time

from odoo import api, models

_logger = logging.getLogger(__name__)

#: What Odoo calls the end of a run, and what it is called here.
_RESULTS = {"fully done": "done", "partially done": "partly", "failed": "failed"}


class IrCron(models.Model):
    """Writes down each run of a job of the library.

    Odoo holds the row of a job while it runs: no second process runs it, and who is
    killed lets go of it. So a run is begun and ended here by one process at a time.
    """

    _inherit = "ir.cron"

    @classmethod
    def _run_job(cls, job):
        cls._tell_library(job["id"], "_begin")
        job["library_began"] = time.monotonic()
        return super()._run_job(job)

    def _callback(self, cron_name, server_action_id):
        try:
            return super()._callback(cron_name, server_action_id)
        except Exception as error:
            # The code of an action is evaluated, which hides the error in another.
            cause = error.__cause__ or error.__context__ or error
            self._tell_library(self.id, "_note_failure", type(cause).__name__)
            raise

    def _update_failure_count(self, job, status):
        result = super()._update_failure_count(job, status)
        began = job.get("library_began")
        seconds = began and time.monotonic() - began
        self._tell_library(job["id"], "_end", _RESULTS[status], seconds)
        return result

    @classmethod
    def _tell_library(cls, cron_id, what, *arguments):
        """Tell the job of the library what happens to it, and keep that at once.

        It has a transaction of its own: the one that holds the job does not see what
        was written since it began, and the one of the job may be rolled back.
        """
        try:
            with cls.pool.cursor() as cr:
                env = api.Environment(cr, api.SUPERUSER_ID, {})
                job = env["library.job"]._find(cron_id)
                if job:
                    getattr(job, what)(*arguments)
        except Exception:
            # Whether it is written down decides nothing about the job.
            _logger.exception("A run of the job %s was not written down", cron_id)
