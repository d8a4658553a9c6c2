// Counts for histograms.

/** Counts of `n` equal bins from low to high; what lies beyond counts in the ends. */
export function histogram(values: ArrayLike<number>, low: number, high: number, n: number): number[] {
  const counts = new Array<number>(n).fill(0);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    const bin = high > low ? Math.floor(((value - low) / (high - low)) * n) : 0;
    const place = Math.min(n - 1, Math.max(0, bin));
    counts[place] = (counts[place] as number) + 1;
  }
  return counts;
}

/** Smallest and largest finite value; [0, 1] of none. */
export function finiteExtent(values: ArrayLike<number>): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** Share of finite values below one, 0 to 100; NaN of none. */
export function percentileOf(values: ArrayLike<number>, marked: number): number {
  let below = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    count += 1;
    if (value < marked) below += 1;
  }
  return (100 * below) / count;
}
