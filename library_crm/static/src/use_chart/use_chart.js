import { Component, onWillStart, onWillUpdateProps, useEffect, useRef } from "@odoo/owl";
import { loadBundle } from "@web/core/assets";
import { cookie } from "@web/core/browser/cookie";
import { getColor, getCustomColor } from "@web/core/colors/colors";
import { deserializeDate } from "@web/core/l10n/dates";
import { localization } from "@web/core/l10n/localization";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";

/**
 * What the patron of the form used in the last 12 months, as stacked bars: one bar
 * a month, one colour a service.
 */
export class LibraryUseChart extends Component {
    static template = "library_crm.UseChart";
    static props = { ...standardWidgetProps };

    setup() {
        this.orm = useService("orm");
        this.canvas = useRef("canvas");
        onWillStart(async () => {
            await Promise.all([loadBundle("web.chartjs_lib"), this.load(this.props)]);
        });
        onWillUpdateProps((nextProps) => this.load(nextProps));
        useEffect(
            () => {
                const chart = this.canvas.el && new Chart(this.canvas.el, this.config);
                return () => chart && chart.destroy();
            },
            () => [this.use]
        );
    }

    async load({ record }) {
        this.use = record.resId
            ? await this.orm.call("library.patron", "get_use_by_month", [[record.resId]])
            : { months: [], services: [] };
    }

    get isEmpty() {
        return !this.use.services.length;
    }

    get config() {
        const scheme = cookie.get("color_scheme");
        const text = getCustomColor(scheme, "#111827", "#E4E4E4");
        const rtl = localization.direction === "rtl";
        return {
            type: "bar",
            data: {
                labels: this.use.months.map((month) =>
                    deserializeDate(month).toFormat("LLL")
                ),
                datasets: this.use.services.map((service, index) => ({
                    label: service.name,
                    data: service.quantities,
                    backgroundColor: getColor(index, scheme, this.use.services.length),
                })),
            },
            options: {
                animation: false,
                // Slanted names of months end to the left of their bar.
                layout: { padding: { left: rtl ? 24 : 0 } },
                maintainAspectRatio: false,
                plugins: {
                    legend: {
                        position: "bottom",
                        rtl,
                        labels: { boxWidth: 12, color: text },
                    },
                    tooltip: { mode: "index", rtl },
                },
                scales: {
                    x: {
                        stacked: true,
                        reverse: rtl,
                        grid: { display: false },
                        ticks: { color: text },
                    },
                    y: {
                        stacked: true,
                        beginAtZero: true,
                        position: rtl ? "right" : "left",
                        ticks: { precision: 0, color: text },
                    },
                },
            },
        };
    }
}

registry.category("view_widgets").add("library_use_chart", {
    component: LibraryUseChart,
});
