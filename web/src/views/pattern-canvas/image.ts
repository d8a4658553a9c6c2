// A pattern as pixels. Pure functions.

import { triangleIndex, type Pattern } from "../../data/patterns";
import type { PatternStyle } from "./api";
import { colourTable } from "./colour-map";

/** Red, green, blue, alpha of `side` x `side` pixels; transparent above the diagonal. */
export interface Pixels {
  side: number;
  data: Uint8ClampedArray<ArrayBuffer>;
}

/**
 * Draw a pattern: a pixel per weight, or, where there are more tokens than `most` pixels, the mean
 * weight of each block, so that thin lines grow faint but never vanish.
 */
export function patternPixels(pattern: Pattern, style: PatternStyle, most: number): Pixels {
  const bytes = pattern.n > most ? shrink(pattern, most) : pattern;
  const first = style.sinkHidden ? 1 : 0;
  const colours = colourTable(style, style.sinkHidden ? brightest(bytes) : 255);
  const side = bytes.n;
  const data = new Uint8ClampedArray(side * side * 4);
  for (let query = 0; query < side; query++) {
    for (let key = first; key <= query; key++) {
      const colour = (bytes.triangle[triangleIndex(query, key)] as number) * 3;
      const at = (query * side + key) * 4;
      data[at] = colours[colour] as number;
      data[at + 1] = colours[colour + 1] as number;
      data[at + 2] = colours[colour + 2] as number;
      data[at + 3] = 255;
    }
  }
  return { side, data };
}

/** Return the largest byte outside of the first column, at least 1. */
function brightest({ n, triangle }: { n: number; triangle: Uint8Array }): number {
  let top = 1;
  for (let query = 1; query < n; query++) {
    for (let key = 1; key <= query; key++) {
      top = Math.max(top, triangle[triangleIndex(query, key)] as number);
    }
  }
  return top;
}

/** A pattern of `side` blocks: means of the weights, as bytes again. */
export function shrink(
  { n, triangle }: { n: number; triangle: Uint8Array },
  side: number,
): { n: number; triangle: Uint8Array } {
  const sums = new Float64Array((side * (side + 1)) / 2);
  const counts = new Uint32Array(sums.length);
  const block = Uint32Array.from({ length: n }, (_, token) => Math.floor((token * side) / n));
  let at = 0;
  for (let query = 0; query < n; query++) {
    const row = block[query] as number;
    for (let key = 0; key <= query; key++, at++) {
      const to = triangleIndex(row, block[key] as number);
      const root = (triangle[at] as number) / 255;
      sums[to] = (sums[to] as number) + root * root;
      counts[to] = (counts[to] as number) + 1;
    }
  }
  const shrunk = Uint8Array.from(sums, (sum, i) =>
    Math.round(255 * Math.sqrt(sum / Math.max(1, counts[i] as number))),
  );
  return { n: side, triangle: shrunk };
}
