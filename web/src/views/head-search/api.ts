import type { Labels } from "../../data/explanations";
import type { HeadClass, Manifest } from "../../contract/generated";
import type { Heads } from "../../data/heads";
import type { Pattern } from "../../data/patterns";

/** A page, class, behaviour, feature, cluster, paper or prompt that the search leads to. */
export interface SearchPlace {
  title: string;
  /** What it is: "page", "class". */
  note: string;
  /** A number that says how much there is, as "18 heads"; empty without one. */
  value?: string;
  /** Heads whose mean pattern is its picture. */
  rows?: readonly number[];
  /** Further text that is searched. */
  text?: string;
  /** Return the link, with the parameters that travel. */
  href: () => string;
}

/** Data for completion by class and behaviour. */
export interface SearchData {
  classes: readonly HeadClass[];
  heads: Heads;
  /** What is shown of each head; null shows names alone. */
  labels?: Labels | null;
  /** What else can be found. */
  places?: readonly SearchPlace[];
  /** Load the mean pattern of some heads; null if the site holds none. */
  picture?: (rows: readonly number[]) => Promise<Pattern | null>;
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
  /** A key that moves the focus into the field from anywhere but another field. */
  shortcut?: string;
  /** Text was typed: the time to load `data`. */
  onType?: () => void;
  /** A head was chosen, `model:L5:H3`. */
  onPick: (head: string) => void;
}

/** A head that matches. */
export interface Suggestion {
  row: number;
  head: string;
  /** Reason of the match: "induction", "induction score 0.93"; empty for its name. */
  reason: string;
  /** What is known of the head; empty if nothing is, or if the reason says it. */
  label: string;
}
