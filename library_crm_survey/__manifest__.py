{
    "name": "Library CRM Survey",
    "summary": "What patrons answer in surveys stands on their page",
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
        "wizard/survey_invite_views.xml",
        "views/survey_survey_views.xml",
        "views/survey_user_input_views.xml",
        "views/library_patron_views.xml",
        "views/library_crm_survey_menus.xml",
    ],
    "demo": [
        "demo/library_survey_demo.xml",
    ],
    "uninstall_hook": "_uninstall_hook",
}
