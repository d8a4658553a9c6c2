import { useMemo } from "preact/hooks";
import type { StripProps } from "./api";
import { BottomAxis } from "./axes";
import { Dots, type PlacedDot } from "./dots";
import { jitter, mean, median, place, shorten } from "./scale";
import { useWidth } from "./width";

const ROW = 34;
const NARROW = 520;

/** Dots of several groups, one row per group. */
export function Strip({ groups, axis, label, middle: kind = "median" }: StripProps) {
  const { ref, width } = useWidth();
  // Names are left of the rows where there is room, else above them.
  const narrow = width < NARROW;
  const row = narrow ? ROW + 16 : ROW;
  const left = narrow ? 16 : Math.min(430, Math.round(width * 0.36));
  const frame = { left, top: 4, right: width - 20, bottom: 4 + row * groups.length };
  const x = place(axis, left, frame.right, narrow ? 4 : 8);
  const middle = (index: number) => frame.top + row * index + (narrow ? 16 : 0) + ROW / 2;
  const dots = useMemo(
    () =>
      groups.flatMap((group, index): PlacedDot[] => {
        const moved = jitter(group.dots.length);
        return group.dots.map((dot, i) => ({
          ...dot,
          x: x.at(dot.value),
          y: middle(index) + (moved[i] as number) * (group.dots.length > 1 && !dot.strong ? 11 : 0),
        }));
      }),
    [groups, width, axis.domain[0], axis.domain[1]],
  );
  const height = frame.bottom + 36;
  return (
    <div class="chart" ref={ref}>
      <svg width={width} height={height} role="group" aria-label={label}>
        <BottomAxis axis={axis} placed={x} frame={frame} />
        {groups.map((group, index) => (
          <Band key={group.name} band={group.band} at={x.at} middle={middle(index)} />
        ))}
        <Dots dots={dots} width={width} height={frame.bottom} label={label} />
        {groups.map((group, index) => {
          const measured = group.dots.filter((dot) => !dot.muted).map((dot) => dot.value);
          // A line would hide a single dot.
          const centre = measured.length > 1 ? (kind === "mean" ? mean(measured) : median(measured)) : Number.NaN;
          return (
            <g key={group.name}>
              {Number.isFinite(centre) ? (
                <line
                  class="chart-median"
                  x1={x.at(centre)}
                  x2={x.at(centre)}
                  y1={middle(index) - 13}
                  y2={middle(index) + 13}
                />
              ) : null}
              <GroupName
                {...group}
                x={narrow ? 2 : left - 8}
                y={narrow ? middle(index) - ROW / 2 - 3 : middle(index) + 4}
                anchor={narrow ? "start" : "end"}
                room={narrow ? width : left - 10}
              />
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function Band(props: {
  band: readonly [number, number] | undefined;
  at: (value: number) => number;
  middle: number;
}) {
  const { band, at, middle } = props;
  if (!band) return null;
  return (
    <rect
      class="chart-band"
      x={at(band[0])}
      width={Math.max(1, at(band[1]) - at(band[0]))}
      y={middle - 12}
      height={24}
    />
  );
}

function GroupName(props: {
  name: string;
  note?: string;
  href?: string;
  x: number;
  y: number;
  anchor: "start" | "end";
  room: number;
}) {
  const { name, note = "", href, x, y, anchor, room } = props;
  const letters = Math.max(6, Math.floor(room / 6.6) - (note ? note.length + 1 : 0));
  const shown = shorten(name, letters);
  const text = (
    <text class="chart-name" x={x} y={y} text-anchor={anchor}>
      {shown}
      {note ? <tspan class="chart-note"> {note}</tspan> : null}
      {shown === name ? null : <title>{name}</title>}
    </text>
  );
  return href ? <a href={href}>{text}</a> : text;
}
