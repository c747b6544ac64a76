{
    "name": "Library CRM SMS",
    "summary": "Text messages to patrons who agreed, also as steps of journeys",
    "version": "19.0.1.0.0",
    "category": "Services/Library",
    "author": "Library CRM contributors",
    "license": "LGPL-3",
    "depends": [
        "library_crm",
        "sms",
    ],
    "data": [
        "wizard/sms_composer_views.xml",
        "wizard/library_journey_test_views.xml",
        "views/ir_actions_server_views.xml",
        "views/library_journey_views.xml",
    ],
    "demo": [
        "demo/library_journey_demo.xml",
    ],
    "auto_install": True,
}
