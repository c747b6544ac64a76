import { registry } from "@web/core/registry";
import { Interaction } from "@web/public/interaction";

const SIGNS_OF_LIFE = ["pointerdown", "pointermove", "keydown", "scroll", "input"];

/**
 * The screen in a branch: whoever has answered is thanked for a moment, whoever has left
 * is waited for a while; then the next visitor finds the start, and nothing of the
 * answer before.
 */
export class LibraryKiosk extends Interaction {
    static selector = ".o_library_kiosk";

    setup() {
        this.frame = this.el.querySelector("iframe");
        this.door = this.el.dataset.door;
        this.idleSeconds = Number(this.el.dataset.idleSeconds);
        this.thanksSeconds = Number(this.el.dataset.thanksSeconds);
        this.idle = 0;
        this.thanked = 0;
        this.onLife = () => (this.idle = 0);
    }

    start() {
        this.frame.addEventListener("load", () => this.watch());
        this.watch();
        const timer = setInterval(() => this.tick(), 1000);
        this.registerCleanup(() => clearInterval(timer));
    }

    get page() {
        return this.frame.contentDocument;
    }

    get isAtStart() {
        return (
            this.page?.location.pathname === this.door &&
            Boolean(this.page.querySelector(".o_library_survey_door form"))
        );
    }

    watch() {
        this.idle = 0;
        this.thanked = 0;
        for (const sign of SIGNS_OF_LIFE) {
            this.page?.addEventListener(sign, this.onLife, { capture: true });
        }
    }

    tick() {
        this.idle += 1;
        if (this.page?.querySelector(".o_survey_finished")) {
            this.thanked += 1;
        }
        const isOver =
            this.thanked >= this.thanksSeconds ||
            (this.idle >= this.idleSeconds && !this.isAtStart);
        if (isOver) {
            this.idle = 0;
            this.thanked = 0;
            this.frame.contentWindow.location.replace(this.door);
        }
    }
}

registry.category("public.interactions").add("library_crm_survey.kiosk", LibraryKiosk);
