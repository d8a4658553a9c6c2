import type { HeadClass, Manifest } from "../../contract/generated";
import type { Heads } from "../../data/heads";

/** What completion by class and behaviour needs. */
export interface SearchData {
  classes: readonly HeadClass[];
  heads: Heads;
}

/** A text field that completes heads by name, class and behaviour. */
export interface HeadSearchProps {
  manifest: Manifest;
  /** Null until loaded: then names alone are completed. */
  data: SearchData | null;
  label: string;
  placeholder?: string;
  /** Text at the start. */
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
  /** Why it is offered: "class induction", "induction score 0.93"; empty for its name. */
  reason: string;
}
