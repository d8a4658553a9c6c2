// A part of a matrix as pixels. Pure functions.

import { colourAt, rgb } from "../pattern-canvas/colour-map";
import type { CodeMatrix, HeatmapStyle, ReadMatrix } from "./api";
import type { Frame } from "./frame";

const MISSING = 0xffff;
/** Cells sampled per pixel and axis if there are several cells per pixel. */
const SAMPLES = 3;

/** Return 256 colours from `low` to `high`. */
export function heatmapTable(style: Pick<HeatmapStyle, "map" | "reversed">): Uint8Array {
  const table = new Uint8Array(256 * 3);
  for (let step = 0; step < 256; step++) {
    const share = step / 255;
    table.set(rgb(colourAt(style.map, style.reversed ? 1 - share : share)), step * 3);
  }
  return table;
}

/** Return the places that the pixels of an axis show, `samples` per pixel with several cells. */
function sampled(first: number, cells: number, side: number, n: number, most: number) {
  const samples = cells > side ? most : 1;
  const places = new Int32Array(side * samples);
  for (let i = 0; i < places.length; i++) {
    places[i] = Math.min(n - 1, Math.floor(first + ((i + 0.5) / places.length) * cells));
  }
  return { samples, places };
}

/**
 * Draw a window of the matrix on `side` x `side` pixels of red, green, blue, alpha. A pixel with several
 * cells shows the mean of some of them; missing cells are transparent.
 */
export function heatmapPixels(
  matrix: CodeMatrix | ReadMatrix,
  order: Uint32Array,
  frame: Frame,
  side: number,
  style: HeatmapStyle,
): Uint8ClampedArray<ArrayBuffer> {
  const { n } = matrix;
  const data = new Uint8ClampedArray(side * side * 4);
  if (n === 0) return data;
  const read = readerOf(matrix);
  // The neighbours of a mean are in it already.
  const most = "at" in matrix ? 1 : SAMPLES;
  const table = heatmapTable(style);
  const slope = 255 / Math.max(1, style.high - style.low);
  const across = sampled(frame.left, frame.cells, side, n, most);
  const down = sampled(frame.top, frame.cells, side, n, most);
  const columns = across.places.map((place) => order[place] as number);
  const rows = down.places.map((place) => order[place] as number);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let sum = 0;
      let count = 0;
      for (let i = 0; i < down.samples; i++) {
        const row = rows[y * down.samples + i] as number;
        for (let j = 0; j < across.samples; j++) {
          const code = read(row, columns[x * across.samples + j] as number);
          if (code === MISSING) continue;
          sum += code;
          count += 1;
        }
      }
      if (count === 0) continue;
      const step = Math.min(255, Math.max(0, Math.round((sum / count - style.low) * slope)));
      const at = (y * side + x) * 4;
      data[at] = table[step * 3] as number;
      data[at + 1] = table[step * 3 + 1] as number;
      data[at + 2] = table[step * 3 + 2] as number;
      data[at + 3] = 255;
    }
  }
  return data;
}

function readerOf(matrix: CodeMatrix | ReadMatrix): (row: number, column: number) => number {
  if ("at" in matrix) return matrix.at;
  const { codes, n } = matrix;
  return (row, column) => codes[row * n + column] as number;
}

/** Return quantiles of the codes off the diagonal; 0 and 1 if there are none. */
export function codeQuantiles({ codes, n }: CodeMatrix, shares: readonly number[]): number[] {
  const counts = new Uint32Array(65536);
  let total = 0;
  for (let row = 0; row < n; row++) {
    for (let column = 0; column < n; column++) {
      const code = codes[row * n + column] as number;
      if (row === column || code === MISSING) continue;
      counts[code] = (counts[code] as number) + 1;
      total += 1;
    }
  }
  return shares.map((share) => {
    if (total === 0) return share <= 0.5 ? 0 : 1;
    const target = Math.min(total - 1, Math.floor(share * total));
    let seen = 0;
    let code = 0;
    while (seen + (counts[code] as number) <= target) seen += counts[code++] as number;
    return code;
  });
}
