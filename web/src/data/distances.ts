// Distances between heads: whole rows in float32, several to a file.

import type { DistanceMetric, Manifest } from "../contract/generated";
import { filesOfHeads, type HeadFile } from "./head-files";
import { headName, layerRows, modelOfRow, placeOfRow } from "./heads";
import { DataError, floats, values } from "./source";

/** Return the metric with a name; the first one if the name is empty or unknown. */
export function metricOf(manifest: Manifest, name: string): DistanceMetric | null {
  return manifest.metrics.find((metric) => metric.name === name) ?? manifest.metrics[0] ?? null;
}

/** Distances from some heads to all: `rows` in the order of the atlas, `values` row by row. */
export interface DistanceBlock {
  firstRow: number;
  nRows: number;
  nHeads: number;
  values: Float32Array;
  /** Number of nearest heads per row with known distances; null if all are known. */
  nNearest: number | null;
}

/** Return the number of bytes of the rows of all heads in a head's layer. */
export function layerBytes(manifest: Manifest, metric: DistanceMetric, row: number): number {
  return layerOf(manifest, row).count * (metric.n_nearest === null ? 4 * manifest.n_heads : 8 * metric.n_nearest);
}

/** Load the rows of all heads in a head's layer. */
export function loadDistanceBlock(
  manifest: Manifest,
  metric: DistanceMetric,
  row: number,
): Promise<DistanceBlock> {
  const { first, count } = layerOf(manifest, row);
  return loadRows(manifest, metric, first, count);
}

/** Load the rows of consecutive heads. */
async function loadRows(
  manifest: Manifest,
  metric: DistanceMetric,
  first: number,
  count: number,
): Promise<DistanceBlock> {
  const files = filesOfHeads(manifest, metric.rows, first, count);
  const parts = await Promise.all(files.map((file) => loadFile(manifest, metric, file)));
  const [part] = parts;
  if (parts.length === 1 && part) return part;
  const start = files[0]?.firstRow ?? first;
  const nRows = files.reduce((sum, file) => sum + file.nRows, 0);
  const all = new Float32Array(nRows * manifest.n_heads);
  parts.forEach((item) => all.set(item.values, (item.firstRow - start) * manifest.n_heads));
  return { firstRow: start, nRows, nHeads: manifest.n_heads, values: all, nNearest: metric.n_nearest };
}

async function loadFile(manifest: Manifest, metric: DistanceMetric, file: HeadFile): Promise<DistanceBlock> {
  const block = { firstRow: file.firstRow, nRows: file.nRows, nHeads: manifest.n_heads };
  const nNearest = metric.n_nearest;
  if (nNearest === null) {
    return { ...block, values: await floats(`${file.name}.bin`, file.nRows * manifest.n_heads), nNearest };
  }
  const listed = `${file.name}-heads.bin`;
  const [heads, near] = await Promise.all([
    values(listed, "uint32", file.nRows * nNearest),
    floats(`${file.name}.bin`, file.nRows * nNearest),
  ]);
  return { ...block, values: spread(heads as Uint32Array, near, block, listed), nNearest };
}

/** Expand lists of nearest heads to whole rows: 0 for the head itself, NaN for heads not listed. */
export function spread(
  heads: Uint32Array,
  near: Float32Array,
  block: { firstRow: number; nRows: number; nHeads: number },
  file: string,
): Float32Array {
  const whole = new Float32Array(block.nRows * block.nHeads).fill(Number.NaN);
  const each = heads.length / Math.max(1, block.nRows);
  for (let i = 0; i < block.nRows; i++) {
    whole[i * block.nHeads + block.firstRow + i] = 0;
    for (let k = i * each; k < (i + 1) * each; k++) {
      const head = heads[k] as number;
      if (head >= block.nHeads) throw new DataError(file, `names head ${head} of ${block.nHeads}`);
      whole[i * block.nHeads + head] = near[k] as number;
    }
  }
  return whole;
}

/** Return the distances of one head to all heads: 0 to itself, NaN where not computed. */
export function rowOf(block: DistanceBlock, row: number): Float32Array {
  const start = (row - block.firstRow) * block.nHeads;
  return block.values.subarray(start, start + block.nHeads);
}

/** Load the distances of one head to all heads. */
export async function loadDistances(
  manifest: Manifest,
  metric: DistanceMetric,
  row: number,
): Promise<Float32Array> {
  return rowOf(await loadRows(manifest, metric, row, 1), row);
}

/** Load the mean distance of several heads to all heads; NaN where a distance is missing. */
export async function loadMeanDistances(
  manifest: Manifest,
  metric: DistanceMetric,
  rows: number[],
): Promise<Float32Array> {
  const each = await Promise.all(rows.map((row) => loadDistances(manifest, metric, row)));
  return meanOf(each, manifest.n_heads);
}

/** Return the mean of vectors of equal length; NaN if there are none. */
export function meanOf(vectors: Float32Array[], length: number): Float32Array {
  const mean = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let sum = 0;
    for (const vector of vectors) sum += vector[i] ?? Number.NaN;
    mean[i] = sum / vectors.length;
  }
  return mean;
}

/** Code of a missing distance. */
export const MISSING_CODE = 0xffff;

/** Load the whole matrix as codes: distance = code * metric.scale; null if it is not stored. */
export async function loadMatrix(
  manifest: Manifest,
  metric: DistanceMetric,
): Promise<Uint16Array | null> {
  if (!metric.matrix) return null;
  return (await values(metric.matrix, "uint16", manifest.n_heads ** 2)) as Uint16Array;
}

