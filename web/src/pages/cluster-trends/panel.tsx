import { scaleLinear, scaleLog } from "d3-scale";
import { composed } from "../../data/composed";
import type { Point, Trend } from "./trends";

const WIDTH = 236;
const HEIGHT = 132;
const LEFT = 36;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 22;

/** Dashes distinguish lines where colours do not. */
const DASHES = ["none", "6 3", "2 2", "8 2 2 2", "4 4", "1 3"];

/** Style of a line. */
export interface LineStyle {
  name: string;
  colour: string;
  dash: string;
}

/** Return the style of a line by its place. */
export function lineStyle(name: string, place: number, colour: (place: number) => string): LineStyle {
  return { name, colour: colour(place), dash: DASHES[place % DASHES.length] as string };
}

/** The axis across: from 0 to 1, or numbers of parameters. */
export type Across = { kind: "share"; title: string } | { kind: "size"; low: number; high: number };

interface PanelProps {
  trend: Trend;
  styles: readonly LineStyle[];
  /** Largest share of the axis. */
  most: number;
  across: Across;
  label: string;
}

/** Share of one cluster: a line per group. */
export function LinePanel({ trend, styles, most, across, label }: PanelProps) {
  const x = scale(across);
  const y = scaleLinear([0, most], [HEIGHT - BOTTOM, TOP]);
  return (
    <Frame across={across} most={most} label={label}>
      {trend.lines.map((line, place) => {
        const style = styles[place];
        if (!style || line.length === 0) return null;
        const path = line.map((point, i) => `${i === 0 ? "M" : "L"}${x(point.x).toFixed(1)} ${y(point.share).toFixed(1)}`).join("");
        return (
          <g key={style.name}>
            <path d={path} class="trend-line" stroke={style.colour} stroke-dasharray={style.dash} />
            {line.map((point) => (
              <circle key={point.where} cx={x(point.x)} cy={y(point.share)} r={2.6} fill={style.colour}>
                <title>{describe(style.name, point)}</title>
              </circle>
            ))}
          </g>
        );
      })}
    </Frame>
  );
}

/** Shares of all clusters in one group, stacked. */
export function StackPanel(props: {
  trends: readonly Trend[];
  place: number;
  colour: (cluster: number) => string;
  title: (cluster: number) => string;
  bins: number;
  across: Across;
  label: string;
}) {
  const { trends, place, colour, title, bins, across, label } = props;
  const x = scale(across);
  const y = scaleLinear([0, 1], [HEIGHT - BOTTOM, TOP]);
  const reached = new Map<number, number>();
  const width = Math.max(1, x(1 / bins) - x(0) - 1);
  return (
    <Frame across={across} most={1} label={label}>
      {trends.map(({ cluster, lines }) =>
        (lines[place] ?? []).map((point) => {
          const below = reached.get(point.x) ?? 0;
          reached.set(point.x, below + point.share);
          if (point.heads === 0) return null;
          return (
            <rect
              key={`${cluster} ${point.where}`}
              x={x(point.x) - width / 2}
              y={y(below + point.share)}
              width={width}
              height={y(below) - y(below + point.share)}
              fill={colour(cluster)}
            >
              <title>{describe(title(cluster), point)}</title>
            </rect>
          );
        }),
      )}
    </Frame>
  );
}

function describe(name: string, { where, heads, of, share }: Point): string {
  return composed`${name}, ${where}: ${heads} of ${of} heads (${Math.round(100 * share)} %)`;
}

function scale(across: Across): (value: number) => number {
  const range = [LEFT + 5, WIDTH - RIGHT - 5];
  if (across.kind === "share") return scaleLinear([0, 1], range);
  return scaleLog([across.low / 1.3, across.high * 1.3], range);
}

function Frame(props: { across: Across; most: number; label: string; children: unknown }) {
  const { across, most, label } = props;
  const x = scale(across);
  const y = scaleLinear([0, most], [HEIGHT - BOTTOM, TOP]);
  const columns = across.kind === "share" ? [0, 0.5, 1] : sizes(across.low, across.high);
  return (
    <svg class="trend" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
      {y.ticks(3).map((tick) => (
        <g key={tick}>
          <line class="trend-grid" x1={LEFT} x2={WIDTH - RIGHT} y1={y(tick)} y2={y(tick)} />
          <text x={LEFT - 5} y={y(tick) + 3.5} text-anchor="end">
            {`${Number((100 * tick).toPrecision(3))}%`}
          </text>
        </g>
      ))}
      {columns.map((tick) => (
        <text key={tick} x={x(tick)} y={HEIGHT - 7} text-anchor="middle">
          {across.kind === "share" ? tick : figure(tick)}
        </text>
      ))}
      {props.children as never}
    </svg>
  );
}

/** Sizes to write below the axis: the ends, and one in the middle if there is room. */
function sizes(low: number, high: number): number[] {
  return high / low > 1.6 ? [low, high] : [low];
}

/** 135M, 1.5B. */
export function figure(parameters: number): string {
  const [value, unit] = parameters >= 1e9 ? [parameters / 1e9, "B"] : [parameters / 1e6, "M"];
  return `${Number(value.toPrecision(3))}${unit}`;
}
