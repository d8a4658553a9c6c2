// Shares of clusters over depth and model size.

/** A group of heads: a model, or the models of a family. */
export interface Group {
  name: string;
  /** 1 for each head that belongs to it. */
  heads: Uint8Array;
}

/** A point of a line: the share of a cluster among the heads of a group in one bin. */
export interface Point {
  /** Place on the axis: middle of the bin, or parameters. */
  x: number;
  /** Heads of the cluster, and all. */
  heads: number;
  of: number;
  /** heads / of, 0 to 1. */
  share: number;
  /** The bin or model, in words. */
  where: string;
}

/** A cluster's points per group, in the order of the groups. */
export interface Trend {
  cluster: number;
  lines: Point[][];
}

/** Return the bin of a number from 0 to 1: equal bins, the last one closed. */
export function binOf(value: number, bins: number): number {
  return Math.min(bins - 1, Math.max(0, Math.floor(value * bins)));
}

/**
 * Return the share of each cluster in every bin of a quantity. Bins without a head are left out.
 *
 * @param labels cluster per head; -1 is unclustered, and counts in the totals only
 * @param values of every head, 0 to 1; heads with a missing one are left out
 * @param nClusters number of clusters to return: 0 to nClusters - 1
 */
export function trends(
  labels: Int32Array,
  values: ArrayLike<number>,
  groups: readonly Group[],
  nClusters: number,
  bins: number,
  where: (low: number, high: number) => string,
): Trend[] {
  const totals = groups.map(() => new Uint32Array(bins));
  const counts = groups.map(() => new Uint32Array(bins * nClusters));
  labels.forEach((label, row) => {
    const value = values[row] as number;
    if (!Number.isFinite(value)) return;
    const bin = binOf(value, bins);
    groups.forEach(({ heads }, place) => {
      if (!heads[row]) return;
      const total = totals[place] as Uint32Array;
      const count = counts[place] as Uint32Array;
      total[bin] = (total[bin] as number) + 1;
      if (label >= 0 && label < nClusters) count[label * bins + bin] = (count[label * bins + bin] as number) + 1;
    });
  });
  return Array.from({ length: nClusters }, (_, cluster) => ({
    cluster,
    lines: groups.map((_, place) =>
      Array.from({ length: bins }, (_, bin) => bin).flatMap((bin) => {
        const of = totals[place]?.[bin] ?? 0;
        const heads = counts[place]?.[cluster * bins + bin] ?? 0;
        if (of === 0) return [];
        return [{ x: (bin + 0.5) / bins, heads, of, share: heads / of, where: where(bin / bins, (bin + 1) / bins) }];
      }),
    ),
  }));
}

/** A model for the trend over size. */
export interface Sized {
  name: string;
  family: string;
  parameters: number;
  firstRow: number;
  nHeads: number;
}

/** Return the share of each cluster among the heads of each model: a line per family, small to large. */
export function sizeTrends(
  labels: Int32Array,
  models: readonly Sized[],
  families: readonly string[],
  nClusters: number,
): Trend[] {
  return Array.from({ length: nClusters }, (_, cluster) => ({
    cluster,
    lines: families.map((family) =>
      models
        .filter((model) => model.family === family && model.parameters > 0)
        .sort((a, b) => a.parameters - b.parameters)
        .map(({ name, parameters, firstRow, nHeads }) => {
          let heads = 0;
          for (let row = firstRow; row < firstRow + nHeads; row++) heads += Number(labels[row] === cluster);
          return { x: parameters, heads, of: nHeads, share: nHeads === 0 ? 0 : heads / nHeads, where: name };
        }),
    ),
  }));
}

/** Return the rank of each number, 0 to 1. Equal numbers get their mean rank; NaN stays NaN. */
export function rankShares(values: ArrayLike<number>): Float64Array {
  const known = Array.from(values, (value, row) => ({ value, row })).filter((item) => Number.isFinite(item.value));
  known.sort((a, b) => a.value - b.value);
  const shares = new Float64Array(values.length).fill(Number.NaN);
  for (let start = 0; start < known.length; ) {
    let end = start + 1;
    while (end < known.length && known[end]?.value === known[start]?.value) end++;
    for (let i = start; i < end; i++) shares[known[i]?.row as number] = (start + end) / 2 / known.length;
    start = end;
  }
  return shares;
}

/** Return the largest share of some trends; 1 if all are 0. */
export function largestShare(shown: readonly Trend[]): number {
  let most = 0;
  for (const { lines } of shown) for (const line of lines) for (const point of line) most = Math.max(most, point.share);
  return most === 0 ? 1 : most;
}
