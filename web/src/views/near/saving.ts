// Content far from the screen is not rendered, but a saved picture must contain it.

import { signal } from "@preact/signals";

/** The element that is being saved. All of its content counts as near. */
export const saved = signal<Element | null>(null);

/** Content that is not complete: a pattern, a part that loads, points that are not drawn. */
const WAITING = "[data-waiting], .state-loading, [data-ready=false]";

/** Frames without incomplete content after which an element is complete: parts render parts. */
const QUIET = 4;
/** Milliseconds after which incomplete content is given up. */
const PATIENCE = 30_000;

/** Render all content of an element, then run a function. */
export async function whole<T>(element: Element, use: () => Promise<T>): Promise<T> {
  saved.value = element;
  try {
    const end = performance.now() + PATIENCE;
    for (let quiet = 0; quiet < QUIET && performance.now() < end; ) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      quiet = element.querySelector(WAITING) === null ? quiet + 1 : 0;
    }
    return await use();
  } finally {
    saved.value = null;
  }
}
