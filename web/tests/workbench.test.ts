import { describe, expect, it } from "vitest";
import { align } from "../src/data/alignment";
import { triangleIndex, triangleSize } from "../src/data/patterns";
import { tellingCell } from "../src/pages/home/telling";
import { density } from "../src/views/head-map/density";
import { fitInto, isInside, positions, rectangleBetween, zoomed } from "../src/views/head-map/place";
import { CATEGORIES, NONE } from "../src/views/palette/api";
import { contrast, GROUNDS, LEAST_CONTRAST, onGround } from "../src/views/palette/contrast";

describe("tokens of two models", () => {
  const plain = (tokens: string[]) => ({ tokens, bos: false });

  it("are aligned by the character that a token begins with", () => {
    const aligned = align(plain(["un", "happy", " cat", "s"]), plain(["unha", "ppy", " c", "ats"]));
    expect([...aligned]).toEqual([0, 0, 2, 3]);
  });

  it("are aligned to themselves, and past BOS, which is no character", () => {
    const tokens = ["a", "", " bc", "d"];
    expect([...align(plain(tokens), plain(tokens))]).toEqual([0, 2, 2, 3]);
    expect([...align({ tokens: ["<s>", "ab", "c"], bos: true }, plain(["a", "bc"]))]).toEqual([-1, 0, 1]);
    expect([...align(plain(["ab", "c"]), { tokens: ["<s>", "a", "bc"], bos: true })]).toEqual([1, 2]);
    expect([...align({ tokens: ["<s>", "a"], bos: true }, { tokens: ["<b>", "a"], bos: true })]).toEqual([0, 1]);
  });

  it("have no counterpart past the end of a text that was cut earlier", () => {
    expect([...align(plain(["a", "b", "c"]), plain(["ab"]))]).toEqual([0, 0, -1]);
    expect([...align(plain(["a"]), plain([]))]).toEqual([-1]);
    expect([...align(plain([]), plain(["a"]))]).toEqual([]);
  });

  it("of probes are aligned by place", () => {
    expect([...align({ tokens: ["<s>", "long", "x"], bos: true }, plain(["y", "longer"]), true)]).toEqual([-1, 0, 1]);
    expect([...align(plain(["a", "b"]), plain(["c"]), true)]).toEqual([0, -1]);
  });
});

describe("the first cell of the cursor", () => {
  it("is the largest weight on another token than the first and itself", () => {
    const n = 5;
    const triangle = new Uint8Array(triangleSize(n));
    triangle[triangleIndex(4, 0)] = 250;
    triangle[triangleIndex(3, 3)] = 240;
    triangle[triangleIndex(4, 2)] = 90;
    expect(tellingCell({ head: 0, prompt: 0, n, triangle })).toEqual({ query: 4, key: 2 });
    expect(tellingCell({ head: 0, prompt: 0, n: 2, triangle })).toBeNull();
  });
});

describe("a rectangle on the map", () => {
  it("holds the points that are drawn in it", () => {
    const [x, y] = [Float32Array.from([0, 10, 4]), Float32Array.from([0, 10, 6])];
    const fit = fitInto(x, y, 220, 120, 10);
    const placed = positions(x, y, fit);
    const at = (i: number): [number, number] => [placed[2 * i] as number, placed[2 * i + 1] as number];
    const area = rectangleBetween([at(1)[0] + 1, at(1)[1] - 1], [at(2)[0] - 1, at(2)[1] + 1], fit);
    expect([0, 1, 2].map((i) => isInside(x[i] as number, y[i] as number, area))).toEqual([false, true, true]);
    expect(isInside(Number.NaN, 5, area)).toBe(false);
  });
});

describe("the map", () => {
  it("zooms around a position, and back to all points", () => {
    const whole = fitInto(Float32Array.of(0, 10), Float32Array.of(0, 10), 200, 100, 10);
    const near = zoomed(whole, 2, [120, 40], whole);
    expect(near.unit).toBeCloseTo(2 * whole.unit);
    const at = ({ unit, left, top }: typeof whole) => [(120 - left) / unit, (top - 40) / unit];
    expect(at(near)[0]).toBeCloseTo(at(whole)[0] as number);
    expect(at(near)[1]).toBeCloseTo(at(whole)[1] as number);
    expect(zoomed(near, 0.4, [10, 10], whole)).toBe(whole);
    expect(zoomed(whole, 1e9, [0, 0], whole).unit).toBeCloseTo(16 * whole.unit);
  });
  it("is densest where most points are; missing and far points count nothing", () => {
    const points = Float32Array.of(50, 50, 51, 51, 49, 50, 150, 20, Number.NaN, 5, 1e9, -4);
    const { columns, rows, values } = density(points, 200, 100);
    expect([columns, rows]).toEqual([50, 25]);
    const densest = values.indexOf(Math.max(...values));
    expect([Math.abs((densest % columns) - 12) <= 1, Math.abs(Math.floor(densest / columns) - 12) <= 1]).toEqual([true, true]);
    expect(Math.max(...values)).toBe(1);
    expect(Math.max(...density(new Float32Array(), 20, 20).values)).toBe(0);
  });
});

describe("colours of categories", () => {
  it("differ from the ground by 3:1 in both themes, and are kept where they do", () => {
    const steps = [0, 64, 128, 192, 255].map((byte) => byte.toString(16).padStart(2, "0"));
    const cube = steps.flatMap((r) => steps.flatMap((g) => steps.map((b) => `#${r}${g}${b}`)));
    for (const colour of [...CATEGORIES, NONE, ...cube]) {
      for (const [isDark, ground] of [[false, GROUNDS.light], [true, GROUNDS.dark]] as const) {
        const mixed = onGround(colour, isDark);
        expect(contrast(mixed, ground)).toBeGreaterThanOrEqual(LEAST_CONTRAST);
        if (contrast(colour, ground) >= LEAST_CONTRAST) expect(mixed).toBe(colour);
      }
    }
    expect(contrast("#000000", "#ffffff")).toBeCloseTo(21);
  });
});
