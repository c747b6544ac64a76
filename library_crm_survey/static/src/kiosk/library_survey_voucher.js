import { registry } from "@web/core/registry";
import { Interaction } from "@web/public/interaction";

/**
 * The voucher comes behind the # of the link, which a browser sends to nobody. It is put
 * into the form, to be handed in with it, and taken out of the address.
 */
export class LibrarySurveyVoucher extends Interaction {
    static selector = ".o_library_survey_voucher";

    start() {
        this.el.elements.voucher.value ||= window.location.hash.slice(1);
        window.history.replaceState(null, "", window.location.pathname);
    }
}

registry
    .category("public.interactions")
    .add("library_crm_survey.voucher", LibrarySurveyVoucher);
