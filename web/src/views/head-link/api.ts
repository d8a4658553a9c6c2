/** The name of a head, with a link to its page. */
export interface HeadLinkProps {
  /** `model:L5:H3`. */
  head: string;
  /** Show `L5:H3` only, where the context names the model. */
  short?: boolean;
}
