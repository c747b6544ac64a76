from . import library_survey, survey
