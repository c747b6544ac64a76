from . import (
    test_survey_answer,
    test_survey_demo,
    test_survey_gap,
    test_survey_invite,
    test_survey_question,
    test_survey_safety,
    test_survey_template,
)
