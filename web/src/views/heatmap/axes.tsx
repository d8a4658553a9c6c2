import type { ComponentChildren } from "preact";
import type { AxisGroup } from "./api";
import type { Frame } from "./frame";

/** Width of the labels left of the matrix, and above it. */
export const MARGIN = 66;
/** Rough width of a character of the labels. */
const CHARACTER = 6.2;
/** Least distance of labels along an axis. */
const APART = 13;

interface AxesProps {
  /** Places of an axis. */
  n: number;
  frame: Frame;
  /** Of the matrix, in pixels. */
  side: number;
  groups: readonly AxisGroup[];
  inner: readonly AxisGroup[];
  placeLabel: (place: number) => string;
  children?: ComponentChildren;
}

/** Labels and lines of both axes, in an SVG that lies over the matrix. */
export function Axes({ n, frame, side, groups, inner, placeLabel, children }: AxesProps) {
  const size = side + MARGIN;
  const cell = side / frame.cells;
  const lines = (first: number) =>
    visible(groups, frame, side, first).filter((one) => one.start > 0.5);
  return (
    <svg class="heatmap-axes" width={size} height={size} viewBox={`0 0 ${size} ${size}`} aria-hidden="true">
      <g transform={`translate(0 ${MARGIN})`}>
        <Labels axis="left" {...{ n, frame, side, cell, groups, inner, placeLabel }} />
      </g>
      <g transform={`translate(${MARGIN} 0)`}>
        <Labels axis="top" {...{ n, frame, side, cell, groups, inner, placeLabel }} />
      </g>
      <g transform={`translate(${MARGIN} ${MARGIN})`}>
        {lines(frame.left).map(({ start }) => (
          <line key={start} class="heatmap-line" x1={start} x2={start} y1={0} y2={side} />
        ))}
        {lines(frame.top).map(({ start }) => (
          <line key={start} class="heatmap-line" y1={start} y2={start} x1={0} x2={side} />
        ))}
        {children}
      </g>
    </svg>
  );
}

interface Extent {
  start: number;
  end: number;
  label: string;
}

/** Groups that are seen, in pixels along an axis that begins at `first`. */
function visible(groups: readonly AxisGroup[], frame: Frame, side: number, first: number) {
  const cell = side / frame.cells;
  const extents: Extent[] = [];
  for (const group of groups) {
    const start = Math.max(0, (group.start - first) * cell);
    const end = Math.min(side, (group.end - first) * cell);
    if (end > start) extents.push({ start, end, label: group.label });
  }
  return extents;
}

/** Extents whose labels have room: the widest first, none nearer than the height of a line. */
function spaced(extents: readonly Extent[]): Extent[] {
  const shown: Extent[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const extent of extents) {
    const middle = (extent.start + extent.end) / 2;
    if (middle - last < APART) continue;
    shown.push(extent);
    last = middle;
  }
  return shown;
}

function Labels(props: Omit<AxesProps, "children"> & { axis: "left" | "top"; cell: number }) {
  const { axis, frame, side, cell, groups, placeLabel } = props;
  const first = axis === "left" ? frame.top : frame.left;
  const outer = visible(groups, frame, side, first);
  const inner =
    cell >= APART - 1
      ? visible(places(first, frame.cells, placeLabel, props.n), frame, side, first)
      : visible(props.inner, frame, side, first);
  return (
    <>
      {outer.map((one) => {
        const room = Math.floor((one.end - one.start - 4) / CHARACTER);
        const middle = (one.start + one.end) / 2;
        const place = axis === "left" ? `translate(12 ${middle}) rotate(-90)` : `translate(${middle} 12)`;
        return room < 2 ? null : (
          <text key={one.start} transform={place} text-anchor="middle" class="heatmap-group">
            {shorten(one.label, room)}
          </text>
        );
      })}
      {spaced(inner).map((one) => {
        const middle = (one.start + one.end) / 2;
        const place =
          axis === "left"
            ? `translate(${MARGIN - 5} ${middle + 4})`
            : `translate(${middle + 4} ${MARGIN - 5}) rotate(-90)`;
        return (
          <text key={one.start} transform={place} text-anchor={axis === "left" ? "end" : "start"}>
            {one.label}
          </text>
        );
      })}
    </>
  );
}

function places(
  first: number,
  cells: number,
  label: (place: number) => string,
  n: number,
): AxisGroup[] {
  const start = Math.floor(first);
  const end = Math.min(n, Math.ceil(first + cells));
  return Array.from({ length: Math.max(0, end - start) }, (_, i) => ({
    start: start + i,
    end: start + i + 1,
    label: label(start + i),
  }));
}

function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}
