import type { ComponentChildren } from "preact";

/** One coordinate of all points; NaN hides a point. */
export interface PointAxis {
  /** Title at the ticks and on the orientation indicator. */
  title: string;
  values: Float32Array;
  /** If all axes have one unit, their proportions are kept; else each is scaled to fit. */
  unit: string;
}

/** A point with a name in the picture, drawn large and on top. */
export interface PointLabel {
  point: number;
  label: string;
}

/** Categories of the points; codes beyond the labels mean "none". */
export interface PointCategories {
  /** Per point. */
  codes: ArrayLike<number>;
  labels: readonly string[];
}

/** Sizes in CSS pixels, opacities from 0 to 1. */
export interface PointStyle {
  size: number;
  opacity: number;
  /** Of the points that are not selected, while there is a selection. */
  restSize: number;
  restOpacity: number;
}

/** Effect of dragging. */
export type PointTool = "move" | "lasso" | "rectangle";

/** Whether dragging turns the points (orbit) or the camera (look). */
export type PointTurning = "orbit" | "look";

/** How points are combined with the selection: Shift adds, Alt removes. */
export type SelectHow = "replace" | "add" | "remove";

/** A key of the page, in addition to those of the view. */
export interface PointKey {
  /** As `KeyboardEvent.key`; a capital letter means Shift. */
  key: string;
  title: string;
  /** Called with the point under the cursor. */
  run: (point: number | null) => void;
}

/** Points in three or two dimensions, drawn with WebGL. Arrays are replaced, never changed. */
export interface Points3dProps {
  /** Two or three. */
  axes: readonly PointAxis[];
  /** Red, green, blue of every point, as in the style sheet (sRGB). */
  colours: Uint8Array;
  /** 1 for each point to show; null shows all. */
  shown?: Uint8Array | null;
  /** 1 for each selected point; null is none. */
  selected?: Uint8Array | null;
  labels?: readonly PointLabel[];
  /** Categories that are named at the middle of their points. */
  regions?: PointCategories | null;
  style?: Partial<PointStyle>;
  /** View from the front, without depth; always so with two axes. */
  flat?: boolean;
  /** Description for screen readers. */
  label: string;
  /** Height as a CSS length. */
  height?: string;
  /** Small: without buttons, help and keys of the page. */
  compact?: boolean;
  /** Camera, as `onCamera` gave it; empty is the start. */
  camera?: string;
  /** Called a moment after the camera stopped. */
  onCamera?: (camera: string) => void;
  onFlat?: (flat: boolean) => void;
  /** Card of the point under the cursor. */
  preview?: (point: number) => ComponentChildren;
  /** Called on a click. */
  onClick?: (point: number) => void;
  /** Called on a right click, double click or Enter. */
  onOpen?: (point: number) => void;
  /** Called with selected points; without it there are no selection tools. */
  onSelect?: (points: Uint32Array, how: SelectHow) => void;
  keys?: readonly PointKey[];
  /** Shown in the upper right of the picture, and saved with it: a legend. */
  children?: ComponentChildren;
}
