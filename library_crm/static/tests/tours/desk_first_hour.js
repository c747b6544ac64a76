import { registry } from "@web/core/registry";

const search = (text) => [
    {
        content: `Search for ${text}`,
        trigger: ".o_searchview_input",
        run: `fill ${text}`,
    },
    {
        content: "Take what the search box offers first",
        trigger: ".o_searchview_autocomplete .o-dropdown-item:first-child",
        run: "click",
    },
];

const menu = (section, item) => [
    {
        content: `Open the menu ${section}`,
        trigger: `button[data-menu-xmlid="library_crm.library_crm_menu_${section}"]`,
        run: "click",
    },
    {
        content: `Open ${item}`,
        trigger: `a[data-menu-xmlid="library_crm.library_crm_menu_${item}"]`,
        run: "click",
    },
];

/** What somebody does in their first hour at the desk. */
registry.category("web_tour.tours").add("library_desk_first_hour", {
    url: "/odoo/patrons",
    steps: () => [
        ...search("0042"),
        {
            content: "The scanned card finds one patron",
            trigger: ".o_list_view:not(:has(.o_data_row:nth-child(2) td[name=card_number])) .o_data_row td[name=card_number]:contains('0042')",
            run: "click",
        },
        {
            content: "The page says who it is and what they use",
            trigger: ".o_library_patron_form .o_library_use_chart canvas",
        },
        {
            content: "Log a visit with one click",
            trigger: "button[name=action_log_visit]",
            run: "click",
        },
        {
            trigger: ".o_notification:contains('Visit logged for Amal Idris')",
        },
        {
            content: "Log another service: one",
            trigger: ".o_form_statusbar button:contains('Log a Service')",
            run: "click",
        },
        {
            content: "two",
            trigger: ".modal .o_field_widget[name=service_id] span:contains('Reference question')",
            run: "click",
        },
        {
            content: "three",
            trigger: ".modal button[name=action_log]",
            run: "click",
        },
        {
            content: "The page counts three: one from before, two of today",
            trigger: "body:not(:has(.modal)) .o_stat_text:contains('Uses in a Year'), .o_field_widget[name=use_count]:contains('3')",
        },
        {
            content: "The patron asks for something",
            trigger: "button[name=action_take_request]",
            run: "click",
        },
        {
            trigger: ".o_library_request_form .o_field_widget[name=name] textarea",
            run: "edit Maps of the old harbour",
        },
        {
            content: "Save",
            trigger: ".o_form_button_save",
            run: "click",
        },
        {
            content: "The request has the team's first stage",
            trigger: ".o_library_request_form.o_form_saved, .o_form_saved .o_statusbar_status .o_arrow_button_current:contains('New')",
        },
        ...menu("requests", "requests_service"),
        {
            content: "Move it on the board",
            trigger: ".o_kanban_group:contains('New') .o_kanban_record:contains('Maps of the old harbour')",
            run: "drag_and_drop(.o_kanban_group:contains('In work'))",
        },
        {
            trigger: ".o_kanban_group:contains('In work') .o_kanban_record:contains('Maps of the old harbour')",
        },
        ...menu("requests", "requests_acquisition"),
        {
            content: "Open an enquiry",
            trigger: ".o_kanban_record:contains('A card for Rana')",
            run: "click",
        },
        {
            content: "Make a patron of it",
            trigger: "button[name=action_library_make_patron]",
            run: "click",
        },
        {
            content: "Somebody has the same email",
            trigger: ".modal .o_field_widget[name=duplicate_ids] .o_data_row:contains('Rana Haddad-Silva')",
        },
        {
            content: "It is somebody else, though",
            trigger: ".modal .o_field_widget[name=action] .o_radio_item:contains('somebody new') input",
            run: "click",
        },
        {
            trigger: ".modal .o_field_widget[name=card_number] input",
            run: "edit 0078",
        },
        {
            trigger: ".modal .o_field_widget[name=patron_category_id] input",
            run: "edit Adult",
        },
        {
            trigger: ".modal .o_field_widget[name=patron_category_id] .ui-autocomplete a:contains('Adult')",
            run: "click",
        },
        {
            trigger: ".modal button[name=action_apply]:contains('Make a Patron')",
            run: "click",
        },
        {
            content: "The new patron is a member",
            trigger: ".o_library_patron_form .o_statusbar_status .o_arrow_button_current:contains('Active')",
        },
    ],
});
