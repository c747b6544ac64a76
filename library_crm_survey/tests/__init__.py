from . import test_survey_answer, test_survey_invite
