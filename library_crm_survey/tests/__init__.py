from . import (
    test_access,
    test_survey_answer,
    test_survey_dashboard,
    test_survey_gap_result,
    test_survey_invite,
    test_survey_overview,
    test_survey_result,
    test_survey_verbatim,
)
