import { Component, onWillStart, onWillUpdateProps, useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";

/**
 * The steps of the journey of the form as a picture, from top to bottom, with what came
 * of each: a step opens when it is clicked, a plus adds one after it.
 */
export class LibraryJourneyPicture extends Component {
    static template = "library_crm.JourneyPicture";
    static props = { ...standardWidgetProps };

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.state = useState({ picture: null });
        onWillStart(() => this.load(this.props));
        onWillUpdateProps((nextProps) => this.load(nextProps));
    }

    async load({ record }, version = false) {
        this.state.picture = record.resId
            ? await this.orm.call("library.journey", "get_picture", [[record.resId]], {
                  version,
              })
            : null;
    }

    get picture() {
        return this.state.picture;
    }

    following(step, branch = false) {
        return this.picture.steps.find(
            (other) =>
                (other.parent_id || false) === (step ? step.id : false) &&
                (other.branch || false) === branch
        );
    }

    versionLabel(version) {
        if (version === this.picture.used_version) {
            return _t("Version %s (in use)", version);
        }
        return version > this.picture.used_version
            ? _t("Version %s (new)", version)
            : _t("Version %s (old)", version);
    }

    onVersion(event) {
        return this.load(this.props, Number(event.target.value));
    }

    openStep(step) {
        return this.openDialog(step.name, { res_id: step.id });
    }

    addStep(step, branch = false) {
        return this.openDialog(_t("New Step"), {
            context: {
                default_journey_id: this.props.record.resId,
                default_version: this.picture.version,
                default_parent_id: step ? step.id : false,
                default_branch: branch,
            },
        });
    }

    async openDialog(name, values) {
        // What was changed on the form is kept, or the step would not fit it.
        if (!this.props.record.isInEdition || (await this.props.record.save())) {
            await this.action.doAction(
                {
                    type: "ir.actions.act_window",
                    name,
                    res_model: "library.journey.step",
                    views: [[false, "form"]],
                    target: "new",
                    ...values,
                },
                { onClose: () => this.load(this.props, this.picture.version) }
            );
        }
    }
}

registry.category("view_widgets").add("library_journey_picture", {
    component: LibraryJourneyPicture,
});
