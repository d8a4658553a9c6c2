import type { Pattern } from "../../data/patterns";
import type { Cell } from "../pattern-matrix/api";

/** One cursor over several patterns. */
export interface PatternCursor {
  /** Return the marked cell of the pattern of a head on a prompt. Reading it subscribes. */
  at: (row: number, prompt: number) => Cell | null;
  /** The pointer is over a cell of a pattern. */
  onMove: (pattern: Pattern, cell: Cell) => void;
}

/** A pattern that links to its page. It is loaded when it comes near the screen. */
export interface PatternCellProps {
  /** `model:L5:H3`. */
  head: string;
  /** Row of the head. */
  row: number;
  prompt: number;
  /** Beginning of the prompt's id, for the link. */
  promptId: string;
  size: number;
  load: (row: number, prompt: number) => Promise<Pattern>;
  /** Colour of a frame around it. */
  border?: string;
  /** A cursor that other patterns share; without one, the cell under the pointer is marked here alone. */
  cursor?: PatternCursor;
}
