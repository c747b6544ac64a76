from . import (
    ir_actions_server,
    library_consent,
    library_journey,
    library_journey_event,
    library_journey_step,
    library_patron,
    sms_sms,
    sms_tracker,
)
