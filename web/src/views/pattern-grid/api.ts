import type { ReadonlySignal } from "@preact/signals";
import type { Pattern } from "../../data/patterns";
import type { PatternStyle } from "../pattern-canvas/api";
import type { Cell } from "../pattern-matrix/api";

/** A layer of the map. */
export interface GridRow {
  layer: number;
  nHeads: number;
}

/** A head of the map under the pointer, and the cell of its pattern there; null above the diagonal. */
export interface GridHover {
  layer: number;
  head: number;
  pattern: Pattern;
  cell: Cell | null;
}

/** Small patterns of all heads, a row per layer, with one cursor over all of them. */
export interface PatternGridProps {
  /** Name for screen readers: "heads of gpt2 on ...". */
  label: string;
  rows: readonly GridRow[];
  /** Number of tokens. Patterns may have fewer rows, which are then blocks of tokens. */
  n: number;
  /** Side of a pattern in CSS pixels. */
  size: number;
  style: PatternStyle;
  /** Load the patterns of a layer, in the order of its heads. */
  load: (layer: number) => Promise<readonly Pattern[]>;
  /** The cell that is marked in every pattern. */
  active: ReadonlySignal<Cell | null>;
  selected: readonly [layer: number, head: number];
  /** Whether the row of the selected head is scrolled into view (default true). */
  follow?: boolean;
  /** Whether a head has a frame. */
  marked: (layer: number, head: number) => boolean;
  /** Text on hover over a head. */
  describe: (layer: number, head: number) => string;
  onPick: (layer: number, head: number) => void;
  onHover: (at: GridHover | null) => void;
}
