import type { Pattern } from "../../data/patterns";
import type { Cell } from "../pattern-matrix/api";

/** The cells around one cell, enlarged, with the tokens at the edges. */
export interface PatternLensProps {
  pattern: Pattern;
  at: Cell;
  /** A short label of a token. */
  token: (place: number) => string;
  /** Number of cells in each direction (default 9). */
  reach?: number;
}
