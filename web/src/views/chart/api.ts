// Small charts in SVG, drawn at the width that there is. Colours come from the style sheet, so that
// both themes are served; marks that mean something differ in shape as well as in colour.

/** An axis. */
export interface Axis {
  title: string;
  /** Smallest and largest value; rounded outwards to ticks unless `exact`. */
  domain: readonly [number, number];
  exact?: boolean;
  /** Distances as square roots, to both sides of 0: for a few large values among many small ones. */
  root?: boolean;
  /** A line across the chart, usually at 0 or at chance. */
  line?: number;
}

/** How often values lie in equal bins. */
export interface HistogramProps {
  counts: readonly number[];
  low: number;
  high: number;
  /** Title of the axis of values. */
  title: string;
  /** What it shows, for screen readers. */
  label: string;
  height?: number;
  /** Values that are marked by a line and a word. */
  marks?: readonly { value: number; title: string }[];
}

/** Bars from 0, one a row. */
export interface BarsProps {
  bars: readonly Bar[];
  label: string;
  /** Largest value of the axis; the largest bar if left out. */
  most?: number;
  /** How a value is written; three figures if left out. */
  format?: (value: number) => string;
}

export interface Bar {
  title: string;
  value: number;
  /** Where its name leads. */
  href?: string;
}

/** A dot of a strip plot or scatter. */
export interface Datum {
  /** Said on hover and while the keyboard is on it. */
  title: string;
  /** Where a click or Enter leads. */
  href?: string;
  /** CSS colour; the accent if left out. */
  colour?: string;
  /** Grey and hollow: a control. */
  muted?: boolean;
  /** Large: what the others are compared with. */
  strong?: boolean;
}

/** Values of several groups, a row of dots each, with a line at their middle. */
export interface StripProps {
  /** What the line is; the median if left out. */
  middle?: "mean" | "median";
  groups: readonly StripGroup[];
  axis: Axis;
  label: string;
}

export interface StripGroup {
  name: string;
  /** Behind the name, in grey: a count. */
  note?: string;
  href?: string;
  dots: readonly (Datum & { value: number })[];
  /** A grey band behind the dots: the range of controls. */
  band?: readonly [number, number];
}

/** Two numbers of every item against each other. */
export interface ScatterProps {
  dots: readonly (Datum & { x: number; y: number })[];
  x: Axis;
  y: Axis;
  label: string;
  height?: number;
}

/** One value with its uncertainty, in the height of a line of text. */
export interface IntervalProps {
  value: number | null;
  /** Interval of the value. */
  interval?: readonly [number, number] | null;
  /** What would be expected without an effect: a grey band, and its middle as a grey line. */
  band?: readonly [number, number] | null;
  middle?: number | null;
  /** Whether the value stands out: filled, else hollow. */
  strong: boolean;
  domain: readonly [number, number];
  /** A dashed line, usually at 0. */
  line?: number;
  width?: number;
  label: string;
}
