// Keys of the view, except held keys, which are in controls.ts.

import type { PointTool } from "./api";

/** Actions of the keys. */
export interface ViewActions {
  tool: (tool: PointTool) => void;
  turning: () => void;
  flat: () => void;
  reset: () => void;
  zoom: (factor: number) => void;
  toggle: (panel: "help" | "orientation" | "statistics" | "legend") => void;
  step: (by: number) => void;
  pin: () => void;
  open: () => void;
  clear: () => void;
  leave: () => void;
}

/** Return the action of each key, as `keyOf` names it. */
export function viewKeys(actions: ViewActions): Record<string, () => void> {
  const help = () => actions.toggle("help");
  const nearer = () => actions.zoom(0.8);
  const farther = () => actions.zoom(1.25);
  return {
    l: () => actions.tool("lasso"),
    b: () => actions.tool("rectangle"),
    m: actions.turning,
    "2": actions.flat,
    "0": actions.reset,
    Home: actions.reset,
    "+": nearer,
    "=": nearer,
    "-": farther,
    h: help,
    "?": help,
    o: () => actions.toggle("orientation"),
    k: () => actions.toggle("legend"),
    i: () => actions.toggle("statistics"),
    n: () => actions.step(1),
    N: () => actions.step(-1),
    p: actions.pin,
    Enter: actions.open,
    x: actions.clear,
    Escape: actions.leave,
  };
}

/** Return the name of a key. Letters are small unless Shift changes their action. */
export function keyOf(event: { key: string }): string {
  return /^[A-MO-Z]$/.test(event.key) ? event.key.toLowerCase() : event.key;
}

/**
 * Return the next shown point, in a circle; with a selection, the next selected one.
 *
 * @param look red, green, blue, state of every point
 */
export function stepFrom(point: number, by: number, look: Uint8Array, chosenOnly: boolean): number | null {
  const n = look.length / 4;
  const least = chosenOnly ? 2 : 1;
  for (let i = 1; i <= n; i++) {
    const start = point < 0 && by < 0 ? 0 : point;
    const at = (((start + by * i) % n) + n) % n;
    if ((look[4 * at + 3] as number) >= least) return at;
  }
  return null;
}
