// What a reader writes and wants to keep: in this browser, never in the link.

import { signal } from "@preact/signals";

/** A text that stays in this browser. */
export interface Stored {
  /** Reading it in a component subscribes. */
  readonly value: string | null;
  set(value: string): void;
}

const open = new Map<string, Stored>();

/** The text kept under a key; null until something is kept. */
export function stored(key: string): Stored {
  const known = open.get(key);
  if (known) return known;
  const current = signal(read(key));
  window.addEventListener("storage", (event) => {
    if (event.key === key) current.value = event.newValue;
  });
  const created: Stored = {
    get value() {
      return current.value;
    },
    set: (value) => {
      current.value = value;
      try {
        window.localStorage.setItem(key, value);
      } catch {
        // No room, or storage is switched off: it lasts as long as the page.
      }
    },
  };
  open.set(key, created);
  return created;
}

function read(key: string): string | null {
  try {
    return window.localStorage.getItem(key);
  } catch {
    return null;
  }
}
