from . import test_journey_texts, test_sms_consent, test_sms_translation
