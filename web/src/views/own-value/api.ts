/** One value beside the distribution of all. */
export interface StripProps {
  /** All values; missing ones are NaN. */
  values: ArrayLike<number>;
  marked: number;
  /** Standard deviation around `own`, drawn as a line. */
  spread?: number;
  /** A value that divides, drawn as a dashed line. */
  threshold?: number | null;
  /** Ends of the axis; the extent of the values if left out. */
  low?: number;
  high?: number;
  label: string;
  width: number;
  height?: number;
}