/** Load the mean distances of every two layers as codes; null if they are not stored. */
export async function loadLayerMeans(manifest: Manifest, metric: DistanceMetric): Promise<Uint16Array | null> {
  if (!metric.layers) return null;
  const n = manifest.models.reduce((sum, model) => sum + model.layers.length, 0);
  return (await values(metric.layers, "uint16", n * n)) as Uint16Array;
}

/** Return the heads by distance, nearest first; equal distances in the order of the atlas. */
export function ranking(distances: Float32Array, without: number[]): number[] {
  const left = new Set(without);
  const order: number[] = [];
  for (let row = 0; row < distances.length; row++) {
    if (!left.has(row) && Number.isFinite(distances[row])) order.push(row);
  }
  return order.sort((a, b) => (distances[a] as number) - (distances[b] as number) || a - b);
}

/** Return the rank of every head, 1 = nearest; 0 for heads that are not ranked. */
export function ranks(order: number[], nHeads: number): Uint32Array {
  const rank = new Uint32Array(nHeads);
  order.forEach((row, place) => (rank[row] = place + 1));
  return rank;
}

/**
 * Return the percentile, 0 to 100, of a distance among all other pairs of heads of the same two layers.
 *
 * It is the share of pairs with a smaller distance; equal distances count half. 50 is typical of the two
 * layers. Null if there is no other pair, or if only the nearest heads are known: they are no fair
 * sample of the pairs.
 */
export function nullPercentile(
  manifest: Manifest,
  block: DistanceBlock,
  head: number,
  other: number,
): number | null {
  const first = layerOf(manifest, head);
  const second = layerOf(manifest, other);
  const distance = rowOf(block, head)[other] as number;
  if (!Number.isFinite(distance) || block.nNearest !== null) return null;
  const same = first.first === second.first;
  let nearer = 0;
  let equal = 0;
  let pairs = 0;
  for (let i = first.first; i < first.first + first.count; i++) {
    const row = rowOf(block, i);
    // Within one layer each pair counts once, and no head is paired with itself.
    const start = same ? i + 1 : second.first;
    for (let j = start; j < second.first + second.count; j++) {
      if ((i === head && j === other) || (same && i === other && j === head)) continue;
      const value = row[j] as number;
      if (!Number.isFinite(value)) continue;
      pairs += 1;
      if (value < distance) nearer += 1;
      else if (value === distance) equal += 1;
    }
  }
  return pairs === 0 ? null : (100 * (nearer + equal / 2)) / pairs;
}

function layerOf(manifest: Manifest, row: number): { first: number; count: number } {
  const model = modelOfRow(manifest, row);
  return layerRows(model, placeOfRow(model, row).layer);
}

/** Bins of difference in depth that `quantiles` is counted in. */
const DEPTH_BINS = 5;
const QUANTILES = 101;

/** Load the quantiles of the distances of a head's model by model and difference in depth: (M, 5, 101). */
export async function loadQuantiles(manifest: Manifest, metric: DistanceMetric, row: number): Promise<Float32Array> {
  const file = metric.quantiles[manifest.models.indexOf(modelOfRow(manifest, row))];
  if (file === undefined) throw new DataError("manifest.json", `names no quantiles of ${headName(manifest, row)}`);
  return floats(file, manifest.models.length * DEPTH_BINS * QUANTILES);
}

/** Return codes of distances near the ends of a model's quantiles, and the largest code. */
export function codeLimits(quantiles: Float32Array, scale: number): [number, number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (let start = 0; start + QUANTILES <= quantiles.length; start += QUANTILES) {
    const [first, last] = [quantiles[start + 1] as number, quantiles[start + QUANTILES - 2] as number];
    if (!Number.isFinite(first) || !Number.isFinite(last)) continue;
    low = Math.min(low, first / scale);
    high = Math.max(high, last / scale);
  }
  return high > low ? [low, high, MISSING_CODE - 1] : [0, MISSING_CODE - 1, MISSING_CODE - 1];
}

/**
 * Return the percentile, 0 to 100, of a distance among pairs of heads of the same two models that are as
 * far apart in depth; null if there is no such pair.
 *
 * @param quantiles those of the model of `head`
 */
export function depthPercentile(
  manifest: Manifest,
  quantiles: Float32Array,
  head: number,
  other: number,
  distance: number,
): number | null {
  const [a, b] = [depthOf(manifest, head), depthOf(manifest, other)];
  // As in Python: a difference just below an edge by rounding counts as above it.
  const apart = Math.floor(Math.abs(a.depth - b.depth) * DEPTH_BINS + 1e-4);
  const bin = Math.min(DEPTH_BINS - 1, apart);
  const start = (b.model * DEPTH_BINS + bin) * QUANTILES;
  return percentileAmong(quantiles.subarray(start, start + QUANTILES), distance);
}

function depthOf(manifest: Manifest, row: number): { model: number; depth: number } {
  const model = modelOfRow(manifest, row);
  const depth = placeOfRow(model, row).layer / Math.max(1, model.n_layers - 1);
  return { model: manifest.models.indexOf(model), depth };
}

/** Return the percentile of a value among rising quantiles 0 to 100 %, by linear interpolation. */
export function percentileAmong(quantiles: Float32Array, value: number): number | null {
  const last = quantiles.length - 1;
  if (last < 1 || !Number.isFinite(value) || Number.isNaN(quantiles[0])) return null;
  if (value < (quantiles[0] as number)) return 0;
  if (value >= (quantiles[last] as number)) return 100;
  let below = 0;
  while ((quantiles[below + 1] as number) <= value) below++;
  const [low, high] = [quantiles[below] as number, quantiles[below + 1] as number];
  return (100 * (below + (value - low) / (high - low))) / last;
}
