import { registry } from "@web/core/registry";

/**
 * Go on with the Tab key, as somebody without a mouse does, and do there what a browser
 * does for Space and Enter (the keys of the tour itself would write into a box).
 *
 * @param {string} content
 * @param {(element: Element) => boolean} isGoal
 */
function tabTo(content, isGoal) {
    return {
        content,
        trigger: "body",
        async run(helpers) {
            for (let presses = 0; presses < 60; presses++) {
                await helpers.press("Tab");
                if (isGoal(document.activeElement)) {
                    document.activeElement.click();
                    return;
                }
            }
            throw new Error(`The Tab key does not lead on: ${content}`);
        },
    };
}

/** Go on to the box of a purpose and channel, and change it. */
function tabToBox(purpose, channel) {
    return tabTo(
        `Go on to ${purpose}, by ${channel}`,
        (element) =>
            element.matches(`input[name='agreed'][value$='-${channel}']`) &&
            element.closest("fieldset").querySelector("legend").textContent === purpose
    );
}

// A patron without a mouse takes the news back, agrees to surveys by post, and saves.
registry.category("web_tour.tours").add("library_preferences_keyboard_tour", {
    steps: () => [
        tabToBox("News and events", "email"),
        tabToBox("Surveys", "post"),
        {
            ...tabTo("The button comes after the boxes", (element) =>
                element.matches("button.btn-primary")
            ),
            expectUnloadPage: true,
        },
        {
            content: "The page says that it is saved, and the keyboard is there",
            trigger: ".alert-success:focus:contains(Saved)",
        },
    ],
});

// At the desk: one click in the grid on the patron's page gives, another takes back.
registry.category("web_tour.tours").add("library_consent_grid_tour", {
    steps: () => [
        {
            content: "Look at what the patron agreed to",
            trigger: ".o_notebook a[name='consent']",
            run: "click",
        },
        {
            content: "Nothing yet; the news by email are agreed to",
            trigger:
                ".o_library_consent_grid section[aria-label='News and events'] button[data-consent='email'][aria-pressed='false']",
            run: "click",
        },
        {
            content: "Surveys by phone too",
            trigger:
                ".o_library_consent_grid:has(section[aria-label='News and events'] button[data-consent='email'][aria-pressed='true']) section[aria-label='Surveys'] button[data-consent='phone'][aria-pressed='false']",
            run: "click",
        },
        {
            content: "And taken back at once",
            trigger:
                ".o_library_consent_grid section[aria-label='Surveys'] button[data-consent='phone'][aria-pressed='true']",
            run: "click",
        },
        {
            content: "Each click is a row of the ledger",
            trigger:
                ".o_field_widget[name='consent_ids'] tbody:has(tr.o_data_row:nth-child(3))",
        },
    ],
});
