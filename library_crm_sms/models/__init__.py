from . import ir_actions_server, library_consent, library_patron, sms_sms
