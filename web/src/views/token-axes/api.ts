import type { ComponentChildren } from "preact";
import type { Frame } from "../pattern-canvas/frame";
import type { Cell } from "../pattern-matrix/api";

/** The tokens at the edges of a pattern: queries at the left, keys below; as many as fit, and the active ones. */
export interface TokenAxesProps {
  n: number;
  /** Side of the picture in CSS pixels. */
  size: number;
  place: Frame;
  /** A short label of a token. */
  token: (place: number) => string;
  active: Cell | null;
  /** The pattern. */
  children: ComponentChildren;
}
