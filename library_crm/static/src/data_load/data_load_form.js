import { onMounted, onWillUnmount } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { FormController } from "@web/views/form/form_controller";
import { formView } from "@web/views/form/form_view";

const SECONDS = 2;

/** Reads a load anew while it waits or runs, so that its bar moves. */
export class LibraryDataLoadFormController extends FormController {
    setup() {
        super.setup();
        onMounted(() => {
            this.refreshTimer = setInterval(() => this.refresh(), SECONDS * 1000);
        });
        onWillUnmount(() => clearInterval(this.refreshTimer));
    }

    async refresh() {
        const { root } = this.model;
        const isAtWork = ["queued", "running"].includes(root.data.state);
        if (!isAtWork || this.isRefreshing || document.hidden || (await root.isDirty())) {
            return;
        }
        this.isRefreshing = true;
        try {
            await root.load();
        } finally {
            this.isRefreshing = false;
        }
    }
}

registry.category("views").add("library_data_load_form", {
    ...formView,
    Controller: LibraryDataLoadFormController,
});
