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
  const { finite, shown = null, selected = null } = parts;
  const n = finite.length;
  const look = new Uint8Array(4 * n);
  // Four bytes at a time; the first is the lowest, as on every machine that runs a browser.
  const packed = new Uint32Array(look.buffer);
  for (let i = 0; i < n; i++) {
    const colour = (colours[3 * i] as number) | ((colours[3 * i + 1] as number) << 8) | ((colours[3 * i + 2] as number) << 16);
    const isHidden = finite[i] === 0 || (shown !== null && shown[i] === 0);
    const state = isHidden ? STATE.hidden : selected !== null && selected[i] !== 0 ? STATE.chosen : STATE.rest;
    packed[i] = colour | (state << 24);
  }
  // Named points are shown even if a filter hides them.
  for (const point of parts.named) if (finite[point]) look[4 * point + 3] = STATE.named;
  return look;
}
