{
    "name": "Library CRM Survey",
    "summary": "Are patrons satisfied, what do they need, and what came of it",
    "version": "19.0.1.0.0",
    "category": "Services/Library",
    "author": "Library CRM contributors",
    "license": "LGPL-3",
    "depends": [
        "library_crm",
        "survey",
    ],
    "data": [
        "security/library_crm_survey_groups.xml",
        "security/library_crm_survey_rules.xml",
        "data/library_membership_reason_data.xml",
        "data/library_survey_template_data.xml",
        "data/mail_template_data.xml",
        "wizard/survey_invite_views.xml",
        "views/library_membership_reason_views.xml",
        "views/survey_question_views.xml",
        "views/survey_survey_views.xml",
        "views/survey_user_input_views.xml",
        "views/survey_user_input_line_views.xml",
        "views/library_patron_views.xml",
        "views/library_crm_survey_menus.xml",
        "views/survey_form_templates.xml",
        "views/survey_results_templates.xml",
    ],
    "demo": [
        "demo/library_survey_demo.xml",
    ],
    "assets": {
        "survey.survey_assets": [
            "library_crm_survey/static/src/gap_question/*",
        ],
        "web.assets_tests": [
            "library_crm_survey/static/tests/tours/*",
        ],
    },
    "uninstall_hook": "_uninstall_hook",
}
