import type { MapName } from "../pattern-canvas/api";

/** A bar of colours with the numbers at its ends. */
export interface ColourBarProps {
  map: MapName;
  reversed?: boolean;
  low: number;
  high: number;
  /** Name of the quantity. */
  title: string;
}
