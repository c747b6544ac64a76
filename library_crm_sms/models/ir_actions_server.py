from odoo import models


class IrActionsServer(models.Model):
    """An action that texts patrons by itself asks them too."""

    _inherit = "ir.actions.server"

    def _needs_library_consent(self):
        return super()._needs_library_consent() or (
            self.state == "sms"
            and self.model_name in self.env["mail.compose.message"]._LIBRARY_MODELS
        )

    def _run_action_sms_multi(self, eval_context=None):
        records = (eval_context or {}).get("records")
        records = records or (eval_context or {}).get("record")
        if not records or not self._needs_library_consent():
            return super()._run_action_sms_multi(eval_context=eval_context)
        reachable = self.env["library.consent"]._filter_reachable(
            records, self.library_purpose_id, "phone"
        )
        return super(
            IrActionsServer,
            self.with_context(default_library_purpose_id=self.library_purpose_id.id),
        )._run_action_sms_multi(
            eval_context={**eval_context, "records": reachable, "record": reachable}
        )
