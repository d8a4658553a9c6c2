// Links within the site change the address without a reload.

import { go } from "../state/url";

/** Handle clicks on links of the form `?page=...`. The browser handles clicks with a modifier key. */
export function followLinks(): void {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const anchor = (event.target as Element | null)?.closest?.("a");
    if (!anchor || anchor.target !== "" || anchor.hasAttribute("download")) return;
    const url = new URL(anchor.href, document.baseURI);
    const same = url.origin === location.origin && url.pathname === location.pathname;
    if (!same || url.hash !== "") return;
    event.preventDefault();
    go(url.search || "?");
  });
}
