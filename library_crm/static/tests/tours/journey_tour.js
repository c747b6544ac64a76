import { registry } from "@web/core/registry";

// Marketing makes a journey: a question with a mail on its yes, seen in the picture.
registry.category("web_tour.tours").add("library_journey_tour", {
    steps: () => [
        { trigger: ".o-kanban-button-new", run: "click" },
        { trigger: ".o_field_widget[name=name] input", run: "edit Long time no see" },
        { trigger: ".o_form_button_save", run: "click" },
        { trigger: ".o_library_journey_line button", run: "click" },
        {
            trigger: ".modal .o_field_widget[name=name] input",
            run: "edit Has a phone?",
        },
        { trigger: ".modal input[data-value=condition]", run: "click" },
        { trigger: ".modal .o_field_widget[name=domain]" },
        { trigger: ".modal footer .btn-primary", run: "click" },
        { trigger: ".o_library_journey_step:contains(Has a phone?)" },
        {
            trigger:
                ".o_library_journey_fork .o_library_journey_way:contains(Yes) button",
            run: "click",
        },
        { trigger: ".modal .o_field_widget[name=name] input", run: "edit Call" },
        { trigger: ".modal input[data-value=activity]", run: "click" },
        { trigger: ".modal footer .btn-primary", run: "click" },
        {
            trigger:
                ".o_library_journey_fork .o_library_journey_way:first .o_library_journey_step:contains(Call)",
        },
    ],
});
