import type { Pattern } from "../../data/patterns";

/** Scale from weights to brightness. */
export type Scale = "linear" | "sqrt" | "log";
/** Colour maps of patterns. All are ordered by lightness and safe for colour-blind readers. */
export type MapName = "viridis" | "cividis" | "magma" | "greys";
/**
 * The first column. Most heads have most weight on the first token, so that the rest is dark. `apart` draws
 * it as a strip at the left with a scale of its own, `hidden` leaves it out; both scale the brightness of
 * the rest to its largest weight.
 */
export type Sink = "shown" | "apart" | "hidden";

/** Style of a pattern. By default it is that of the link: parameters scale, map and sink. */
export interface PatternStyle {
  scale: Scale;
  map: MapName;
  sink: Sink;
}

/** A picture of one pattern. */
export interface PatternCanvasProps {
  pattern: Pattern;
  /** Width and height in CSS pixels. */
  size: number;
  /** Description for screen readers: "attention of gpt2:L5:H3 on ...". */
  label: string;
  style?: Partial<PatternStyle>;
}
