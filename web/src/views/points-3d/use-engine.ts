// The engine of a view of points: made for a canvas, and made again when the graphics card stopped.

import { useEffect, useRef, useState } from "preact/hooks";
import { signal, type Signal } from "@preact/signals";
import { drawBeforeExport } from "../export-menu/redraw";
import type { Engine, EngineEvents, EngineFrame } from "./engine";

/** Whether the points are drawn; `lost` while the graphics card does not draw. */
export type EngineStatus = "starting" | "ready" | "lost" | "no-webgl" | "not-loaded";

export interface EngineOfCanvas {
  canvas: { current: HTMLCanvasElement | null };
  engine: { current: Engine | null };
  status: EngineStatus;
  /** Number of this canvas: use it as the key of the element. */
  attempt: number;
  /** What the last drawing showed. */
  frame: Signal<EngineFrame | null>;
  /** Draw on a new canvas. */
  restart: () => void;
}

/** Make an engine for a canvas. The events may differ from one rendering to the next. */
export function useEngine(events: EngineEvents): EngineOfCanvas {
  const canvas = useRef<HTMLCanvasElement>(null);
  const engine = useRef<Engine | null>(null);
  const frame = useRef(signal<EngineFrame | null>(null)).current;
  const latest = useRef(events);
  latest.current = events;
  const [attempt, setAttempt] = useState(0);
  const [status, setStatus] = useState<EngineStatus>("starting");
  useEffect(() => {
    const element = canvas.current;
    let ended = false;
    const restart = () => {
      if (ended) return;
      setStatus("starting");
      setAttempt((before) => before + 1);
    };
    const lost = (event: Event) => {
      // Without this the browser never gives the context back.
      event.preventDefault();
      if (!ended) setStatus("lost");
    };
    import("./engine").then(
      ({ createEngine }) => {
        if (ended || !element) return;
        try {
          engine.current = createEngine(element, forwarded(latest, frame));
        } catch {
          setStatus("no-webgl");
          return;
        }
        element.addEventListener("webglcontextlost", lost);
        // A new canvas needs no repair of what the old context held.
        element.addEventListener("webglcontextrestored", restart);
        drawBeforeExport(element, () => engine.current?.draw());
        setStatus("ready");
      },
      () => !ended && setStatus("not-loaded"),
    );
    return () => {
      ended = true;
      element?.removeEventListener("webglcontextlost", lost);
      element?.removeEventListener("webglcontextrestored", restart);
      engine.current?.dispose();
      engine.current = null;
    };
  }, [attempt]);
  return {
    canvas,
    engine,
    status,
    attempt,
    frame,
    restart: () => {
      setStatus("starting");
      setAttempt(attempt + 1);
    },
  };
}

/** Events that go to the latest handlers; frames are also kept in a signal. */
function forwarded(latest: { current: EngineEvents }, frame: Signal<EngineFrame | null>): EngineEvents {
  return {
    frame: (view) => {
      frame.value = view;
      latest.current.frame(view);
    },
    hover: (point, spot) => latest.current.hover(point, spot),
    click: (point, spot, touch) => latest.current.click(point, spot, touch),
    open: (point) => latest.current.open(point),
    outline: (corners) => latest.current.outline(corners),
    select: (points, how) => latest.current.select(points, how),
    rest: (camera) => latest.current.rest(camera),
  };
}
