from . import library_survey_overview, survey_invite
