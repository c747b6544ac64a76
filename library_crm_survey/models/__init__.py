from . import library_patron, survey_survey, survey_user_input
