import { _t } from "@web/core/l10n/translation";
import { Expression, isTree } from "@web/core/tree_editor/condition_tree";
import { TreeEditor } from "@web/core/tree_editor/tree_editor";
import { Input } from "@web/core/tree_editor/tree_editor_components";
import { treeProcessorService } from "@web/core/tree_editor/tree_processor";
import { patch } from "@web/core/utils/patch";

const RELATIVE_DATE = /^(?:(today|now)|(?:today )?([+-])(\d+)([dwmy]))$/;
const DYNAMIC_DATE = /^(?:today|now|[+=-]\d)/;

function sayDistance(isPast, count, unit) {
    if (count === 1) {
        return {
            d: isPast ? _t("1 day ago") : _t("in 1 day"),
            w: isPast ? _t("1 week ago") : _t("in 1 week"),
            m: isPast ? _t("1 month ago") : _t("in 1 month"),
            y: isPast ? _t("1 year ago") : _t("in 1 year"),
        }[unit];
    }
    return {
        d: isPast ? _t("%s days ago", count) : _t("in %s days", count),
        w: isPast ? _t("%s weeks ago", count) : _t("in %s weeks", count),
        m: isPast ? _t("%s months ago", count) : _t("in %s months", count),
        y: isPast ? _t("%s years ago", count) : _t("in %s years", count),
    }[unit];
}

/**
 * A date counted from today, as a domain on the server knows it ("today -6m"), in words.
 * One that is put together of several ("today -1y =1d") stays as it is.
 *
 * @param {string} value
 * @returns {string}
 */
export function sayRelativeDate(value) {
    const found = RELATIVE_DATE.exec(value);
    if (!found) {
        return value;
    }
    const [, moment, sign, count, unit] = found;
    if (moment) {
        return moment === "today" ? _t("today") : _t("now");
    }
    return sayDistance(sign === "-", Number(count), unit);
}

class RelativeDate extends Expression {
    constructor(value) {
        super({ type: 1 /* a string, for Python */, value });
    }

    toString() {
        return String(sayRelativeDate(this._ast.value));
    }
}

function replaceValue(value) {
    if (Array.isArray(value)) {
        return value.map(replaceValue);
    }
    return typeof value === "string" && DYNAMIC_DATE.test(value)
        ? new RelativeDate(value)
        : value;
}

function replaceInTree(tree, getFieldDef, prefix = "") {
    if (tree.type === "connector") {
        return {
            ...tree,
            children: tree.children.map((child) =>
                replaceInTree(child, getFieldDef, prefix)
            ),
        };
    }
    if (typeof tree.path !== "string") {
        return tree;
    }
    const path = prefix + tree.path;
    if (isTree(tree.value)) {
        return { ...tree, value: replaceInTree(tree.value, getFieldDef, `${path}.`) };
    }
    const isDate = ["date", "datetime"].includes(getFieldDef(path)?.type);
    if (!isDate) {
        return tree;
    }
    if (tree.operator === "in range") {
        const [fieldType, kind, ...dates] = tree.value;
        return { ...tree, value: [fieldType, kind, ...dates.map(replaceValue)] };
    }
    return { ...tree, value: replaceValue(tree.value) };
}

/**
 * Odoo's words for a condition take every date to be a fixed one, so that segments read
 * "before Invalid DateTime".
 */
patch(treeProcessorService, {
    start() {
        const service = super.start(...arguments);
        const describe = (name) => async (resModel, tree, ...others) => {
            const getFieldDef = await service.makeGetFieldDef(resModel, tree);
            return service[name](resModel, replaceInTree(tree, getFieldDef), ...others);
        };
        return {
            ...service,
            getDomainTreeDescription: describe("getDomainTreeDescription"),
            getDomainTreeTooltip: describe("getDomainTreeTooltip"),
            async makeGetConditionDescription(resModel, tree, ...others) {
                const [getFieldDef, getDescription] = await Promise.all([
                    service.makeGetFieldDef(resModel, tree),
                    service.makeGetConditionDescription(resModel, tree, ...others),
                ]);
                return (node) => getDescription(replaceInTree(node, getFieldDef));
            },
        };
    },
});

const isRelative = (value) => typeof value === "string" && DYNAMIC_DATE.test(value);

/** A relative date is changed as text: no calendar has "today -6m" in it. */
const TEXT_EDITOR = {
    component: Input,
    extractProps: ({ value, update }) => ({ value, update }),
    isSupported: (value) => typeof value === "string",
    defaultValue: () => "today",
};

patch(TreeEditor.prototype, {
    getValueEditorInfo(node) {
        const info = super.getValueEditorInfo(...arguments);
        if (!["date", "datetime"].includes(this.getFieldDef(node.path)?.type)) {
            return info;
        }
        if (isRelative(node.value)) {
            return { ...info, ...TEXT_EDITOR };
        }
        if (node.operator === "in range" && node.value.slice(2).some(isRelative)) {
            return {
                ...info,
                extractProps: (params) => {
                    const props = info.extractProps(params);
                    const betweenEditorInfo = {
                        ...props.betweenEditorInfo,
                        extractProps: ({ value, update }) => ({
                            value,
                            update,
                            editorInfo: TEXT_EDITOR,
                        }),
                    };
                    return { ...props, betweenEditorInfo };
                },
            };
        }
        return info;
    },
});
