from . import (
    library_demo,
    library_membership,
    library_membership_reason,
    library_patron,
    survey_question,
    survey_question_answer,
    survey_survey,
    survey_user_input,
    survey_user_input_line,
)
