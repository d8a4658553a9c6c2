import type { ComponentChildren } from "preact";
import type { MapName } from "../pattern-canvas/api";
import type { Frame } from "./frame";

/** A square matrix of codes; 65535 means missing. */
export interface CodeMatrix {
  /** Row by row, n x n. */
  codes: Uint16Array;
  n: number;
}

/** A square matrix of means, whose codes are read one by one. */
export interface ReadMatrix {
  at: (row: number, column: number) => number;
  n: number;
}

/** Colours of codes. */
export interface HeatmapStyle {
  map: MapName;
  /** Codes at the two ends of the colours. */
  low: number;
  high: number;
  /** Whether small codes are bright. */
  reversed: boolean;
}

/** A run of places on both axes, with a label: a model, a layer, a cluster. */
export interface AxisGroup {
  start: number;
  /** One past the last. */
  end: number;
  label: string;
}

/** A matrix on a canvas: wheel, pinch, `+` and `-` zoom; dragging pans; arrow keys move the cell. */
export interface HeatmapProps {
  matrix: CodeMatrix | ReadMatrix;
  /** Row of the matrix at every place of both axes. */
  order: Uint32Array;
  style: HeatmapStyle;
  /** Outer groups, with lines between them, and inner ones. */
  groups: readonly AxisGroup[];
  inner: readonly AxisGroup[];
  /** Label of one place, shown when cells are large. */
  placeLabel: (place: number) => string;
  frame: Frame;
  onFrame: (frame: Frame) => void;
  /** Describe a cell. */
  describe: (row: number, column: number) => string;
  /** The cell under the pointer or of the arrow keys changed; null outside. Places, as in `onOpen`. */
  onCell?: (cell: { row: number; column: number } | null) => void;
  /** A cell was clicked or chosen by Enter. Its numbers are places, not rows of the matrix. */
  onOpen: (row: number, column: number) => void;
  /** Description for screen readers. */
  label: string;
  /** Shown next to the matrix: the key of the colours. */
  children?: ComponentChildren;
  /** Shown below the description of the cell. */
  detail?: ComponentChildren;
}
