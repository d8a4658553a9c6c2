import type { Pattern } from "../../data/patterns";

/** A small mean pattern of a head or of a group of heads. */
export interface HeadPictureProps {
  /** From `meanPicture`; null leaves the place empty, until it is loaded. */
  picture: Pattern | null;
  size: number;
  /** Description for screen readers: "Mean pattern of cluster 3". */
  label: string;
}
