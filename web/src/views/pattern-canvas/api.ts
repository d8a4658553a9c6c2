import type { Pattern } from "../../data/patterns";

/** How weights become brightness. */
export type Scale = "linear" | "sqrt" | "log";
/** Colour maps of patterns: all are ordered in lightness and safe for the colour-blind. */
export type MapName = "viridis" | "cividis" | "magma" | "greys";

/** How a pattern is drawn. Views fill what is missing from the link: scale, map and sink. */
export interface PatternStyle {
  scale: Scale;
  map: MapName;
  /**
   * Hide the first column, and stretch brightness to the largest weight that is left: most heads
   * put most weight there, so that the rest is dark.
   */
  sinkHidden: boolean;
}

/** A picture of one pattern. */
export interface PatternCanvasProps {
  pattern: Pattern;
  /** Width and height in CSS pixels. */
  size: number;
  /** What it shows, for screen readers: "attention of gpt2:L5:H3 on ...". */
  label: string;
  style?: Partial<PatternStyle>;
}
