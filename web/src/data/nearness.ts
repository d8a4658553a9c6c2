// Whether the nearest heads are near by chance: as `attention_motifs/atlas/nearness.py`.

import type { Manifest } from "../contract/generated";
import { rowOf, type DistanceBlock } from "./distances";
import { layerRows, modelOfRow, placeOfRow } from "./heads";

/** Sorted distances of all pairs of two layers, and the number of them that the head draws. */
interface Pool {
  pairs: Float32Array;
  drawn: number;
}

/**
 * Return the probability that the k-th nearest head is at least as near by chance, for k = 1, 2, ...
 *
 * Chance deals the distances at random within every pair of layers, without replacement. `near` holds
 * the nearest heads that pass the filters, nearest first. Null if a distance is missing.
 */
export function nearByChance(
  manifest: Manifest,
  block: DistanceBlock,
  head: number,
  passes: Uint8Array,
  near: readonly number[],
): number[] | null {
  if (block.nNearest !== null) return null;
  const pools = poolsOf(manifest, block, head, passes);
  if (pools === null) return null;
  const row = rowOf(block, head);
  return near.map((other, place) => atLeast(place + 1, row[other] as number, pools));
}

function poolsOf(manifest: Manifest, block: DistanceBlock, head: number, passes: Uint8Array): Pool[] | null {
  const query = layerOf(manifest, head);
  const pools: Pool[] = [];
  for (let start = 0; start < manifest.n_heads; ) {
    const other = layerOf(manifest, start);
    const end = other.first + other.count;
    let drawn = 0;
    for (let j = start; j < end; j++) if (j !== head && passes[j] === 1) drawn += 1;
    if (drawn > 0) {
      const values: number[] = [];
      for (let i = query.first; i < query.first + query.count; i++) {
        // Within one layer each pair counts once.
        const first = other.first === query.first ? i + 1 : start;
        values.push(...rowOf(block, i).subarray(first, end));
      }
      if (!values.every(Number.isFinite)) return null;
      pools.push({ pairs: Float32Array.from(values).sort(), drawn });
    }
    start = end;
  }
  return pools;
}

function layerOf(manifest: Manifest, row: number): { first: number; count: number } {
  const model = modelOfRow(manifest, row);
  return layerRows(model, placeOfRow(model, row).layer);
}

/** Return the probability that k distances or more of those drawn are at most `distance`. */
function atLeast(k: number, distance: number, pools: readonly Pool[]): number {
  // fewer[x]: probability that x of the distances drawn so far are near, for x below k.
  let fewer = new Float64Array(k);
  fewer[0] = 1;
  for (const { pairs, drawn } of pools) {
    const chance = hypergeometric(pairs.length, upTo(pairs, distance), drawn, k);
    const next = new Float64Array(k);
    for (let x = 0; x < k; x++) {
      for (let y = 0; y <= x; y++) {
        next[x] = (next[x] as number) + (fewer[x - y] as number) * (chance[y] as number);
      }
    }
    fewer = next;
  }
  const total = fewer.reduce((sum, value) => sum + value, 0);
  return Math.min(1, Math.max(0, 1 - total));
}

/** Return the number of sorted values that are at most `limit`. */
function upTo(sorted: Float32Array, limit: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Return the probabilities of 0, 1, ... n - 1 near pairs among those drawn without replacement. */
export function hypergeometric(size: number, near: number, drawn: number, n: number): Float64Array {
  const probability = new Float64Array(n);
  for (let x = Math.max(0, drawn - (size - near)); x <= Math.min(near, drawn, n - 1); x++) {
    probability[x] = Math.exp(
      logChoose(near, x) + logChoose(size - near, drawn - x) - logChoose(size, drawn),
    );
  }
  return probability;
}

function logChoose(n: number, k: number): number {
  let sum = 0;
  for (let i = 1; i <= Math.min(k, n - k); i++) sum += Math.log((n - i + 1) / i);
  return sum;
}
