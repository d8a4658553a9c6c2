import type { ComponentChildren } from "preact";

/** A term whose sentence is shown on hover and on keyboard focus. */
export interface TermProps {
  /** A sentence: one of `TERMS`, or from the data files. */
  help: string;
  children: ComponentChildren;
}
