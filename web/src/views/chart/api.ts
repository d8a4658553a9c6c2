// Small charts in SVG that fit the width of their container. Colours come from the style sheet, so that
// both themes work. Marks differ in shape as well as in colour.

/** An axis. */
export interface Axis {
  title: string;
  /** Smallest and largest value; rounded outwards to ticks unless `exact`. */
  domain: readonly [number, number];
  exact?: boolean;
  /** Square-root scale on both sides of 0, for a few large values among many small ones. */
  root?: boolean;
  /** A line across the chart, usually at 0 or at chance. */
  line?: number;
}

/** Counts of values in equal bins. */
export interface HistogramProps {
  counts: readonly number[];
  low: number;
  high: number;
  /** Title of the axis of values. */
  title: string;
  /** Description for screen readers. */
  label: string;
  height?: number;
  /** Values marked by a line with a title. */
  marks?: readonly { value: number; title: string }[];
}

/** Bars from 0, one per row. */
export interface BarsProps {
  bars: readonly Bar[];
  label: string;
  /** Largest value of the axis (default: the largest bar). */
  most?: number;
  /** Format of a value (default: three digits). */
  format?: (value: number) => string;
}

export interface Bar {
  title: string;
  value: number;
  /** Link of its name. */
  href?: string;
}

/** A dot of a strip plot or scatter. */
export interface Datum {
  /** Shown on hover and on keyboard focus. */
  title: string;
  /** Link for a click or Enter. */
  href?: string;
  /** CSS colour (default: the accent colour). */
  colour?: string;
  /** Grey, for a control. */
  muted?: boolean;
  /** Large, for what the others are compared with. */
  strong?: boolean;
}

/** Values of several groups: one row of dots per group, with a line at the middle. */
export interface StripProps {
  /** Statistic at the line (default: median). */
  middle?: "mean" | "median";
  groups: readonly StripGroup[];
  axis: Axis;
  label: string;
}

export interface StripGroup {
  name: string;
  /** Shown after the name, in grey. */
  note?: string;
  href?: string;
  dots: readonly (Datum & { value: number })[];
  /** A grey band behind the dots: the range of controls. */
  band?: readonly [number, number];
}

/** A scatter plot of two numbers. */
export interface ScatterProps {
  dots: readonly (Datum & { x: number; y: number })[];
  x: Axis;
  y: Axis;
  label: string;
  height?: number;
}

/** One value with its interval, as high as a line of text. */
export interface IntervalProps {
  value: number | null;
  /** Interval around the value. */
  interval?: readonly [number, number] | null;
  /** Values expected without an effect: a grey band, with its middle as a grey line. */
  band?: readonly [number, number] | null;
  middle?: number | null;
  /** Whether the dot is filled. */
  strong: boolean;
  domain: readonly [number, number];
  /** A dashed line, usually at 0. */
  line?: number;
  width?: number;
  label: string;
}
