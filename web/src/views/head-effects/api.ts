import type { AblationRow } from "../../data/ablations";

/** Effects of ablating one head, one line per measure. */
export interface HeadEffectsProps {
  /** `model:L5:H3`. */
  head: string;
  /** All rows of the atlas: the heads of the model give scale and rank. */
  rows: readonly AblationRow[];
}
