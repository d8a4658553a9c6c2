import type { Signal } from "@preact/signals";
import type { Pattern } from "../../data/patterns";
import type { Cell } from "../pattern-matrix/api";

/** One pattern with its tokens: matrix, description, text and enlarged part, all of one cell. */
export interface PatternInspectProps {
  pattern: Pattern;
  tokens: readonly string[];
  /** Whether the first token is BOS. */
  bos: boolean;
  /** Name of the head: `model:L5:H3`. */
  name: string;
  /** The prompt on one line, for the caption of saved pictures. */
  prompt: string;
  /** Name of a saved file, without suffix. */
  file: string;
  /** The cell under the pointer. Other views on the page may share it. */
  cursor: Signal<Cell | null>;
  /** Height of the window besides the matrix, in CSS pixels (default 120). */
  rest?: number;
  /** Tokens per side of a block whose weights are all the largest of the block (default 1: exact). */
  block?: number;
}
