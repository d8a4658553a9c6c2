import type { ComponentChildren } from "preact";
import type { MapName } from "../pattern-canvas/api";
import type { Frame } from "./frame";

/** A square matrix of codes; code 65535 is missing. */
export interface CodeMatrix {
  /** Row by row, n x n. */
  codes: Uint16Array;
  n: number;
}

/** How codes become colours. */
export interface HeatmapStyle {
  map: MapName;
  /** Codes at the two ends of the colours. */
  low: number;
  high: number;
  /** Whether small codes are bright. */
  reversed: boolean;
}

/** A run of places on both axes with a label: a model, a layer, a cluster. */
export interface AxisGroup {
  start: number;
  /** One past the last. */
  end: number;
  label: string;
}

/** A matrix on a canvas: zoom by wheel, pinch, `+` and `-`, pan by dragging, cells by arrows. */
export interface HeatmapProps {
  matrix: CodeMatrix;
  /** Row of the matrix that stands at each place of both axes. */
  order: Uint32Array;
  style: HeatmapStyle;
  /** Outer groups, with lines between them, and inner ones. */
  groups: readonly AxisGroup[];
  inner: readonly AxisGroup[];
  /** Label of one place, shown when cells are large. */
  placeLabel: (place: number) => string;
  frame: Frame;
  onFrame: (frame: Frame) => void;
  /** What a cell holds, in words. */
  describe: (row: number, column: number) => string;
  /** A cell was clicked, or chosen by Enter; places, not rows of the matrix. */
  onOpen: (row: number, column: number) => void;
  /** What is shown, for screen readers. */
  label: string;
  /** Beside the matrix: what the colours mean. */
  children?: ComponentChildren;
}
