from . import library_journey_test, sms_composer
