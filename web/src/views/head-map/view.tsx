import "./view.css";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { composed } from "../../data/composed";
import { dark } from "../../state/theme";
import type { HeadMapProps } from "./api";
import { density, drawDensity } from "./density";
import { fitInto, nearestPoint, pointTowards, positions, rectangleBetween, zoomed } from "./place";

/** Pixels that the pointer moves before it drags a rectangle. */
const DRAG = 4;
/** Points above which they are drawn smaller. */
const MANY = 4000;
/** Radius in which a point is hit: larger than the point. */
const REACH = 14;
const DIRECTIONS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const ZOOMS: Record<string, number> = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, "0": 0 };

type Position = readonly [x: number, y: number];

/** Points on a canvas. Hover or arrow keys name a point; click or Enter picks it; a drag opens a rectangle; the wheel zooms. */
export function HeadMap(props: HeadMapProps) {
  const { x, y, colour, faint, pointed, onPoint, rectangle, onRectangle, marked, describe, onPick, label, width, height, enlarged } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [at, setOwn] = useState(-1);
  const setAt = (point: number) => {
    if (point === at) return;
    setOwn(point);
    onPoint?.(point < 0 ? null : point);
  };
  const [drag, setDrag] = useState<{ from: Position; to: Position } | null>(null);
  // The click that ends a drag picks nothing.
  const wasDrag = useRef(false);
  const isDark = dark.value;
  const whole = useMemo(() => fitInto(x, y, width, height, 10), [x, y, width, height]);
  const [near, setNear] = useState({ whole, fit: whole });
  // A new map, or another width, starts with all points.
  const fit = near.whole === whole ? near.fit : whole;
  const zoom = (factor: number, spot: Position) => setNear({ whole, fit: zoomed(fit, factor, spot, whole) });
  useWheel(canvas, (factor, spot) => {
    if (factor < 1 && fit.unit <= whole.unit) return false;
    zoom(factor, spot);
    return true;
  });
  const placed = useMemo(() => positions(x, y, fit), [x, y, fit]);
  /** The middle of a zoom by keys: the named point, else the first marked one. */
  const middle = (): Position => {
    const point = at >= 0 ? at : (marked[0] ?? -1);
    const [left, top] = [placed[2 * point] ?? Number.NaN, placed[2 * point + 1] ?? Number.NaN];
    return Number.isFinite(left + top) ? [left, top] : [width / 2, height / 2];
  };
  const grid = useMemo(() => density(placed, width, height), [placed, width, height]);
  const isDrag = drag !== null && Math.hypot(drag.to[0] - drag.from[0], drag.to[1] - drag.from[1]) > DRAG;
  const outline = isDrag ? rectangleBetween(drag.from, drag.to, fit) : (rectangle ?? null);
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const ratio = window.devicePixelRatio;
    element.width = Math.round(width * ratio);
    element.height = Math.round(height * ratio);
    context.scale(ratio, ratio);
    context.clearRect(0, 0, width, height);
    drawDensity(context, grid, isDark ? [200, 210, 225] : [70, 80, 100]);
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
    const radius = x.length > MANY ? 1.2 : 2;
    const isFaint = Uint8Array.from(x, (_, point) => Number(faint?.(point) ?? true));
    context.globalAlpha = faint ? 0.4 : 0.55;
    for (let point = 0; point < x.length; point++) if (isFaint[point]) dot(point, radius, false);
    context.globalAlpha = 0.9;
    for (let point = 0; point < x.length; point++) if (!isFaint[point]) dot(point, radius + 1, false);
    context.globalAlpha = 1;
    for (const [place, point] of [...marked.entries()].reverse()) dot(point, place === 0 ? 6 : 4, true);
    if (outline) {
      context.strokeStyle = edge;
      context.lineWidth = 1;
      context.strokeRect(fit.left + fit.unit * outline.left, fit.top - fit.unit * outline.high, fit.unit * (outline.right - outline.left), fit.unit * (outline.high - outline.low));
    }
    for (const point of [pointed ?? -1, at]) if (point >= 0) dot(point, 6, true);
  }, [placed, colour, faint, marked, pointed, at, isDark, JSON.stringify(outline)]);
  const find = (event: MouseEvent) => nearestPoint(placed, event.offsetX, event.offsetY, REACH);
  return (
    <div class="head-map" style={{ width: `${width}px` }}>
      <canvas
        ref={canvas}
        data-drags={onRectangle !== undefined}
        style={{ width: `${width}px`, height: `${height}px`, cursor: at >= 0 && onPick ? "pointer" : "default" }}
        tabIndex={0}
        role="img"
        aria-label={at >= 0 ? composed`${label}. Now ${describe(at)}` : `${label}. Arrows move, + and - zoom.`}
        onPointerDown={(event) => {
          if (onRectangle && event.button === 0) setDrag({ from: [event.offsetX, event.offsetY], to: [event.offsetX, event.offsetY] });
        }}
        onPointerMove={(event) => {
          if (drag) setDrag({ ...drag, to: [event.offsetX, event.offsetY] });
          setAt(isDrag ? -1 : find(event));
        }}
        onPointerUp={() => {
          if (isDrag) onRectangle?.(rectangleBetween(drag.from, drag.to, fit));
          wasDrag.current = isDrag;
          setDrag(null);
        }}
        onPointerLeave={() => {
          setAt(-1);
          setDrag(null);
        }}
        onBlur={() => setAt(-1)}
        onClick={(event) => {
          if (wasDrag.current) return;
          const point = find(event);
          if (point >= 0) onPick?.(point);
          else if (rectangle) onRectangle?.(null);
        }}
        onKeyDown={(event) => {
          const direction = DIRECTIONS[event.key];
          if (direction) {
            event.preventDefault();
            setAt(pointTowards(placed, at >= 0 ? at : (marked[0] ?? 0), direction));
          } else if (event.key === "Enter" && at >= 0) onPick?.(at);
          else if (ZOOMS[event.key] !== undefined) zoom(ZOOMS[event.key] as number, middle());
        }}
      />
      {enlarged && fit.unit >= 2 * whole.unit ? (
        <div class="head-map-enlarged" style={{ width: `${width}px`, height: `${height}px` }}>
          {enlarged(placed)}
        </div>
      ) : null}
      <div class="head-map-name" aria-hidden="true" data-export="no">
        {at >= 0 ? describe(at) : pointed === null || pointed === undefined ? "" : describe(pointed)}
      </div>
    </div>
  );
}

/** Zoom by the wheel; a turn that changes nothing scrolls the page. */
function useWheel(canvas: { current: HTMLCanvasElement | null }, onZoom: (factor: number, spot: Position) => boolean): void {
  const latest = useRef(onZoom);
  latest.current = onZoom;
  useEffect(() => {
    const element = canvas.current;
    const turn = (event: WheelEvent) => {
      if (latest.current(Math.exp(-event.deltaY / 400), [event.offsetX, event.offsetY])) event.preventDefault();
    };
    // Not passive: a listener of the framework could not keep the page from scrolling.
    element?.addEventListener("wheel", turn, { passive: false });
    return () => element?.removeEventListener("wheel", turn);
  }, []);
}
