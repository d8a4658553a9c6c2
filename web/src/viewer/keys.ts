// Keys that work anywhere in the viewer.

import { useEffect, useRef } from "preact/hooks";
import type { View } from "../contract/viewer";
import { scale, sink } from "../state/params";
import { lockedCell } from "../views/pattern-inspect/view";

const SCALES = ["sqrt", "log", "linear"] as const;
const SINKS = ["apart", "hidden", "shown"] as const;

/** Return the value after one in a circle. */
function after<T>(values: readonly T[], value: T): T {
  return values[(values.indexOf(value) + 1) % values.length] as T;
}

/** Return the head some places after another one, through all layers, in a circle. */
export function headAfter(
  layers: View["layers"],
  [layer, head]: readonly [number, number],
  step: number,
): [layer: number, head: number] {
  const all = layers.flatMap((item) =>
    Array.from({ length: item.n_heads }, (_, index): [number, number] => [item.layer, index]),
  );
  const at = all.findIndex((item) => item[0] === layer && item[1] === head);
  return all[(at + step + all.length) % all.length] ?? [layer, head];
}

/** Listen to the keys of the viewer. */
export function useKeys(
  view: View,
  selected: readonly [number, number],
  onPick: (layer: number, head: number) => void,
): void {
  // Keys may come faster than the page is drawn: the next one starts from the head just chosen.
  const latest = useRef(selected);
  latest.current = selected;
  useEffect(() => {
    const step = (by: number) => {
      latest.current = headAfter(view.layers, latest.current, by);
      onPick(...latest.current);
    };
    const onKeyDown = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof Element && event.target.matches("input, select, textarea");
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "n") step(1);
      else if (event.key === "p") step(-1);
      else if (event.key === "s") scale.set(after(SCALES, scale.peek()));
      else if (event.key === "t") sink.set(after(SINKS, sink.peek()));
      else if (event.key === "Escape") lockedCell.set(null);
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [view, onPick]);
}
