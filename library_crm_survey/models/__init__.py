from . import (
    digest_digest,
    library_demo,
    library_patron,
    library_survey_round,
    survey_question,
    survey_question_answer,
    survey_survey,
    survey_user_input,
    survey_user_input_line,
)
