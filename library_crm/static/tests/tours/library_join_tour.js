import { registry } from "@web/core/registry";

// Somebody with a phone asks for a card: first whether, then who.
registry.category("web_tour.tours").add("library_join_tour", {
    steps: () => [
        {
            content: "The card is for me",
            trigger: "#library_join_who_self",
            run: "click",
        },
        {
            content: "Born",
            trigger: "#library_join_birth_date",
            run({ anchor }) {
                anchor.value = "1984-02-29";
            },
        },
        {
            content: "From too far away",
            trigger: "#library_join_zip",
            run: "edit 10115",
        },
        {
            content: "Ask whether I can join",
            trigger: "button.o_library_join_next",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "It says what else there is",
            trigger: ".o_library_join_refused:contains(Hillside Library)",
        },
        {
            content: "That was the old postcode",
            trigger: "button:contains(Change these answers)",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "Here is the new one",
            trigger: "#library_join_zip",
            run: "edit 97499",
        },
        {
            content: "Ask again",
            trigger: "button.o_library_join_next",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "Yes",
            trigger: ".o_library_join_allowed:contains(Free for the town)",
        },
        {
            content: "The name",
            trigger: "#library_join_name",
            run: "edit Rana Haddad",
        },
        {
            content: "The branch",
            trigger: "#library_join_branch",
            run: "selectByLabel North",
        },
        {
            content: "Send it without an address",
            trigger: "button.o_library_join_send",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "It says what is missing, and goes there",
            trigger: "#library_join_errors a:contains(Email)",
            run: "click",
        },
        {
            content: "The name is still there",
            trigger: "#library_join_name:value(Rana Haddad)",
        },
        {
            content: "The address",
            trigger: "#library_join_email",
            run: "edit rana@test.example.com",
        },
        {
            content: "Nothing sticks out of the screen of the phone",
            trigger: "#wrap",
            run({ anchor }) {
                const root = anchor.ownerDocument.documentElement;
                if (root.scrollWidth > root.clientWidth) {
                    throw new Error("The page is wider than the screen");
                }
            },
        },
        {
            content: "Choose what I am interested in",
            trigger: ".o_library_join_interests summary",
            run: "click",
        },
        {
            content: "Stories",
            trigger: "label:contains(Join stories)",
            run: "click",
        },
        {
            content: "Send it",
            trigger: "button.o_library_join_send",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "Look into the mail",
            trigger: ".o_library_join_sent",
        },
    ],
});

// The link in the mail.
registry.category("web_tour.tours").add("library_join_confirm_tour", {
    steps: () => [
        {
            content: "Confirm",
            trigger: "button.o_library_join_confirm",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "The library has it",
            trigger: ".o_library_join_confirmed",
        },
    ],
});
