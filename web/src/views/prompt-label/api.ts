import type { Prompt } from "../../contract/generated";

/** A prompt as its first words; hover, focus or touch shows its text and source. */
export interface PromptLabelProps {
  prompt: Prompt;
  /** Characters that are shown; the style cuts earlier where there is no room. */
  length?: number;
}
