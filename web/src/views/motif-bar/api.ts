import type { Motif } from "../../contract/generated";

/** Shares of the motifs in the attention of a head, as one bar. */
export interface MotifBarProps {
  motifs: readonly Motif[];
  /** Mean share of each motif, 0 to 1; together 1. */
  shares: readonly number[];
  /** Standard deviation over the prompts of each. */
  spreads: readonly number[];
  /** Description for screen readers. */
  label: string;
}
