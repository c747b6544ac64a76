from odoo import fields, models


class SmsTracker(models.Model):
    """What the provider reports of a text of a journey is told to its event."""

    _inherit = "sms.tracker"
    _library_personal_data = {"*": "journey"}

    library_journey_event_id = fields.Many2one(
        "library.journey.event", ondelete="cascade", index="btree_not_null"
    )

    def _action_update_from_sms_state(
        self, sms_state, failure_type=False, failure_reason=False
    ):
        result = super()._action_update_from_sms_state(
            sms_state, failure_type=failure_type, failure_reason=failure_reason
        )
        self.library_journey_event_id._follow_text(
            sms_state, failure_reason or self._say_failure(failure_type)
        )
        return result

    def _action_update_from_provider_error(self, provider_error):
        result = super()._action_update_from_provider_error(provider_error)
        _status, failure_type, failure_reason = result
        self.library_journey_event_id._follow_text(
            "error", failure_reason or self._say_failure(failure_type)
        )
        return result

    def _say_failure(self, failure_type):
        selection = (
            self.env["mail.notification"]
            ._fields["failure_type"]
            ._description_selection(self.env)
        )
        return dict(selection).get(failure_type, failure_type)
