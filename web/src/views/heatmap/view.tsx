import "./view.css";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useWidth } from "../../state/width";
import { Axes, marginFor } from "./axes";
import type { HeatmapProps } from "./api";
import { cellAt, pan, showing, whole, zoomAt, type Frame } from "./frame";
import { useGestures } from "./gestures";
import { heatmapPixels } from "./image";

/** Largest side of the matrix in CSS pixels. */
const LARGEST = 860;
/** Height of the rest of the page, so that the whole matrix is visible. */
const ABOVE = 312;

const HELP =
  "Point at a cell to see its distance. Zoom with the wheel, a pinch, + or −; drag to move; click or press Enter to open both heads.";

interface Cell {
  row: number;
  column: number;
}

/** A square matrix with labelled axes. */
export function Heatmap(props: HeatmapProps) {
  const { matrix, order, style, frame, onFrame, describe, onOpen, label } = props;
  const { n } = matrix;
  const { ref, width } = useWidth<HTMLDivElement>();
  const height = useViewportHeight();
  const { placeLabel, inner } = props;
  const margin = useMemo(
    () => marginFor([...inner.map((extent) => extent.label), ...Array.from({ length: n }, (_, place) => placeLabel(place))]),
    [order, inner, n],
  );
  const side = Math.max(0, Math.min(width - margin, Math.max(320, height - ABOVE), LARGEST));
  const canvas = useRef<HTMLCanvasElement>(null);
  const [cell, setCell] = useState<Cell | null>(null);
  useEffect(() => props.onCell?.(cell), [cell?.row, cell?.column]);
  const open = (opened: Cell) => onOpen(opened.row, opened.column);
  useGestures(canvas, {
    frame,
    n,
    onFrame,
    onPress: (u, v) => {
      const pressed = cellAt(frame, n, u, v);
      if (pressed) open(pressed);
    },
    onHover: (place) => setCell(place ? cellAt(frame, n, place.u, place.v) : null),
  });
  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || side === 0) return;
    const pixels = Math.round(side * Math.min(2, window.devicePixelRatio));
    element.width = pixels;
    element.height = pixels;
    const data = heatmapPixels(matrix, order, frame, pixels, style);
    context.putImageData(new ImageData(data, pixels, pixels), 0, 0);
  }, [matrix, order, side, frame.left, frame.top, frame.cells, style.map, style.low, style.high, style.reversed]);
  const onKeyDown = (event: KeyboardEvent) => {
    const moved = keyed(event, frame, n, cell);
    if (!moved) {
      if (event.key !== "Enter" || !cell) return;
      open(cell);
    } else {
      setCell(moved.cell);
      onFrame(moved.frame);
    }
    event.preventDefault();
  };
  const zoomed = frame.cells < n;
  return (
    <div class="heatmap" ref={ref}>
      <div class="heatmap-square" style={{ width: side + margin, height: side + margin }}>
        <canvas
          ref={canvas}
          class="heatmap-canvas"
          tabIndex={0}
          role="application"
          aria-label={`${label}. Arrow keys move from cell to cell, plus and minus zoom, 0 shows all, Enter opens.`}
          data-zoomed={zoomed}
          style={{ left: margin, top: margin, width: side, height: side }}
          onKeyDown={onKeyDown}
        />
        <Axes {...props} n={n} side={side} margin={margin}>
          {cell ? <Marker cell={cell} frame={frame} side={side} /> : null}
        </Axes>
      </div>
      <div class="heatmap-aside">
        {props.children}
        <p class="heatmap-status" role="status" data-export="no">
          {cell ? describe(cell.row, cell.column) : HELP}
        </p>
        {props.detail}
      </div>
    </div>
  );
}

/** The mark of the current cell, with lines to both axes. */
function Marker({ cell, frame, side }: { cell: Cell; frame: Frame; side: number }) {
  const size = side / frame.cells;
  const x = (cell.column - frame.left) * size;
  const y = (cell.row - frame.top) * size;
  if (Math.min(x, y) <= -size || Math.max(x, y) >= side) return null;
  const least = Math.max(size, 5);
  return (
    <g class="heatmap-marker" data-export="no">
      <path d={`M0 ${y + size / 2}H${x}M${x + size / 2} 0V${y}`} />
      <rect x={x + (size - least) / 2} y={y + (size - least) / 2} width={least} height={least} />
    </g>
  );
}

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};

/** Return the effect of a key; null for other keys. */
function keyed(event: KeyboardEvent, frame: Frame, n: number, cell: Cell | null) {
  const centre = cellAt(frame, n, 0.4999, 0.4999) ?? { row: 0, column: 0 };
  const at = cell ?? centre;
  const arrow = ARROWS[event.key];
  if (arrow) {
    if (event.ctrlKey || event.metaKey) return { cell, frame: pan(frame, n, arrow[1] / 4, arrow[0] / 4) };
    const step = event.shiftKey ? 10 : 1;
    const clamp = (place: number) => Math.min(n - 1, Math.max(0, place));
    const next = cell
      ? { row: clamp(at.row + arrow[0] * step), column: clamp(at.column + arrow[1] * step) }
      : at;
    return { cell: next, frame: showing(frame, n, next.row, next.column) };
  }
  const u = (at.column + 0.5 - frame.left) / frame.cells;
  const v = (at.row + 0.5 - frame.top) / frame.cells;
  if (event.key === "+" || event.key === "=") return { cell: at, frame: zoomAt(frame, n, 1.5, u, v) };
  if (event.key === "-") return { cell: at, frame: zoomAt(frame, n, 1 / 1.5, u, v) };
  if (event.key === "0" || event.key === "Home") return { cell: at, frame: whole(n) };
  return null;
}

function useViewportHeight(): number {
  const [height, setHeight] = useState(window.innerHeight);
  useEffect(() => {
    const measure = () => setHeight(window.innerHeight);
    window.addEventListener("resize", measure);
    return () => window.removeEventListener("resize", measure);
  }, []);
  return height;
}
