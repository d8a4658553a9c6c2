import "./view.css";
import type { LegendProps } from "./api";

/** Dots and words. */
export function Legend({ label, entries, hidden = [], onToggle }: LegendProps) {
  return (
    <ul class="legend" aria-label={label}>
      {entries.map((one) => {
        const off = hidden.includes(one.key);
        const words = (
          <>
            <span class="legend-dot" style={{ background: one.colour }} aria-hidden="true" />
            <span>{one.title}</span>
            {one.count === undefined ? null : <span class="muted">{one.count}</span>}
          </>
        );
        return (
          <li key={one.key}>
            {onToggle ? (
              <span
                class="legend-switch"
                role="button"
                tabIndex={0}
                aria-pressed={!off}
                data-off={off}
                onClick={() => onToggle(one.key)}
                onKeyDown={(event) => {
                  if (event.key !== "Enter" && event.key !== " ") return;
                  event.preventDefault();
                  onToggle(one.key);
                }}
              >
                {words}
              </span>
            ) : (
              words
            )}
          </li>
        );
      })}
    </ul>
  );
}
