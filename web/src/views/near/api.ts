import type { ComponentChildren } from "preact";

/** What is far from the screen is not made: it loads and draws nothing. */
export interface WhenNearProps {
  /** Height to keep free until then, in pixels. */
  height: number;
  /** Pixels before the edge of the screen; 0 if left out. */
  ahead?: number;
  children: () => ComponentChildren;
}
