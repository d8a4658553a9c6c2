// Light and dark.

import { computed, effect, signal, type ReadonlySignal } from "@preact/signals";
import { theme } from "./params";

const preferred = window.matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(preferred.matches);
preferred.addEventListener("change", () => (systemDark.value = preferred.matches));

/** Whether the page is dark. Views that draw on a canvas read it to redraw. */
export const dark: ReadonlySignal<boolean> = computed(() =>
  theme.value === "auto" ? systemDark.value : theme.value === "dark",
);

/** Keep the theme of the document up to date. Call once. */
export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset["theme"] = dark.value ? "dark" : "light";
  });
}
