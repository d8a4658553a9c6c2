import type { ComponentChildren } from "preact";

/** Renders its content only near the screen. */
export interface WhenNearProps {
  /** Height to reserve until then, in pixels. */
  height: number;
  /** Distance from the screen at which it is rendered, in pixels (default 0). */
  ahead?: number;
  children: () => ComponentChildren;
}
