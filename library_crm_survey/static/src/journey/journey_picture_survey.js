import { patch } from "@web/core/utils/patch";
import { LibraryJourneyPicture } from "@library_crm/journey/journey_picture";

patch(LibraryJourneyPicture.prototype, {
    icon(step) {
        return step.kind === "survey" ? "fa-pencil-square-o" : super.icon(step);
    },
});
