import type { PatternStyle } from "../pattern-canvas/api";

/** The colours of weights, with numbers and the name of the scale. */
export interface WeightBarProps {
  style: PatternStyle;
  /** The weight with the brightest colour. */
  top: number;
  /** Text instead of the number of the brightest weight, where patterns differ in it. */
  topText?: string;
}
