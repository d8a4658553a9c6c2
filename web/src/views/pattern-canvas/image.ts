// A pattern as pixels. Pure functions.

import { triangleIndex, type Pattern } from "../../data/patterns";
import type { PatternStyle } from "./api";
import { colourTable } from "./colour-map";

/** Red, green, blue, alpha of the pixels of a picture, row by row. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8ClampedArray<ArrayBuffer>;
}

type Triangle = Pick<Pattern, "n" | "triangle">;

/**
 * Draw the square of a pattern: a pixel per weight, transparent above the diagonal. With more tokens than
 * `most` pixels, a pixel is the largest weight of its block, so that a line one token wide stays visible.
 */
export function patternPixels(pattern: Triangle, style: PatternStyle, most: number): Pixels {
  const first = style.sink === "shown" ? 0 : 1;
  const { n: side, triangle } = pattern.n > most ? shrink(pattern, most, first) : pattern;
  const colours = colourTable(style, first === 0 ? 255 : topByte(pattern, first));
  const data = new Uint8ClampedArray(side * side * 4);
  const isWhole = side === pattern.n;
  for (let query = 0; query < side; query++) {
    for (let key = isWhole ? first : 0; key <= query; key++) {
      const colour = (triangle[triangleIndex(query, key)] as number) * 3;
      const at = (query * side + key) * 4;
      data[at] = colours[colour] as number;
      data[at + 1] = colours[colour + 1] as number;
      data[at + 2] = colours[colour + 2] as number;
      data[at + 3] = 255;
    }
  }
  return { width: side, height: side, data };
}

/** Draw the first column, one pixel wide, on a scale from 0 to 1. */
export function stripPixels({ n, triangle }: Triangle, style: PatternStyle, most: number): Pixels {
  const height = Math.min(n, most);
  const tops = new Uint8Array(height);
  for (let query = 0; query < n; query++) {
    const block = Math.floor((query * height) / n);
    tops[block] = Math.max(tops[block] as number, triangle[triangleIndex(query, 0)] as number);
  }
  const colours = colourTable(style);
  const data = new Uint8ClampedArray(height * 4);
  tops.forEach((byte, block) => {
    data.set(colours.subarray(byte * 3, byte * 3 + 3), block * 4);
    data[block * 4 + 3] = 255;
  });
  return { width: 1, height, data };
}

/** Share of the queries whose largest weight is at most the brightest colour. */
const BRIGHTEST = 0.9;

/**
 * Return the byte from which on weights have the brightest colour, at least 1: a quantile of the largest
 * bytes of the queries, for keys from `first` on. So one weight alone does not darken all others.
 */
export function topByte({ n, triangle }: Triangle, first: number): number {
  const largest = new Uint8Array(Math.max(0, n - first));
  for (let query = first; query < n; query++) {
    const row = triangleIndex(query, 0);
    largest[query - first] = triangle.subarray(row + first, row + query + 1).reduce((a, b) => Math.max(a, b), 0);
  }
  largest.sort();
  return Math.max(1, largest[Math.ceil(BRIGHTEST * (largest.length - 1))] ?? 1);
}

/** Return a pattern of `side` blocks: the largest byte of each, without the keys before `first`. */
export function shrink({ n, triangle }: Triangle, side: number, first = 0): Triangle {
  const tops = new Uint8Array((side * (side + 1)) / 2);
  const block = Uint32Array.from({ length: n }, (_, token) => Math.floor((token * side) / n));
  for (let query = first; query < n; query++) {
    const from = triangleIndex(query, 0);
    const to = triangleIndex(block[query] as number, 0);
    for (let key = first; key <= query; key++) {
      const byte = triangle[from + key] as number;
      const at = to + (block[key] as number);
      if (byte > (tops[at] as number)) tops[at] = byte;
    }
  }
  return { n: side, triangle: tops };
}
