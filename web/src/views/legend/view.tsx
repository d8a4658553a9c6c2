import "./view.css";
import type { LegendProps } from "./api";

/** A legend. */
export function Legend({ label, entries, hidden = [], onToggle }: LegendProps) {
  return (
    <ul class="legend" aria-label={label}>
      {entries.map((entry) => {
        const off = hidden.includes(entry.key);
        const words = (
          <>
            <span class="legend-dot" style={{ background: entry.colour }} aria-hidden="true" />
            <span>{entry.title}</span>
            {entry.count === undefined ? null : <span class="muted">{entry.count}</span>}
          </>
        );
        return (
          <li key={entry.key}>
            {onToggle ? (
              <span
                class="legend-switch"
                role="button"
                tabIndex={0}
                aria-pressed={!off}
                data-off={off}
                onClick={() => onToggle(entry.key)}
                onKeyDown={(event) => {
                  if (event.key !== "Enter" && event.key !== " ") return;
                  event.preventDefault();
                  onToggle(entry.key);
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
