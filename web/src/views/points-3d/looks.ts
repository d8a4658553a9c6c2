// Colour and state of every point in four bytes, as the graphics card takes them.

import { STATE } from "./shaders";

/** @returns red, green, blue, state of every point */
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
  // A named point is shown even where a filter hides it: it is what the picture is about.
  for (const point of parts.named) if (parts.finite[point]) look[4 * point + 3] = STATE.named;
  return look;
}
