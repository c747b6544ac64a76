from . import (
    test_access,
    test_survey_anonymous,
    test_survey_answer,
    test_survey_invite,
    test_survey_journey,
    test_survey_kiosk,
    test_survey_loop,
    test_survey_round,
)
