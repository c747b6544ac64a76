{
    "name": "Library CRM Loyalty",
    "summary": "Loyalty programmes for patrons: points for use, not for spending",
    "version": "19.0.1.0.0",
    "category": "Services/Library",
    "author": "Library CRM contributors",
    "license": "LGPL-3",
    "depends": [
        "gamification",
        "library_crm",
        "loyalty",
    ],
    "data": [
        "security/library_crm_loyalty_groups.xml",
        "security/library_crm_loyalty_rules.xml",
        "security/ir.model.access.csv",
        "views/loyalty_card_views.xml",
        "views/loyalty_program_views.xml",
        "views/library_patron_views.xml",
        "views/library_crm_loyalty_menus.xml",
    ],
    "demo": [
        "demo/library_loyalty_demo.xml",
    ],
    "uninstall_hook": "_uninstall_hook",
}
