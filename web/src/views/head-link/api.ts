/** A head's name as a link to its page. */
export interface HeadLinkProps {
  /** `model:L5:H3`. */
  head: string;
  /** Only `L5:H3`, where the model is plain from the context. */
  short?: boolean;
}

/** A prompt as its first words, its text and source shown on hover and focus. */
export interface PromptLabelProps {
  text: string;
  source: string;
  /** Characters that are shown; the style cuts earlier where there is no room. */
  length?: number;
}
