// Texts that the reader writes. They are stored in this browser, never in the link.

import { signal } from "@preact/signals";

/** A text stored in this browser. */
export interface Stored {
  /** Reading it in a component subscribes. */
  readonly value: string | null;
  set(value: string): void;
}

const open = new Map<string, Stored>();

/** Return the text stored under a key; its value is null before the first `set`. */
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
        // Storage is full or switched off: the text lasts until the page is closed.
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
