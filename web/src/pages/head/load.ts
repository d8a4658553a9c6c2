// Data of the head page.

import type { DistanceMetric, Manifest } from "../../contract/generated";
import type { TaggedClass } from "../../data/classes";
import { loadExplanation, loadLabels } from "../../data/explanations";
import {
  layerBytes,
  loadDistanceBlock,
  loadMeanDistances,
  ranking,
  ranks,
  rowOf,
  type DistanceBlock,
} from "../../data/distances";
import { loadPattern } from "../../data/patterns";

/** Distances of the viewed heads to all heads, with ranks. */
export interface Neighbours {
  /** The viewed head first, then those that were added to it. */
  query: readonly number[];
  distances: Float32Array;
  order: number[];
  ranks: Uint32Array;
  /** Distance rows of the head's layer; null if they were not loaded, or there are several viewed heads. */
  block: DistanceBlock | null;
  /** Bytes of the rows of the head's layer if they were not loaded since they are many; else 0. */
  omitted: number;
  /** Number of nearest heads with known distances; null if all are known. */
  nNearest: number | null;
}

/** Size up to which the rows of a whole layer are loaded; beyond it, only the row of the head is. */
const MOST_BYTES = 400_000;

/**
 * Load distances of one head, or mean distances of several.
 *
 * @param whole load the rows of the head's layer even if they are many
 */
export async function loadNeighbours(
  manifest: Manifest,
  metric: DistanceMetric,
  query: readonly number[],
  whole = false,
): Promise<Neighbours> {
  const first = query[0] as number;
  const size = layerBytes(manifest, metric, first);
  const isLarge = query.length === 1 && size > MOST_BYTES && !whole;
  const block = query.length === 1 && !isLarge ? await loadDistanceBlock(manifest, metric, first) : null;
  const distances = block
    ? rowOf(block, first)
    : await loadMeanDistances(manifest, metric, [...query]);
  const order = ranking(distances, [...query]);
  return {
    query,
    distances,
    order,
    ranks: ranks(order, manifest.n_heads),
    block,
    omitted: isLarge ? size : 0,
    nNearest: metric.n_nearest,
  };
}

/** Begin to load what the rows of a head need, so that it comes along with what is loaded before them. */
export function beginRows(manifest: Manifest, metric: DistanceMetric | null, row: number): void {
  const loading: Promise<unknown>[] = [loadLabels(manifest), loadExplanation(manifest, row)];
  if (metric) loading.push(loadNeighbours(manifest, metric, [row]));
  void Promise.allSettled(loading); // the rows show failures
}

/** Begin to load the patterns of a head, which are fetched otherwise only once they are on the screen. */
export function beginPatterns(manifest: Manifest, row: number, prompts: readonly number[]): void {
  void Promise.allSettled(prompts.map((prompt) => loadPattern(manifest, row, prompt))); // the rows show failures
}

/** Return the heads that share a class with a viewed head. */
export function classMates(
  byHead: ReadonlyMap<number, TaggedClass[]>,
  query: readonly number[],
): Set<number> {
  const mates = new Set<number>();
  for (const row of query) {
    for (const tagged of byHead.get(row) ?? []) {
      for (const mate of tagged.class.rows) mates.add(mate);
    }
  }
  for (const row of query) mates.delete(row);
  return mates;
}

