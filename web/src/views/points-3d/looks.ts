// Colour and state of every point in four bytes, for the graphics card.

import { STATE } from "./shaders";

/** Return red, green, blue and state of every point. */
export function looks(
  colours: Uint8Array,
  parts: {
    finite: Uint8Array;
    shown?: Uint8Array | null;
    selected?: Uint8Array | null;
    named: readonly number[];
  },
): Uint8Array {
  const n = parts.finite.length;
  const look = new Uint8Array(4 * n);
  for (let i = 0; i < n; i++) {
    look[4 * i] = colours[3 * i] ?? 0;
    look[4 * i + 1] = colours[3 * i + 1] ?? 0;
    look[4 * i + 2] = colours[3 * i + 2] ?? 0;
    if (parts.finite[i] === 0 || parts.shown?.[i] === 0) continue;
    look[4 * i + 3] = parts.selected?.[i] ? STATE.chosen : STATE.rest;
  }
  // Named points are shown even if a filter hides them.
  for (const point of parts.named) if (parts.finite[point]) look[4 * point + 3] = STATE.named;
  return look;
}
