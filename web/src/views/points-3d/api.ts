import type { ComponentChildren } from "preact";

/** One coordinate of all points; NaN hides a point. */
export interface PointAxis {
  /** `component 1`, `entropy`: beside the ticks and on the orientation indicator. */
  title: string;
  values: Float32Array;
  /** Axes of one unit keep their proportions; others are each stretched to fit. */
  unit: string;
}

/** A point that is named in the picture, drawn large and above the others. */
export interface PointLabel {
  point: number;
  label: string;
}

/** Sizes in CSS pixels, opacities from 0 to 1. */
export interface PointStyle {
  size: number;
  opacity: number;
  /** Of the points outside of the selection, while there is one. */
  restSize: number;
  restOpacity: number;
}

/** What dragging does. */
export type PointTool = "move" | "lasso" | "rectangle";

/** Whether dragging turns the points (orbit) or the eye (look). */
export type PointTurning = "orbit" | "look";

/** How new points meet those that were selected: Shift adds, Alt removes. */
export type SelectHow = "replace" | "add" | "remove";

/** A key of the page, beside the view's own. */
export interface PointKey {
  /** As `KeyboardEvent.key`; a capital is with Shift. */
  key: string;
  title: string;
  /** Given the point at the cursor. */
  run: (point: number | null) => void;
}

/** Points in three or two dimensions, drawn with WebGL. Arrays are never changed, only replaced. */
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
  style?: Partial<PointStyle>;
  /** Seen from the front, without depth; always so with two axes. */
  flat?: boolean;
  /** What it shows, for screen readers. */
  label: string;
  /** Height as a CSS length. */
  height?: string;
  /** Small: no buttons, help or keys of the page; for use beside other things. */
  compact?: boolean;
  /** Where the eye is, as `onCamera` gave it; empty is the start. */
  camera?: string;
  /** Called a moment after the eye came to rest. */
  onCamera?: (camera: string) => void;
  onFlat?: (flat: boolean) => void;
  /** What is shown beside the point under the cursor. */
  preview?: (point: number) => ComponentChildren;
  /** Click or tap. The preview stays until the next click. */
  onClick?: (point: number) => void;
  /** Right click, double click or Enter. */
  onOpen?: (point: number) => void;
  /** Without it there are no selection tools. */
  onSelect?: (points: Uint32Array, how: SelectHow) => void;
  keys?: readonly PointKey[];
  /** Over the picture, at the upper right: a legend. Saved with it. */
  children?: ComponentChildren;
}
