import { Component, onWillStart, onWillUpdateProps, useState } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";

/**
 * What the patron of the form agreed to: a row a purpose, a column a channel. One click
 * writes what the patron says at the desk.
 */
export class LibraryConsentGrid extends Component {
    static template = "library_crm.ConsentGrid";
    static props = { ...standardWidgetProps };

    setup() {
        this.orm = useService("orm");
        this.state = useState({ channels: [], purposes: [], can_change: false });
        onWillStart(() => this.load(this.props));
        onWillUpdateProps((nextProps) => this.load(nextProps));
    }

    async load({ record }) {
        if (record.resId) {
            await this.call("get_consents", record.resId);
        }
    }

    async call(method, ...args) {
        const [id, ...rest] = args;
        Object.assign(
            this.state,
            await this.orm.call("library.patron", method, [[id], ...rest])
        );
    }

    async toggle(purpose, channel) {
        const { record } = this.props;
        await this.call(
            "set_consent",
            record.resId,
            purpose.id,
            channel.key,
            !this.isGiven(purpose, channel)
        );
        // The ledger below shows the new row.
        if (!(await record.isDirty())) {
            await record.load();
        }
    }

    row(purpose, channel) {
        return purpose.rows[channel.key];
    }

    isGiven(purpose, channel) {
        return this.row(purpose, channel)?.state === "given";
    }
}

registry.category("view_widgets").add("library_consent_grid", {
    component: LibraryConsentGrid,
});
