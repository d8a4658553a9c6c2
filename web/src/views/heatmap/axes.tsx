import type { ComponentChildren } from "preact";
import type { AxisGroup } from "./api";
import type { Frame } from "./frame";

/** Least width of the labels left of the matrix, and least height of those above it. */
const LEAST_MARGIN = 66;
/** Width of the names of groups and of the gaps. */
const GROUPS = 26;
/** Rough width of a character of the labels. */
const CHARACTER = 6.4;
/** Most characters of a label. */
const LONGEST = 14;

/** Return the width of the labels left of the matrix: the longest must not touch the names of groups. */
export function marginFor(labels: Iterable<string>): number {
  let longest = 0;
  for (const label of labels) longest = Math.max(longest, Math.min(LONGEST, label.length));
  return Math.max(LEAST_MARGIN, Math.ceil(GROUPS + longest * CHARACTER));
}
/** Least distance of labels along an axis. */
const APART = 13;

interface AxesProps {
  /** Places of an axis. */
  n: number;
  frame: Frame;
  /** Of the matrix, in pixels. */
  side: number;
  margin: number;
  groups: readonly AxisGroup[];
  inner: readonly AxisGroup[];
  placeLabel: (place: number) => string;
  children?: ComponentChildren;
}

/** Labels and lines of both axes, in an SVG on top of the matrix. */
export function Axes({ n, frame, side, margin, groups, inner, placeLabel, children }: AxesProps) {
  const size = side + margin;
  const cell = side / frame.cells;
  const lines = (first: number) =>
    visible(groups, frame, side, first).filter((item) => item.start > 0.5);
  return (
    <svg class="heatmap-axes" width={size} height={size} viewBox={`0 0 ${size} ${size}`} aria-hidden="true">
      <g transform={`translate(0 ${margin})`}>
        <Labels axis="left" {...{ n, frame, side, margin, cell, groups, inner, placeLabel }} />
      </g>
      <g transform={`translate(${margin} 0)`}>
        <Labels axis="top" {...{ n, frame, side, margin, cell, groups, inner, placeLabel }} />
      </g>
      <g transform={`translate(${margin} ${margin})`}>
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

/** Return the visible groups in pixels, along an axis that starts at `first`. */
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

/** Return the extents whose labels are at least the height of a line apart. */
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
  const { axis, frame, side, margin, cell, groups, placeLabel } = props;
  const first = axis === "left" ? frame.top : frame.left;
  const outer = visible(groups, frame, side, first);
  const inner =
    cell >= APART - 1
      ? visible(places(first, frame.cells, placeLabel, props.n), frame, side, first)
      : visible(props.inner, frame, side, first);
  return (
    <>
      {outer.map((extent) => {
        const room = Math.floor((extent.end - extent.start - 4) / CHARACTER);
        const middle = (extent.start + extent.end) / 2;
        const place = axis === "left" ? `translate(12 ${middle}) rotate(-90)` : `translate(${middle} 12)`;
        return room < Math.min(4, extent.label.length) ? null : (
          <text key={extent.start} transform={place} text-anchor="middle" class="heatmap-group">
            {shorten(extent.label, room)}
          </text>
        );
      })}
      {spaced(inner).map((extent) => {
        const middle = (extent.start + extent.end) / 2;
        const place =
          axis === "left"
            ? `translate(${margin - 5} ${middle + 4})`
            : `translate(${middle + 4} ${margin - 5}) rotate(-90)`;
        return (
          <text key={extent.start} transform={place} text-anchor={axis === "left" ? "end" : "start"}>
            {shorten(extent.label, LONGEST)}
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
