import type { Pattern } from "../../data/patterns";
import type { Cell } from "../pattern-matrix/api";

/** The surroundings of a cell, enlarged and with the tokens written beside. */
export interface PatternLensProps {
  pattern: Pattern;
  at: Cell;
  /** A short label of a token. */
  token: (place: number) => string;
  /** Cells each way. */
  reach?: number;
}
