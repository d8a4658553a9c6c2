// Where a pattern is within its picture: with the first token set apart, a strip takes room at the left.

import type { Sink } from "./api";

/** Places in a picture, in the unit of its size. */
export interface Frame {
  /** Width of the strip of the first token; 0 without one. */
  strip: number;
  /** Left edge of the square. */
  left: number;
  /** Side of the square. */
  side: number;
}

/** Return the places in a picture of a size. */
export function frame(size: number, sink: Sink): Frame {
  if (sink !== "apart") return { strip: 0, left: 0, side: size };
  const strip = Math.max(3, Math.round(size * 0.04));
  const left = strip + Math.max(1, Math.round(size * 0.01));
  return { strip, left, side: Math.max(1, size - left) };
}
