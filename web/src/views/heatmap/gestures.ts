// Wheel, drag and pinch of a heatmap.

import { useEffect, useRef } from "preact/hooks";
import { pan, zoomAt, type Frame } from "./frame";

interface Gestures {
  frame: Frame;
  n: number;
  onFrame: (frame: Frame) => void;
  /** A click, in shares of the window. */
  onPress: (u: number, v: number) => void;
  onHover: (place: { u: number; v: number } | null) => void;
}

/** Pixels that the pointer may move in a click. */
const SLACK = 4;

/** Listen to an element. The handlers may change at any time. */
export function useGestures(element: { current: HTMLElement | null }, gestures: Gestures): void {
  const latest = useRef(gestures);
  latest.current = gestures;
  useEffect(() => {
    const target = element.current;
    return target ? listen(target, () => latest.current) : undefined;
  }, []);
}

function listen(target: HTMLElement, now: () => Gestures): () => void {
  const pointers = new Map<number, { x: number; y: number }>();
  let moved = false;
  let start = { x: 0, y: 0 };
  const share = (event: { clientX: number; clientY: number }) => {
    const box = target.getBoundingClientRect();
    return { u: (event.clientX - box.left) / box.width, v: (event.clientY - box.top) / box.height };
  };
  const onWheel = (event: WheelEvent) => {
    const { frame, n, onFrame, onHover } = now();
    const factor = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0016));
    // The whole matrix is visible: let the page scroll.
    if (factor < 1 && frame.cells >= n) return;
    event.preventDefault();
    const { u, v } = share(event);
    // The page may have moved under the pointer since its last move.
    onHover({ u, v });
    onFrame(zoomAt(frame, n, factor, u, v));
  };
  const onDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    if (pointers.size === 0) {
      moved = false;
      start = { x: event.clientX, y: event.clientY };
    }
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    target.setPointerCapture(event.pointerId);
  };
  const onMove = (event: PointerEvent) => {
    const { frame, n, onFrame, onHover } = now();
    const before = pointers.get(event.pointerId);
    if (!before) return onHover(share(event));
    const at = { x: event.clientX, y: event.clientY };
    if (Math.hypot(at.x - start.x, at.y - start.y) > SLACK) moved = true;
    if (!moved) return;
    const size = target.clientWidth;
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, at);
    let next = pan(frame, n, (before.x - at.x) / size, (before.y - at.y) / size);
    if (other) {
      const spread = (pointer: { x: number; y: number }) => Math.hypot(pointer.x - other.x, pointer.y - other.y);
      const middle = share({ clientX: (at.x + other.x) / 2, clientY: (at.y + other.y) / 2 });
      next = zoomAt(frame, n, spread(at) / Math.max(1, spread(before)), middle.u, middle.v);
    }
    onFrame(next);
  };
  const onUp = (event: PointerEvent) => {
    const pressed = pointers.delete(event.pointerId);
    if (!pressed || moved || pointers.size > 0 || event.type === "pointercancel") return;
    const { u, v } = share(event);
    now().onPress(u, v);
  };
  const onLeave = () => now().onHover(null);
  target.addEventListener("wheel", onWheel, { passive: false });
  target.addEventListener("pointerdown", onDown);
  target.addEventListener("pointermove", onMove);
  target.addEventListener("pointerup", onUp);
  target.addEventListener("pointercancel", onUp);
  target.addEventListener("pointerleave", onLeave);
  return () => {
    target.removeEventListener("wheel", onWheel);
    target.removeEventListener("pointerdown", onDown);
    target.removeEventListener("pointermove", onMove);
    target.removeEventListener("pointerup", onUp);
    target.removeEventListener("pointercancel", onUp);
    target.removeEventListener("pointerleave", onLeave);
  };
}
