import { registry } from "@web/core/registry";

// A patron looks at the own page in the portal, asks for a renewal and chooses an
// interest.
registry.category("web_tour.tours").add("library_portal_tour", {
    url: "/my",
    steps: () => [
        {
            content: "Open the library's card on the portal's home",
            trigger: ".o_portal_docs a[href='/my/library']:contains(My library)",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "The card number is there to be read",
            trigger: ".o_library_card_number:contains(0042)",
        },
        {
            content: "Ask for a renewal",
            trigger: "button.o_library_renew",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "The request is confirmed",
            trigger: ".alert-success:contains(request for a renewal)",
        },
        {
            content: "It can not be asked for twice",
            trigger:
                ".o_library_portal:has(.o_library_renewal_open):not(:has(.o_library_renew))",
        },
        {
            content: "Choose an interest",
            trigger: "label:contains(Tour stories)",
            run: "click",
        },
        {
            content: "Save the interests",
            trigger: "button.o_library_save_interests",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "They are saved",
            trigger:
                ".o_library_portal:has(input.btn-check:checked + label:contains(Tour stories))",
        },
    ],
});
