import type { Prompt } from "../../contract/generated";

/** The first words of a prompt; hover, focus or touch shows text and source. */
export interface PromptLabelProps {
  prompt: Prompt;
  /** Characters shown; the style sheet shows fewer where there is no room. */
  length?: number;
}
