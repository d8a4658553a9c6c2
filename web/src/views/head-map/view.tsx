import "./view.css";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { composed } from "../../data/composed";
import { dark } from "../../state/theme";
import type { HeadMapProps } from "./api";
import { nearestPoint, pointTowards, positions } from "./place";

/** Radius in which a point is hit: larger than the point. */
const REACH = 14;
const DIRECTIONS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Points on a canvas. Hover or arrow keys name a point; click or Enter picks it. */
export function HeadMap(props: HeadMapProps) {
  const { x, y, colour, marked, describe, onPick, label, width, height } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [at, setAt] = useState(-1);
  const isDark = dark.value;
  const placed = useMemo(() => positions(x, y, width, height, 10), [x, y, width, height]);
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const zoom = window.devicePixelRatio;
    element.width = Math.round(width * zoom);
    element.height = Math.round(height * zoom);
    context.scale(zoom, zoom);
    context.clearRect(0, 0, width, height);
    const edge = isDark ? "#ffffff" : "#000000";
    const dot = (point: number, radius: number, ringed: boolean) => {
      context.beginPath();
      context.arc(placed[2 * point] ?? 0, placed[2 * point + 1] ?? 0, radius, 0, 2 * Math.PI);
      context.fillStyle = colour(point);
      context.fill();
      if (!ringed) return;
      context.strokeStyle = edge;
      context.lineWidth = 1.5;
      context.stroke();
    };
    context.globalAlpha = 0.55;
    for (let point = 0; point < x.length; point++) dot(point, 2, false);
    context.globalAlpha = 1;
    for (const [place, point] of [...marked.entries()].reverse()) dot(point, place === 0 ? 6 : 4, true);
    if (at >= 0) dot(at, 6, true);
  }, [placed, colour, marked, at, isDark]);
  const find = (event: MouseEvent) => nearestPoint(placed, event.offsetX, event.offsetY, REACH);
  return (
    <div class="head-map" style={{ width: `${width}px` }}>
      <canvas
        ref={canvas}
        style={{ width: `${width}px`, height: `${height}px`, cursor: at >= 0 && onPick ? "pointer" : "default" }}
        tabIndex={0}
        role="img"
        aria-label={at >= 0 ? composed`${label}. Now ${describe(at)}` : `${label}. Arrows move.`}
        onPointerMove={(event) => setAt(find(event))}
        onPointerLeave={() => setAt(-1)}
        onBlur={() => setAt(-1)}
        onClick={(event) => {
          const point = find(event);
          if (point >= 0) onPick?.(point);
        }}
        onKeyDown={(event) => {
          const direction = DIRECTIONS[event.key];
          if (direction) {
            event.preventDefault();
            setAt(pointTowards(placed, at >= 0 ? at : (marked[0] ?? 0), direction));
          } else if (event.key === "Enter" && at >= 0) onPick?.(at);
        }}
      />
      <div class="head-map-name" aria-hidden="true" data-export="no">
        {at >= 0 ? describe(at) : ""}
      </div>
    </div>
  );
}
