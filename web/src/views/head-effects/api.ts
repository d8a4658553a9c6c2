import type { AblationRow } from "../../data/ablations";

/** What a model loses with one head, measure by measure. */
export interface HeadEffectsProps {
  /** `model:L5:H3`. */
  head: string;
  /** All rows of the atlas: the other heads give the scale and the rank. */
  rows: readonly AblationRow[];
}
