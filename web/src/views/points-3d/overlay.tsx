import { useMemo } from "preact/hooks";
import type { ReadonlySignal } from "@preact/signals";
import { ticks } from "d3-array";
import { scaleLinear } from "d3-scale";
import type { PointAxis, PointLabel } from "./api";
import type { EngineFrame } from "./engine";
import type { Placed } from "./place";
import { arrange, type Region } from "./regions";
import { project, type Spot } from "./select";

interface OverlayProps {
  frame: ReadonlySignal<EngineFrame | null>;
  placed: Placed;
  axes: readonly PointAxis[];
  flat: boolean;
  labels: readonly PointLabel[];
  regions: readonly Region[];
  outline: readonly Spot[] | null;
  orientation: boolean;
  compact: boolean;
}

/** Most labels shown: more would cover each other. */
const LABELS = 40;

/** Drawings on top of the points: ticks, names, outline of a selection, directions. */
export function Overlay(props: OverlayProps) {
  const view = props.frame.value;
  if (!view) return null;
  const { width, height } = view.eye;
  return (
    <svg class="points-3d-overlay" width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {props.flat && !props.compact ? <Ticks {...props} view={view} /> : null}
      {!props.flat && props.orientation ? <Orientation {...props} view={view} /> : null}
      <RegionNames {...props} view={view} />
      <Names {...props} view={view} />
      {props.outline && props.outline.length > 1 ? (
        <polygon class="points-3d-outline" points={props.outline.map((spot) => spot.join(",")).join(" ")} />
      ) : null}
    </svg>
  );
}

type Part = OverlayProps & { view: EngineFrame };

/** Return where a point is on the screen; null behind the camera. */
function spotOf({ placed, view }: Part, point: number): Spot | null {
  const [x, y, z] = [...placed.positions.subarray(3 * point, 3 * point + 3)] as [number, number, number];
  return project(view.eye, x, y, z);
}

/** Names of categories, the largest first; a name that would cover another is left out. */
function RegionNames(part: Part) {
  const { width, height } = part.view.eye;
  const names = part.regions.slice(0, LABELS).flatMap(({ label, point }) => {
    const spot = spotOf(part, point);
    return spot ? [{ label, spot }] : [];
  });
  return (
    <>
      {arrange(names, width, height).map(({ label, x, y }) => (
        <text key={label} class="points-3d-region" x={x} y={y + 4} text-anchor="middle">
          {label}
        </text>
      ))}
    </>
  );
}

function Names(part: Part) {
  const { labels, placed, view } = part;
  return (
    <>
      {labels.slice(0, LABELS).map(({ point, label }) => {
        const spot = placed.finite[point] ? spotOf(part, point) : null;
        if (!spot) return null;
        const left = spot[0] > view.eye.width * 0.7;
        return (
          <text
            key={point}
            class="points-3d-name"
            x={spot[0] + (left ? -9 : 9)}
            y={spot[1] + 4}
            text-anchor={left ? "end" : "start"}
          >
            {label}
          </text>
        );
      })}
    </>
  );
}

/** Ticks of a 2-D picture, at the lower and left edges. */
function Ticks({ axes, placed, view }: Part) {
  const { width, height } = view.eye;
  const right = (view.halfHeight * width) / height;
  const ends = (k: number, half: number): [number, number] => {
    const middle = view.target[k] as number;
    const value = (at: number) => at / (placed.scale[k] as number) + (placed.centre[k] as number);
    return [value(middle - half), value(middle + half)];
  };
  const x = scaleLinear().domain(ends(0, right)).range([0, width]);
  const y = scaleLinear().domain(ends(1, view.halfHeight)).range([height, 0]);
  const xs = ticks(...(x.domain() as [number, number]), Math.max(2, width / 110));
  const ys = ticks(...(y.domain() as [number, number]), Math.max(2, height / 70));
  const [formatX, formatY] = [x.tickFormat(width / 110), y.tickFormat(height / 70)];
  return (
    <g class="points-3d-ticks">
      {xs.filter((item) => x(item) > 60 && x(item) < width - 20).map((item) => (
        <g key={`x${item}`}>
          <line x1={x(item)} x2={x(item)} y1={height} y2={height - 5} />
          <text x={x(item)} y={height - 8} text-anchor="middle">
            {formatX(item)}
          </text>
        </g>
      ))}
      {ys.filter((item) => y(item) > 40 && y(item) < height - 26).map((item) => (
        <g key={`y${item}`}>
          <line x1={0} x2={5} y1={y(item)} y2={y(item)} />
          <text x={8} y={y(item) + 4}>
            {formatY(item)}
          </text>
        </g>
      ))}
      <text class="points-3d-axis" x={width / 2} y={height - 24} text-anchor="middle">
        {axes[0]?.title}
      </text>
      <text class="points-3d-axis" x={46} y={height / 2} text-anchor="middle" transform={`rotate(-90 46 ${height / 2})`}>
        {axes[1]?.title}
      </text>
    </g>
  );
}

/** Directions of the axes in the current view. */
function Orientation({ axes, view, compact }: Part) {
  const size = compact ? 26 : 40;
  // In a narrow picture the buttons are at the lower edge, so the indicator is above them.
  const lift = view.eye.width < 560 ? 122 : 62;
  const [cx, cy] = compact ? [38, view.eye.height - 38] : [112, view.eye.height - lift];
  const arrows = useMemo(() => arms(view.turn), [view.turn]);
  return (
    <g class="points-3d-orientation">
      <circle cx={cx} cy={cy} r={size} />
      {axes.slice(0, 3).map((axis, k) => {
        const [x, y, z] = arrows[k] as [number, number, number];
        const [ex, ey] = [cx + x * size * 0.8, cy - y * size * 0.8];
        return (
          <g key={k} opacity={z < -0.2 ? 0.55 : 1}>
            <line x1={cx} y1={cy} x2={ex} y2={ey} data-axis={k} />
            <text x={cx + x * size * 1.15} y={cy - y * size * 1.15 + 4} text-anchor={x < -0.2 ? "end" : x > 0.2 ? "start" : "middle"}>
              {compact ? "xyz"[k] : axis.title.replace(/ \(.*\)$/, "")}
            </text>
          </g>
        );
      })}
    </g>
  );
}

/** Return the axes of the box in the directions of the camera: right, up, towards it. */
function arms(turn: readonly number[]): [number, number, number][] {
  const [x, y, z, w] = [-(turn[0] ?? 0), -(turn[1] ?? 0), -(turn[2] ?? 0), turn[3] ?? 1];
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
    [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
    [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
  ];
}
