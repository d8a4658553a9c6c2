// Counts for histograms.

/** Count values in `n` equal bins; values outside count in the first or last bin. */
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

/** Return the smallest and largest finite value; [0, 1] if there are none. */
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
