import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { scanBarcode } from "@web/core/barcode/barcode_dialog";
import { isBarcodeScannerSupported } from "@web/core/barcode/barcode_video_scanner";
import { useBus, useService } from "@web/core/utils/hooks";
import { charField, CharField } from "@web/views/fields/char/char_field";

/**
 * A code that comes from a scanner, wherever the focus is, from the camera of a phone,
 * or from the keyboard.
 */
export class ScanCodeField extends CharField {
    static template = "library_crm_loyalty.ScanCodeField";

    setup() {
        super.setup();
        this.notification = useService("notification");
        this.hasCamera = isBarcodeScannerSupported();
        useBus(useService("barcode").bus, "barcode_scanned", (ev) =>
            this.take(ev.detail.barcode)
        );
    }

    take(code) {
        return this.props.record.update({ [this.props.name]: code });
    }

    async scan() {
        try {
            await this.take(await scanBarcode(this.env));
        } catch (error) {
            this.notification.add(error.message || _t("Please scan it again."), {
                type: "warning",
            });
        }
    }
}

registry.category("fields").add("library_scan_code", {
    ...charField,
    component: ScanCodeField,
});
