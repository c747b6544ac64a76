from odoo import api, fields, models


class IrActionsServer(models.Model):
    """An action that writes to patrons by itself is a mailing, though it may write to
    one patron at a time."""

    _inherit = "ir.actions.server"
    _library_personal_data = {"*": "setting"}

    library_purpose_id = fields.Many2one(
        "library.consent.purpose",
        string="Purpose",
        compute="_compute_library_purpose_id",
        store=True,
        readonly=False,
        ondelete="restrict",
        help="Of patrons, only those who agreed to this purpose are written to.",
    )

    @api.depends("model_name", "state")
    def _compute_library_purpose_id(self):
        news = self.env.ref(
            "library_crm.library_consent_purpose_news", raise_if_not_found=False
        )
        for action in self:
            action.library_purpose_id = action._needs_library_consent() and (
                action.library_purpose_id or news
            )

    def _needs_library_consent(self):
        self.ensure_one()
        return (
            self.state == "mail_post"
            and self.model_name in self.env["mail.compose.message"]._LIBRARY_MODELS
        )

    def _run_action_mail_post_multi(self, eval_context=None):
        if self.mail_post_method == "note" or not self._needs_library_consent():
            return super()._run_action_mail_post_multi(eval_context=eval_context)
        res_ids = self.env.context.get(
            "active_ids", [self.env.context.get("active_id")]
        )
        reachable = self.env["library.consent"]._filter_reachable(
            self.env[self.model_name].browse(filter(None, res_ids)),
            self.library_purpose_id,
        )
        if not reachable:
            return False
        action = self.with_context(
            active_ids=reachable.ids,
            active_id=reachable.ids[0],
            default_library_purpose_id=self.library_purpose_id.id,
        )
        return super(IrActionsServer, action)._run_action_mail_post_multi(
            eval_context=eval_context
        )
