import type { BarsProps } from "./api";
import { figure } from "./scale";

/** Bars from 0, one per row, with names and numbers as text. */
export function Bars({ bars, label, most, format = figure }: BarsProps) {
  const top = most ?? Math.max(0, ...bars.map((bar) => bar.value).filter(Number.isFinite));
  return (
    <ol class="chart-bars" aria-label={label}>
      {bars.map((bar) => (
        <li key={bar.title}>
          {bar.href ? <a href={bar.href}>{bar.title}</a> : <span>{bar.title}</span>}
          <span class="chart-bars-track" aria-hidden="true">
            <span style={{ width: `${top > 0 ? Math.min(100, Math.max(0, (100 * bar.value) / top)) : 0}%` }} />
          </span>
          <span class="number">{format(bar.value)}</span>
        </li>
      ))}
    </ol>
  );
}
