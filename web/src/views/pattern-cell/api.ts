import type { Pattern } from "../../data/patterns";

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
}
