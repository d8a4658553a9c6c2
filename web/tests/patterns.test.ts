import { describe, expect, it } from "vitest";
import { patternOffset, triangleIndex, triangleSize, weightAt, weightOf } from "../src/data/patterns";
import { histogramPercentile, summarise } from "../src/data/summary";
import { frame } from "../src/views/pattern-canvas/frame";
import { patternPixels, shrink, stripPixels, topByte } from "../src/views/pattern-canvas/image";
import { brightness } from "../src/views/pattern-canvas/colour-map";
import { cellAt, cellIn, columnAt, walk } from "../src/views/pattern-matrix/keys";

/** Bytes of a pattern given row by row. */
function pack(rows: number[][]) {
  const bytes = rows.flatMap((row, query) => row.slice(0, query + 1).map((w) => Math.round(255 * Math.sqrt(w))));
  return { head: 0, prompt: 0, n: rows.length, triangle: Uint8Array.from(bytes) };
}

describe("patterns", () => {
  it("unpack to the weights within half a step of the bytes", () => {
    const rows = [[1], [0.25, 0.75], [0.5, 0.01, 0.49]];
    const pattern = pack(rows);
    rows.forEach((row, query) =>
      row.forEach((weight, key) => {
        const step = (Math.sqrt(weight) + 0.5 / 255) ** 2 - weight;
        expect(Math.abs(weightAt(pattern, query, key) - weight)).toBeLessThanOrEqual(step + 1e-12);
      }),
    );
    expect(weightAt(pattern, 0, 2)).toBe(0);
    expect(weightOf(255)).toBe(1);
  });

  it("are stored one after the other, for prompts of different lengths too", () => {
    const [lengths, heads] = [[3, 1, 4], 2];
    let offset = 0;
    lengths.forEach((n, prompt) => {
      for (let head = 0; head < heads; head++) {
        expect(patternOffset(lengths, heads, prompt, head)).toBe(offset);
        offset += triangleSize(n);
      }
    });
    expect(patternOffset(lengths, heads, lengths.length, 0)).toBe(offset);
    expect(triangleIndex(3, 3)).toBe(triangleSize(4) - 1);
  });

  it("shrink to the largest weights of blocks, and keep all where they are small enough", () => {
    const rows = [[0.9], [0.5, 0.5], [0.3, 0.25, 0.4], [0.25, 0.2, 0.25, 0.3]];
    const half = shrink(pack(rows), 2);
    [...half.triangle].forEach((byte, i) => expect(weightOf(byte)).toBeCloseTo([0.9, 0.3, 0.4][i] as number, 1));
    const withoutFirst = shrink(pack(rows), 2, 1);
    [...withoutFirst.triangle].forEach((byte, i) => expect(weightOf(byte)).toBeCloseTo([0.5, 0.25, 0.4][i] as number, 1));
    expect([...shrink(pack(rows), 4).triangle]).toEqual([...pack(rows).triangle]);
  });

  it("keep a line one token wide at any size", () => {
    const n = 500;
    const triangle = new Uint8Array(triangleSize(n));
    for (let query = 37; query < n; query++) triangle[triangleIndex(query, query - 37)] = 200;
    for (const side of [24, 96, 97, 333]) {
      const small = shrink({ n, triangle }, side);
      for (let row = Math.ceil((38 * side) / n); row < side; row++) {
        const bytes = small.triangle.subarray(triangleIndex(row, 0), triangleIndex(row, row) + 1);
        expect(Math.max(...bytes)).toBe(200);
      }
    }
  });

  it("are not darkened by one strong weight, and show a line that most queries have", () => {
    const n = 200;
    const triangle = new Uint8Array(triangleSize(n)).fill(3);
    for (let query = 20; query < n; query++) triangle[triangleIndex(query, query - 19)] = 90;
    triangle[triangleIndex(50, 1)] = 255;
    expect(topByte({ n, triangle }, 1)).toBe(90);
    expect([0, 1, 2].map((tokens) => topByte({ n: tokens, triangle: Uint8Array.from([255, 255, 255]) }, 1))).toEqual([1, 1, 255]);
  });

  it("have the first column as a strip of its own scale", () => {
    const pattern = pack([[1], [0.5, 0.5], [0.9, 0.04, 0.06]]);
    const style = { scale: "sqrt", map: "viridis", sink: "apart" } as const;
    const strip = stripPixels(pattern, style, 9);
    expect([strip.width, strip.height]).toEqual([1, 3]);
    expect([...strip.data.slice(0, 3)]).toEqual([253, 231, 37]);
    expect(stripPixels(pattern, style, 2).height).toBe(2);
    const place = frame(100, "apart");
    expect(place.left + place.side).toBe(100);
    expect(cellIn(1, place.side - 1, place, 10)).toEqual({ query: 9, key: 0 });
    expect(cellIn(place.left + 1.5 * (place.side / 10), place.side - 1, place, 10)).toEqual({ query: 9, key: 1 });
    expect(cellIn(place.left - 0.5, place.side - 1, place, 10)).toBeNull();
    expect(columnAt(0, place, 10)).toEqual({ x: 0, width: place.strip });
    expect(columnAt(3, frame(100, "shown"), 10)).toEqual({ x: 30, width: 10 });
  });

  it("are drawn below the diagonal alone, without the first column if it is hidden", () => {
    const pattern = pack([[1], [0.5, 0.5], [0.9, 0.04, 0.06]]);
    const style = { scale: "sqrt", map: "viridis", sink: "shown" } as const;
    const alpha = (data: Uint8ClampedArray) => [...data].filter((_, i) => i % 4 === 3).map((a) => Number(a > 0));
    expect(alpha(patternPixels(pattern, style, 9).data)).toEqual([1, 0, 0, 1, 1, 0, 1, 1, 1]);
    const hidden = patternPixels(pattern, { ...style, sink: "hidden" }, 9).data;
    expect(alpha(hidden)).toEqual([0, 0, 0, 0, 1, 0, 0, 1, 1]);
    // The largest weight that is left is drawn in the brightest colour of the map, #fde725.
    expect([...hidden.slice(16, 19)]).toEqual([253, 231, 37]);
    expect(patternPixels(pack([]), style, 9).data.length).toBe(0);
  });

  it("brightness rises with the weight on every scale, from 0 to 1", () => {
    for (const scale of ["linear", "sqrt", "log"] as const) {
      expect(brightness(0, scale)).toBe(0);
      expect(brightness(255, scale)).toBeCloseTo(1);
      for (let byte = 1; byte < 256; byte++) {
        expect(brightness(byte, scale)).toBeGreaterThanOrEqual(brightness(byte - 1, scale));
      }
    }
  });

  it("are walked within the triangle, diagonally with two keys, by ten with Ctrl", () => {
    const at = { query: 20, key: 5 };
    expect(walk(at, new Set(["ArrowUp"]), false, 64)).toEqual({ query: 19, key: 5 });
    expect(walk(at, new Set(["ArrowDown", "ArrowRight"]), false, 64)).toEqual({ query: 21, key: 6 });
    expect(walk(at, new Set(["PageUp"]), true, 64)).toEqual({ query: 10, key: 10 });
    expect(walk(at, new Set(["ArrowLeft"]), true, 64)).toEqual({ query: 20, key: 0 });
    expect(walk({ query: 0, key: 0 }, new Set(["ArrowUp"]), false, 1)).toEqual({ query: 0, key: 0 });
    expect(cellAt(99, 99, 100, 10)).toEqual({ query: 9, key: 9 });
    expect(cellAt(50, 10, 100, 10)).toBeNull();
    expect(cellAt(-1, 10, 100, 10)).toBeNull();
  });

  it("are summed up in shares", () => {
    const previous = pack([[1], [1, 0], [0, 1, 0], [0, 0, 1, 0]]);
    const summary = summarise(previous);
    expect(summary.first).toBeCloseTo(1 / 3);
    expect(summary.previous).toBeCloseTo(2 / 3);
    expect(summary.reach).toBeCloseTo(1);
    expect(summary.entropy).toBeCloseTo(0);
    const uniform = summarise(pack([[1], [0.5, 0.5]]));
    expect(uniform.entropy).toBeCloseTo(1, 1);
    expect(summarise(pack([[1]])).first).toBeNaN();
    expect(histogramPercentile([2, 2], 0, 1, 0.75)).toBe(75);
    expect(histogramPercentile([], 0, 1, 0.5)).toBeNaN();
  });
});
