from . import library_annual_report, library_survey_overview, survey_invite
