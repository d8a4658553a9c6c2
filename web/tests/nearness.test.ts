import { describe, expect, it } from "vitest";
import type { DistanceBlock } from "../src/data/distances";
import { hypergeometric, nearByChance } from "../src/data/nearness";
import { generator } from "../src/state/random";
import { manifest } from "./manifest";

const N = 9;
const LAYERS = [[0, 1, 2], [3, 4, 5], [6], [7], [8]];

function matrix(seed: number): Float32Array {
  const random = generator(seed);
  const values = new Float32Array(N * N);
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < i; j++) values[i * N + j] = values[j * N + i] = Math.round(random() * 20) / 20;
  }
  return values;
}

function block(values: Float32Array, head: number): DistanceBlock {
  const layer = LAYERS.find((rows) => rows.includes(head)) as number[];
  const firstRow = layer[0] as number;
  const values_ = values.slice(firstRow * N, (firstRow + layer.length) * N);
  return { firstRow, nRows: layer.length, nHeads: N, values: values_, nNearest: null };
}

function chosen<T>(from: readonly T[], n: number): T[][] {
  if (n === 0) return [[]];
  return from.flatMap((first, i) => chosen(from.slice(i + 1), n - 1).map((rest) => [first, ...rest]));
}

/** The share of all deals, listed one by one. */
function plain(values: Float32Array, head: number, passes: Uint8Array, k: number): number {
  const others = [...Array(N).keys()].filter((row) => row !== head && passes[row] === 1);
  const observed = others.map((row) => values[head * N + row] as number).sort((a, b) => a - b)[k - 1] as number;
  const mates = LAYERS.find((rows) => rows.includes(head)) as number[];
  let deals: number[][] = [[]];
  for (const layer of LAYERS) {
    const drawn = layer.filter((row) => others.includes(row)).length;
    const pairs = mates.flatMap((i) =>
      layer.filter((j) => i !== j && (layer !== mates || i < j)).map((j) => values[i * N + j] as number),
    );
    deals = deals.flatMap((deal) => chosen(pairs, drawn).map((more) => [...deal, ...more]));
  }
  const near = deals.filter((deal) => (deal.sort((a, b) => a - b)[k - 1] as number) <= observed);
  return near.length / deals.length;
}

describe("nearness", () => {
  it("is the share of all deals that are as near", () => {
    for (let seed = 0; seed < 3; seed++) {
      const values = matrix(seed);
      for (const head of [0, 4, 7]) {
        for (const passes of [new Uint8Array(N).fill(1), Uint8Array.of(1, 1, 1, 0, 0, 0, 1, 0, 1)]) {
          const near = [...Array(N).keys()]
            .filter((row) => row !== head && passes[row] === 1)
            .sort((a, b) => (values[head * N + a] as number) - (values[head * N + b] as number));
          const pValues = nearByChance(manifest, block(values, head), head, passes, near.slice(0, 3)) as number[];
          pValues.forEach((p, place) => expect(p).toBeCloseTo(plain(values, head, passes, place + 1), 9));
        }
      }
    }
  });

  it("is not given where distances are missing", () => {
    const values = matrix(0);
    const all = new Uint8Array(N).fill(1);
    expect(nearByChance(manifest, { ...block(values, 0), nNearest: 3 }, 0, all, [1])).toBeNull();
    values[1 * N + 5] = Number.NaN;
    expect(nearByChance(manifest, block(values, 0), 0, all, [1])).toBeNull();
    expect(nearByChance(manifest, block(values, 0), 0, Uint8Array.of(1, 1, 1, 0, 0, 0, 0, 0, 0), [1])).not.toBeNull();
  });

  it("sums to one over all counts", () => {
    const all = hypergeometric(40, 7, 5, 6).reduce((sum, value) => sum + value, 0);
    expect(all).toBeCloseTo(1, 12);
    expect(hypergeometric(5, 5, 3, 4)[3]).toBeCloseTo(1, 12);
  });
});
