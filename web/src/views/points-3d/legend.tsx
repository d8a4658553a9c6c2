import { useState } from "preact/hooks";
import { dark } from "../../state/theme";
import { NONE } from "../palette/api";
import { amountColour, noneColour, type Categories, type Colouring, type LegendFilter } from "./colours";

export interface LegendProps {
  colouring: Colouring;
  /** Points per label; the last is "none". Empty for numbers. */
  counts: readonly number[];
  filter: LegendFilter;
  onFilter: (filter: LegendFilter) => void;
  /** Colour by the next or previous column. */
  onCycle: (by: 1 | -1) => void;
}

/** The legend. A click on an entry hides its points; Alt + click hides all others. */
export function Legend(props: LegendProps) {
  const { colouring, onCycle } = props;
  const [open, setOpen] = useState(!window.matchMedia("(max-width: 640px)").matches);
  return (
    <div class="points-legend" role="group" aria-label="Legend">
      <div class="points-legend-head">
        <button type="button" class="quiet" aria-label="Colour by the previous column" onClick={() => onCycle(-1)}>
          ‹
        </button>
        <strong class="points-legend-title" title={colouring.title}>
          {colouring.title}
        </strong>
        <button type="button" class="quiet" aria-label="Colour by the next column" onClick={() => onCycle(1)}>
          ›
        </button>
        <button type="button" class="quiet" aria-expanded={open} aria-label="Show the legend" onClick={() => setOpen(!open)}>
          {open ? "–" : "+"}
        </button>
      </div>
      {!open ? null : colouring.kind === "categories" ? (
        <Entries {...props} colouring={colouring} />
      ) : (
        <Ramp {...props} low={colouring.low} high={colouring.high} />
      )}
    </div>
  );
}

function Entries({ colouring, counts, filter, onFilter }: LegendProps & { colouring: Categories }) {
  const { labels, colours } = colouring;
  const hidden = new Set(filter.hidden);
  const all = [
    ...labels.map((label, i) => ({ label, title: label, colour: colours[i] ?? NONE, count: counts[i] ?? 0 })),
    { label: "", title: colouring.none, colour: noneColour(dark.value), count: counts[labels.length] ?? 0 },
  ].filter((item) => item.count > 0 || hidden.has(item.label));
  const set = (labelsHidden: string[]) => onFilter({ ...filter, hidden: labelsHidden });
  const toggle = (label: string) =>
    set(hidden.has(label) ? filter.hidden.filter((item) => item !== label) : [...filter.hidden, label]);
  const only = (label: string) => set(all.map((item) => item.label).filter((item) => item !== label));
  return (
    <>
      <div class="points-legend-entries">
        {all.map((item) => (
          <label
            key={item.label}
            class="points-legend-entry"
            data-hidden={hidden.has(item.label)}
            title="Click to hide or show. Alt + click to show only this."
            onClick={(event) => {
              if (!event.altKey) return;
              event.preventDefault();
              only(item.label);
            }}
          >
            <input type="checkbox" checked={!hidden.has(item.label)} onChange={() => toggle(item.label)} />
            <span class="points-legend-dot" style={{ background: item.colour }} aria-hidden="true" />
            <bdi class="points-legend-label">{item.title}</bdi>
            <span class="muted number">{item.count.toLocaleString("en")}</span>
          </label>
        ))}
      </div>
      {hidden.size > 0 ? (
        <button type="button" class="points-legend-all" onClick={() => set([])}>
          Show all
        </button>
      ) : null}
    </>
  );
}

const STOPS = Array.from({ length: 12 }, (_, i) => i / 11);

function Ramp({ low, high, filter, onFilter }: LegendProps & { low: number; high: number }) {
  const step = (high - low) / 200 || 1;
  const bound = (end: "low" | "high", title: string) => (
    <label class="points-legend-bound">
      <span>{title}</span>
      <input
        type="range"
        aria-label={`${title} amount shown`}
        min={low}
        max={high}
        step={step}
        value={filter[end] ?? (end === "low" ? low : high)}
        onChange={(event) => {
          const value = Number(event.currentTarget.value);
          const open = end === "low" ? value <= low + step / 2 : value >= high - step / 2;
          onFilter({ ...filter, [end]: open ? null : value });
        }}
      />
      <span class="number">{filter[end] === null ? "all" : short(filter[end])}</span>
    </label>
  );
  return (
    <>
      <svg class="points-legend-ramp" viewBox="0 0 120 10" preserveAspectRatio="none" aria-hidden="true">
        {STOPS.map((stop, i) => (
          <rect key={stop} x={i * 10} y={0} width={10.3} height={10} fill={amountColour(stop, dark.value)} />
        ))}
      </svg>
      <div class="points-legend-ends number">
        <span>{short(low)}</span>
        <span>{short(high)}</span>
      </div>
      {bound("low", "from")}
      {bound("high", "to")}
    </>
  );
}

/** Format a number with three digits. */
export function short(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 100_000)) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}
