// Summaries of a pattern in numbers.

import { triangleIndex, weightOf, type Pattern } from "./patterns";

/** Mean shares of attention over the queries after the first. They add up to about 1. */
export interface Summary {
  /** On the first token. */
  first: number;
  /** On the token itself. */
  self: number;
  /** On the one before. */
  previous: number;
  /** 2 to 8 tokens back. */
  near: number;
  /** Farther back. */
  far: number;
  /** Mean entropy of the rows in bits. */
  entropy: number;
  /** Mean distance to the attended tokens without the first one; NaN if there is no weight. */
  reach: number;
}

/** Summarise a pattern. All numbers are NaN for fewer than two tokens. */
export function summarise({ n, triangle }: Pick<Pattern, "n" | "triangle">): Summary {
  const sums = { first: 0, self: 0, previous: 0, near: 0, far: 0 };
  let [entropy, reach, mass] = [0, 0, 0];
  for (let query = 1; query < n; query++) {
    for (let key = 0; key <= query; key++) {
      const weight = weightOf(triangle[triangleIndex(query, key)] as number);
      if (weight === 0) continue;
      entropy -= weight * Math.log2(weight);
      const back = query - key;
      if (key === 0) {
        sums.first += weight;
        continue;
      }
      reach += weight * back;
      mass += weight;
      if (back === 0) sums.self += weight;
      else if (back === 1) sums.previous += weight;
      else if (back <= 8) sums.near += weight;
      else sums.far += weight;
    }
  }
  const rows = n > 1 ? n - 1 : Number.NaN;
  return {
    first: sums.first / rows,
    self: sums.self / rows,
    previous: sums.previous / rows,
    near: sums.near / rows,
    far: sums.far / rows,
    entropy: entropy / rows,
    reach: mass > 0 ? reach / mass : Number.NaN,
  };
}

/** Return the percentile of a value in a histogram: the bins below, and half of its own bin. */
export function histogramPercentile(
  counts: readonly number[],
  low: number,
  high: number,
  value: number,
): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0 || !Number.isFinite(value)) return Number.NaN;
  const bin = high > low ? Math.floor(((value - low) / (high - low)) * counts.length) : 0;
  const place = Math.min(counts.length - 1, Math.max(0, bin));
  const below = counts.slice(0, place).reduce((sum, count) => sum + count, 0);
  return (100 * (below + (counts[place] ?? 0) / 2)) / total;
}
