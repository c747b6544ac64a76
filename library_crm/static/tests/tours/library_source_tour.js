import { registry } from "@web/core/registry";
import { inputFiles } from "@web/../tests/utils";

const PATRONS = `first_given_name;family_name;barcode;home_ou;profile;dob;passwd
Maja;Lindqvist;0000501;TMAIN;TADULT;31.01.1986;secret1
Elis;Okafor;0000502;TMAIN;TADULT;31.02.1986;secret2
`;

// A manager lets a sample file say how the files of another library system are read,
// and loads the file.
registry.category("web_tour.tours").add("library_source_tour", {
    steps: () => [
        {
            content: "Open the source",
            trigger: ".o_data_row:contains(Evergreen) .o_data_cell:first",
            run: "click",
        },
        {
            content: "Look at a sample file",
            trigger: "button:contains(Set Up from a Sample File)",
            run: "click",
        },
        {
            trigger: ".modal .o_field_binary",
            async run() {
                await inputFiles(".modal .o_field_binary input", [
                    new File([PATRONS], "patrons.csv", { type: "text/csv" }),
                ]);
            },
        },
        {
            content: "The row is shown as it would be stored, the bad one with the reason",
            trigger:
                ".modal .o_library_data_preview:contains(1986-01-31):contains(31.02.1986”)",
        },
        {
            content: "Take it over",
            trigger: ".modal button[name=action_apply]",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal)) .o_data_row:contains(family_name)",
        },
        {
            content: "Load the file",
            trigger: ".o_form_statusbar button:contains(Load a File)",
            run: "click",
        },
        {
            trigger: ".o_form_view .o_field_binary",
            async run() {
                await inputFiles(".o_field_binary input", [
                    new File([PATRONS], "patrons.csv", { type: "text/csv" }),
                ]);
            },
        },
        {
            trigger: ".o_field_widget[name=file] input:value(patrons.csv)",
        },
        {
            trigger: "button[name=action_run]:contains(Load)",
            run: "click",
        },
        {
            content: "One patron is new, one row is refused, the password is gone",
            trigger:
                ".o_form_view:has(.o_field_widget[name=rows_new]:contains(1)):has(.o_field_widget[name=forbidden_columns]:contains(passwd)) .o_data_row:contains(31.02.1986)",
        },
    ],
});
