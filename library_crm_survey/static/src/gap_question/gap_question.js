import { patch } from "@web/core/utils/patch";
import { registry } from "@web/core/registry";
import { SurveyForm } from "@survey/interactions/survey_form";
import { Interaction } from "@web/public/interaction";

/**
 * What somebody says of one item.
 *
 * @param {HTMLElement} itemEl
 * @returns {Object} values by level, or {no_opinion: true}; empty when nothing is said
 */
function getRating(itemEl) {
    if (itemEl.querySelector(".o_library_gap_none input").checked) {
        return { no_opinion: true };
    }
    const rating = {};
    for (const inputEl of itemEl.querySelectorAll(".o_library_gap_rating input:checked")) {
        rating[inputEl.closest(".o_library_gap_rating").dataset.level] = inputEl.value;
    }
    return rating;
}

function isComplete(itemEl) {
    const rating = getRating(itemEl);
    return "no_opinion" in rating || Object.keys(rating).length === 3;
}

/**
 * A gap question: of each item the least acceptable, what is wished for and what is
 * found, from 1 to 9, or no opinion. Works by touch, with the arrow keys, and by typing
 * the number.
 */
export class GapQuestion extends Interaction {
    static selector = ".o_survey_form .o_library_gap";
    dynamicContent = {
        ".o_library_gap_rating input": {
            "t-on-change": this.onRatingChange,
            "t-on-keydown": this.onRatingKeydown,
        },
        ".o_library_gap_none input": { "t-on-change": this.onNoneChange },
        ".o_library_gap_hint span": {
            "t-att-class": (el) => ({
                "d-none": !this.isInverted(el.closest(".o_library_gap_item")),
            }),
        },
    };

    isInverted(itemEl) {
        const { minimum, desired } = getRating(itemEl);
        return Number(minimum) > Number(desired);
    }

    /** A rating is an opinion. */
    onRatingChange(ev) {
        const itemEl = ev.currentTarget.closest(".o_library_gap_item");
        if (ev.currentTarget.checked) {
            itemEl.querySelector(".o_library_gap_none input").checked = false;
        } else {
            this.forget(ev.currentTarget);
        }
        this.markAsAnswered(itemEl);
    }

    onNoneChange(ev) {
        const itemEl = ev.currentTarget.closest(".o_library_gap_item");
        if (ev.currentTarget.checked) {
            for (const inputEl of itemEl.querySelectorAll("input:checked[type='radio']")) {
                this.forget(inputEl);
            }
        }
        this.markAsAnswered(itemEl);
    }

    onRatingKeydown(ev) {
        if (ev.ctrlKey || ev.metaKey || ev.altKey || !/^[1-9]$/.test(ev.key)) {
            return;
        }
        const inputEl = ev.currentTarget
            .closest(".o_library_gap_rating")
            .querySelector(`input[value='${ev.key}']`);
        inputEl.focus();
        if (!inputEl.checked) {
            inputEl.click();
        }
        ev.preventDefault();
    }

    /** The class is how the form of the survey knows what a second click takes back. */
    forget(inputEl) {
        inputEl.checked = false;
        inputEl.classList.remove("o_survey_form_choice_item_selected");
    }

    markAsAnswered(itemEl) {
        if (isComplete(itemEl)) {
            itemEl.classList.remove("o_library_gap_open");
        }
    }
}

registry.category("public.interactions").add("library_crm_survey.gap_question", GapQuestion);

patch(SurveyForm.prototype, {
    prepareSubmitValues(formData, params) {
        super.prepareSubmitValues(formData, params);
        for (const questionEl of this.el.querySelectorAll(".o_library_gap")) {
            const answer = {};
            for (const itemEl of questionEl.querySelectorAll(".o_library_gap_item")) {
                const rating = getRating(itemEl);
                if (Object.keys(rating).length) {
                    answer[itemEl.dataset.itemId] = rating;
                }
            }
            params[questionEl.dataset.name] = answer;
        }
    },

    /** Show where an answer is missing, and go there. */
    showErrors(errors) {
        super.showErrors(errors);
        for (const questionId of Object.keys(errors || {})) {
            const itemEls = this.el.querySelectorAll(
                `.o_library_gap[data-name="${questionId}"] .o_library_gap_item`
            );
            const openEls = [...itemEls].filter((itemEl) => !isComplete(itemEl));
            for (const itemEl of itemEls) {
                itemEl.classList.toggle("o_library_gap_open", openEls.includes(itemEl));
            }
            const halfEl = openEls.find((itemEl) => Object.keys(getRating(itemEl)).length);
            const ratingEls = (halfEl || openEls[0])?.querySelectorAll(".o_library_gap_rating");
            [...(ratingEls || [])]
                .find((ratingEl) => !ratingEl.querySelector("input:checked"))
                ?.querySelector("input")
                .focus();
        }
    },
});
