from odoo import api, models


class LibraryCountMixin(models.AbstractModel):
    """Figures that are counted at night, library by library, from rows of use, and stay
    when these are deleted."""

    _name = "library.count.mixin"
    _description = "Figures Counted at Night"

    @api.model
    def _cron_count(self):
        """Count in each library what can be counted."""
        IrCron = self.env["ir.cron"]
        companies = self.env["library.patron"]._read_group([], ["company_id"])
        for place, (company,) in enumerate(companies, 1):
            self._count(company)
            if not IrCron._commit_progress(1, remaining=len(companies) - place):
                return

    @api.model
    def _count(self, company):
        """Count a library, as far back as its use is known."""
        since = self.env["library.service.usage"]._get_kept_since(company)
        if since:
            self.env.flush_all()
            self._count_since(company, since)
            self.invalidate_model()

    @api.model
    def _count_since(self, company, since):
        """Write the figures of a library. The caller has flushed.

        :param datetime.date since: the first day of which use is known
        """
        raise NotImplementedError
