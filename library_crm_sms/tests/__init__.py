from . import test_journey_texts, test_sms_consent
