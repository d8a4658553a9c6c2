import { describe, expect, it } from "vitest";
import {
  meanOf,
  nullPercentile,
  percentileAmong,
  ranking,
  ranks,
  rowOf,
  spread,
  type DistanceBlock,
} from "../src/data/distances";
import { chooseRows } from "../src/pages/head/choose";
import { generator } from "../src/state/random";
import { manifest } from "./manifest";

const N = 9;

/** A symmetric matrix of random distances. */
function matrix(seed: number): Float32Array {
  const random = generator(seed);
  const values = new Float32Array(N * N);
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < i; j++) values[i * N + j] = values[j * N + i] = Math.round(random() * 8) / 8;
  }
  return values;
}

function block(values: Float32Array, firstRow: number, nRows: number): DistanceBlock {
  return { firstRow, nRows, nHeads: N, values: values.slice(firstRow * N, (firstRow + nRows) * N), nNearest: null };
}

/** The definition, written plainly: unordered pairs of the layers of `a` and `b`, less this one. */
function plain(values: Float32Array, layerOf: number[][], a: number, b: number): number | null {
  const [layerOfA, layerOfB] = [a, b].map((row) => layerOf.find((layer) => layer.includes(row)) as number[]);
  const pairs = new Map<string, number>();
  for (const i of layerOfA as number[]) {
    for (const j of layerOfB as number[]) {
      if (i !== j) pairs.set([i, j].sort().join(), values[i * N + j] as number);
    }
  }
  const ofPair = pairs.get([a, b].sort().join()) as number;
  pairs.delete([a, b].sort().join());
  const others = [...pairs.values()];
  if (others.length === 0) return null;
  const below = others.filter((one) => one < ofPair).length;
  const equal = others.filter((one) => one === ofPair).length;
  return (100 * (below + equal / 2)) / others.length;
}

describe("distances", () => {
  it("have the null percentile of the definition, within and across layers", () => {
    const layers = [[0, 1, 2], [3, 4, 5], [6], [7], [8]];
    for (let seed = 0; seed < 20; seed++) {
      const values = matrix(seed);
      for (const layer of layers) {
        const rows = block(values, layer[0] as number, layer.length);
        for (const a of layer) {
          for (let b = 0; b < N; b++) {
            if (a === b) continue;
            expect(nullPercentile(manifest, rows, a, b)).toEqual(plain(values, layers, a, b));
          }
        }
      }
    }
  });

  it("of the nearest heads only are spread over whole rows, and give no null percentile", () => {
    const place = { firstRow: 3, nRows: 2, nHeads: N };
    const heads = Uint32Array.of(4, 0, 8, 3, 8, 1);
    const near = Float32Array.of(0.5, 1, 2, 0.5, 0.75, 3);
    const rows: DistanceBlock = { ...place, values: spread(heads, near, place, "f"), nNearest: 3 };
    expect([...rowOf(rows, 3)]).toEqual([1, NaN, NaN, 0, 0.5, NaN, NaN, NaN, 2]);
    expect(ranking(rowOf(rows, 4), [4])).toEqual([3, 8, 1]);
    expect(nullPercentile(manifest, rows, 3, 4)).toBeNull();
    expect(() => spread(Uint32Array.of(9), near, { ...place, nRows: 1 }, "f")).toThrow(/names head 9 of 9/);
  });

  it("leave out what is missing", () => {
    const values = matrix(1);
    values[0 * N + 4] = Number.NaN;
    expect(nullPercentile(manifest, block(values, 0, 3), 0, 4)).toBeNull();
    expect(ranking(values.slice(0, N), [0])).not.toContain(4);
  });

  it("rank nearest first, ties in the order of the atlas", () => {
    const order = ranking(Float32Array.of(0, 3, 1, 1, Number.POSITIVE_INFINITY), [0]);
    expect(order).toEqual([2, 3, 1]);
    expect([...ranks(order, 5)]).toEqual([0, 3, 1, 2, 0]);
  });

  it("of several heads are means", () => {
    expect([...meanOf([Float32Array.of(1, 2), Float32Array.of(3, Number.NaN)], 2)]).toEqual([2, Number.NaN]);
  });

  it("are interpolated between quantiles", () => {
    const quantiles = Float32Array.of(0, 1, 1, 4, 8);
    expect(percentileAmong(quantiles, -1)).toBe(0);
    expect(percentileAmong(quantiles, 0.5)).toBe(12.5);
    expect(percentileAmong(quantiles, 1)).toBe(50);
    expect(percentileAmong(quantiles, 6)).toBe(87.5);
    expect(percentileAmong(quantiles, 9)).toBe(100);
    expect(percentileAmong(new Float32Array(5).fill(Number.NaN), 1)).toBeNull();
  });

  it("choose rows that a link repeats, none twice", () => {
    const distances = matrix(3).slice(0, N);
    const order = ranking(distances, [0]);
    const options = {
      order,
      distances,
      ranks: ranks(order, N),
      passes: new Uint8Array(N).fill(1),
      mates: new Set([3, 5]),
      counts: { near: 2, far: 2, same: 5, random: 9 },
      seed: 7,
    };
    const chosen = chooseRows(options);
    expect(chosen).toEqual(chooseRows(options));
    expect(chosen.near.map((one) => one.row)).toEqual(order.slice(0, 2));
    expect(chosen.far.map((one) => one.row)).toEqual(order.slice(-2).reverse());
    expect(new Set(chosen.same.map((one) => one.row))).toEqual(new Set([3, 5]));
    const rows = [...chosen.near, ...chosen.far, ...chosen.random].map((one) => one.row);
    expect(rows.length).toBe(N - 1);
    expect(new Set(rows).size).toBe(N - 1);
    const filtered = chooseRows({ ...options, passes: new Uint8Array(N).fill(0) });
    expect(Object.values(filtered).flat()).toEqual([]);
  });
});
