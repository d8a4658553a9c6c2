// Dots for pointer and keyboard. Dots of one style are one path: twenty thousand elements would make the
// page slow.

import { useMemo, useState } from "preact/hooks";
import { go } from "../../state/url";
import type { Datum } from "./api";
import { nearest } from "./scale";

export type PlacedDot = Datum & { x: number; y: number };

interface Props {
  dots: readonly PlacedDot[];
  width: number;
  height: number;
  /** Description for screen readers. */
  label: string;
}

const REACH = 14;
/** Width of a letter in the tooltip: a little more than the mean, so that texts fit their box. */
const LETTER = 6.7;

/** Dots, with a tooltip at the one under the pointer or keyboard. Has to be last in its `svg`. */
export function Dots({ dots, width, height, label }: Props) {
  const [chosen, setChosen] = useState(-1);
  const looks = useMemo(() => groupByLook(dots), [dots]);
  // Arrow keys go from left to right, whatever the order of the data.
  const order = useMemo(() => dots.map((_, i) => i).sort((a, b) => (dots[a]?.x ?? 0) - (dots[b]?.x ?? 0)), [dots]);
  const dot = dots[chosen];
  const find = (event: PointerEvent & { currentTarget: SVGRectElement }) => {
    const box = event.currentTarget.getBoundingClientRect();
    return nearest(dots, event.clientX - box.left, event.clientY - box.top, REACH);
  };
  const walk = (event: KeyboardEvent) => {
    if (event.key === "Enter" && dot?.href) return go(dot.href);
    const at = order.indexOf(chosen);
    const step = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: order.length - 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    setChosen(order[Math.min(order.length - 1, Math.max(0, step))] ?? -1);
  };
  return (
    <g>
      {looks.map((look) => (
        <path
          key={look.key}
          class={`chart-dots ${look.muted ? "chart-dots-muted" : look.strong ? "chart-dots-strong" : ""}`}
          d={look.path}
          style={look.colour && !look.muted ? { stroke: look.colour } : {}}
        />
      ))}
      <rect
        class="chart-field"
        width={width}
        height={height}
        tabIndex={dots.length > 0 ? 0 : -1}
        role="application"
        aria-label={`${label}. Arrow keys move over the ${dots.length} dots, Enter opens one.`}
        data-link={dot?.href ? "yes" : undefined}
        onPointerMove={(event) => setChosen(find(event))}
        onPointerLeave={() => setChosen(-1)}
        onClick={() => dot?.href && go(dot.href)}
        onKeyDown={walk}
        onBlur={() => setChosen(-1)}
      />
      {dot ? <Tip dot={dot} width={width} /> : null}
    </g>
  );
}

function Tip({ dot, width }: { dot: PlacedDot; width: number }) {
  const right = dot.x > width / 2;
  // Long texts are cut at the edge of the chart; the whole text is in the title.
  const room = Math.floor(((right ? dot.x : width - dot.x) - 14) / LETTER);
  const shown = dot.title.length > room ? `${dot.title.slice(0, Math.max(4, room - 1))}…` : dot.title;
  const wide = LETTER * shown.length + 12;
  const left = Math.max(0, right ? dot.x - 8 - wide : dot.x + 8);
  const top = Math.max(2, dot.y - 26);
  return (
    <g class="chart-tip" data-export="no" role="status">
      <circle cx={dot.x} cy={dot.y} r={5.5} />
      <rect x={left} y={top} width={wide} height={20} rx={4} />
      <text x={left + 6} y={top + 14}>
        {shown}
      </text>
      <title>{dot.title}</title>
    </g>
  );
}

interface Look {
  key: string;
  colour: string;
  muted: boolean;
  strong: boolean;
  path: string;
}

/** Group dots by style. A group is one path of lines without length, whose round ends are the dots. */
export function groupByLook(dots: readonly PlacedDot[]): Look[] {
  const looks = new Map<string, Look>();
  for (const { x, y, colour = "", muted = false, strong = false } of dots) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) continue;
    const key = muted ? "muted" : `${colour} ${strong}`;
    const look = looks.get(key) ?? { key, colour, muted, strong, path: "" };
    looks.set(key, look);
    look.path += `M${x.toFixed(1)} ${y.toFixed(1)}h0`;
  }
  // Muted dots are behind, strong ones in front.
  const depth = (look: Look) => Number(look.strong) - Number(look.muted);
  return [...looks.values()].sort((a, b) => depth(a) - depth(b));
}
