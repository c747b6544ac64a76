from . import (
    library_survey_figures,
    library_survey_gap_result,
    library_survey_response,
    library_survey_result,
)
