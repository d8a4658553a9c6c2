import type { Labels } from "../../data/explanations";
import type { HeadClass, Manifest } from "../../contract/generated";
import type { Heads } from "../../data/heads";

/** Data for completion by class and behaviour. */
export interface SearchData {
  classes: readonly HeadClass[];
  heads: Heads;
  /** What is shown of each head; null shows names alone. */
  labels?: Labels | null;
}

/** A text field that completes heads by name, class and behaviour. */
export interface HeadSearchProps {
  manifest: Manifest;
  /** Null until it is loaded; until then only names are completed. */
  data: SearchData | null;
  label: string;
  placeholder?: string;
  /** First text. */
  initial?: string;
  /** Whether the field takes the focus when it appears. */
  focus?: boolean;
  onFocus?: () => void;
  /** A head was chosen, `model:L5:H3`. */
  onPick: (head: string) => void;
}

/** A line of the completion. */
export interface Suggestion {
  row: number;
  head: string;
  /** Reason of the match: "induction", "induction score 0.93"; empty for its name. */
  reason: string;
  /** What is known of the head; empty if nothing is, or if the reason says it. */
  label: string;
}
