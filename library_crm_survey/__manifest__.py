{
    "name": "Library CRM Survey",
    "summary": "What patrons answer in surveys, on their page and as results",
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
        "security/ir.model.access.csv",
        "security/library_crm_survey_rules.xml",
        "report/library_survey_overview_templates.xml",
        "report/library_survey_overview_report.xml",
        "report/library_survey_result_views.xml",
        "report/library_survey_gap_result_views.xml",
        "views/survey_user_input_line_views.xml",
        "wizard/library_survey_overview_views.xml",
        "wizard/survey_invite_views.xml",
        "views/digest_digest_views.xml",
        "views/survey_survey_views.xml",
        "views/survey_user_input_views.xml",
        "views/library_patron_views.xml",
        "views/library_crm_survey_menus.xml",
        "data/digest_data.xml",
        "data/spreadsheet_dashboard_data.xml",
    ],
    "assets": {
        "web.assets_backend": [
            "library_crm_survey/static/src/overview/*.scss",
        ],
        "web.report_assets_common": [
            "library_crm_survey/static/src/overview/*.scss",
        ],
    },
    "demo": [
        "demo/library_survey_demo.xml",
        "demo/library_answers_demo.xml",
    ],
    "uninstall_hook": "_uninstall_hook",
}
