// What is far from the screen is not made, but a saved picture must hold it.

import { signal } from "@preact/signals";

/** The element that is being saved: all in it counts as near. */
export const saved = signal<Element | null>(null);

/** What is still to come: a pattern, a part that loads, points that are not drawn. */
const WAITING = "[data-waiting], .state-loading, [data-ready=false]";

/** Frames without anything to come after which an element is whole: parts are made by parts. */
const QUIET = 4;
/** A part that never comes must not keep a reader from the rest. */
const PATIENCE = 30_000;

/** Have everything in an element made, hand it over, and let go of it again. */
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
