/** A head's name as a link to its page. */
export interface HeadLinkProps {
  /** `model:L5:H3`. */
  head: string;
  /** Only `L5:H3`, where the model is plain from the context. */
  short?: boolean;
}
