// State of the page: in memory only, so that nothing is kept without a click.

import { signal } from "@preact/signals";
import type { LiveResult } from "../../data/live";

/** The text, and another one to compare it with; null without one. */
export const text = signal("");
export const other = signal<string | null>(null);
/** Models to run; empty is all. */
export const chosenModels = signal<string[]>([]);

/** What was asked, and the answer. */
export interface Answered {
  /** Differs from answer to answer. */
  turn: number;
  texts: string[];
  result: LiveResult;
}
export const answered = signal<Answered | null>(null);
/** The head that is shown large; null is the first row. */
export const shown = signal<string | null>(null);
