import type { ComponentChildren } from "preact";
import type { Prompt } from "../../contract/generated";
import type { Pattern } from "../../data/patterns";
import type { PatternCursor } from "../pattern-cell/api";

/** A row of patterns. */
export interface RowHead {
  row: number;
  /** `model:L5:H3`. */
  head: string;
}

/** Rows under a heading. */
export interface RowGroup<T extends RowHead = RowHead> {
  key: string;
  /** Heading; without one, the rows follow those above. */
  title: string;
  help?: string;
  heads: readonly T[];
  /** Shown if there are no heads. */
  empty?: string;
}

/** A table of patterns: one row per head, one column per prompt. */
export interface PatternRowsProps<T extends RowHead> {
  groups: readonly RowGroup<T>[];
  prompts: readonly { place: number; prompt: Prompt }[];
  size: number;
  load: (row: number, prompt: number) => Promise<Pattern>;
  /** Content in front of a row. */
  info: (head: T, group: RowGroup<T>) => ComponentChildren;
  /** A cursor that the patterns share. */
  cursor?: PatternCursor;
  /** The pointer entered the row of a head, or left it (null). */
  onRow?: (row: number | null) => void;
  /** A row that is marked. */
  marked?: number | null;
}
