from odoo import api, models


class LibraryIndicatorSourceMixin(models.AbstractModel):
    """What staff enter and indicators are made of: whoever changes it has the figures
    that it was in, and those that it is in now, counted again in the night."""

    _name = "library.indicator.source.mixin"
    _description = "Entered for Indicators"

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        records._touch_months()
        return records

    def write(self, vals):
        self._touch_months()
        result = super().write(vals)
        self._touch_months()
        return result

    def unlink(self):
        self._touch_months()
        return super().unlink()

    def _touch_months(self):
        """Have the months counted again."""
        for record in self:
            self.env["library.indicator.month"].sudo()._touch(
                record.company_id, *record._get_touched_period()
            )

    def _get_touched_period(self):
        """The first and the last day whose figures it is in.

        :rtype: tuple[datetime.date, datetime.date]
        """
        raise NotImplementedError
