import type { ComponentChildren } from "preact";

/** A part of the map in the unit of the coordinates. */
export interface MapRectangle {
  left: number;
  right: number;
  low: number;
  high: number;
}

/** Heads as points of a small flat map. */
export interface HeadMapProps {
  /** Coordinates; a point is drawn if both are finite. */
  x: Float32Array;
  y: Float32Array;
  /** Colour of a point, CSS text. */
  colour: (point: number) => string;
  /** Points drawn large and on top; the first is the largest. */
  marked: readonly number[];
  /** Whether a point is drawn faint, below the others (default: all are alike). */
  faint?: (point: number) => boolean;
  /** A point that is marked from elsewhere. */
  pointed?: number | null;
  /** The pointer is over a point, or over none (null). */
  onPoint?: (point: number | null) => void;
  /** The rectangle that is drawn; null for none. */
  rectangle?: MapRectangle | null;
  /** A rectangle was dragged open; null: it was taken away by a click beside the points. */
  onRectangle?: (rectangle: MapRectangle | null) => void;
  /** Drawn on top of a map that is enlarged twice or more, by the positions of the points in pixels, x and y in turn. */
  enlarged?: (placed: Float32Array) => ComponentChildren;
  describe: (point: number) => string;
  onPick?: (point: number) => void;
  label: string;
  width: number;
  height: number;
}
