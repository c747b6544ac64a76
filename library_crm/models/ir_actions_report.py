from odoo import api, models

from odoo.addons.base.models.ir_actions_report import _wkhtml


class IrActionsReport(models.Model):
    """Says, where the server can not make PDF files, why, and what to do instead."""

    _inherit = "ir.actions.report"

    @api.model
    def _say_why_no_pdf(self):
        """:return: what to tell whoever wants a PDF; nothing where there can be one
        :rtype: str
        """
        state = self.get_wkhtmltopdf_state()
        lang = self.env["res.lang"]._get_data(code=self.env.lang or "en_US")
        if (
            state in ("ok", "upgrade")
            and lang.direction == "rtl"
            and not _wkhtml().is_patched_qt
        ):
            state = "mirrored"
        reason = {
            "install": self.env._(
                "The program that makes PDF files (wkhtmltopdf) is not installed on "
                "this server."
            ),
            "broken": self.env._(
                "The program that makes PDF files (wkhtmltopdf) does not work on this "
                "server."
            ),
            "workers": self.env._(
                "This server has one worker only, and needs two to make PDF files."
            ),
            "mirrored": self.env._(
                "The program that makes PDF files on this server (wkhtmltopdf without "
                "patched Qt) puts words that go from right to left in wrong places."
            ),
        }.get(state)
        return reason and self.env._(
            "%(reason)s Therefore you see a page: print it with your browser, and "
            "choose to save it as PDF there.",
            reason=reason,
        )
