import type { Pattern } from "../../data/patterns";

/** A pattern that is loaded once it comes near the screen, linking to its page. */
export interface PatternCellProps {
  /** `model:L5:H3`. */
  head: string;
  /** Identity of the pattern: it is loaded anew when this changes. */
  row: number;
  prompt: number;
  /** Beginning of the prompt's id, for the link. */
  promptId: string;
  size: number;
  load: (row: number, prompt: number) => Promise<Pattern>;
  /** Colour of a frame around it. */
  border?: string;
}
