/** One value in the distribution of all values. */
export interface StripProps {
  /** All values; missing ones are NaN. Or their counts in equal bins from `low` to `high`. */
  values?: ArrayLike<number>;
  counts?: readonly number[];
  marked: number;
  /** Standard deviation of the marked value, drawn as a line. */
  spread?: number;
  /** A threshold, drawn as a dashed line. */
  threshold?: number | null;
  /** Ends of the axis (default: the extent of the values). */
  low?: number;
  high?: number;
  label: string;
  width: number;
  height?: number;
}
