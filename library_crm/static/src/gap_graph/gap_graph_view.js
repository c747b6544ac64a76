import { registry } from "@web/core/registry";
import { GraphModel } from "@web/views/graph/graph_model";
import { graphView } from "@web/views/graph/graph_view";

/**
 * A line ends where its figures end: what is not known yet is not zero.
 */
export class GapGraphModel extends GraphModel {
    _getData() {
        const data = super._getData(...arguments);
        if (this.metaData.mode === "line") {
            for (const dataset of data.datasets) {
                // Only a point that was counted has a domain.
                dataset.data = dataset.data.map((value, index) =>
                    dataset.domains[index].length ? value : null
                );
            }
        }
        return data;
    }
}

registry.category("views").add("library_gap_graph", {
    ...graphView,
    Model: GapGraphModel,
});
