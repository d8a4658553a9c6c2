import { useEffect, useRef, useState } from "preact/hooks";
import type { GroupedProps } from "./api";
import { closeOnLeaving, keepInside } from "./view";

/** Most options listed; the search finds the rest. */
const MOST = 300;

/** One choice among many options in groups. A search field finds an option; Enter takes the first. */
export function Grouped({ label, value, options, onChange }: GroupedProps) {
  const details = useRef<HTMLDetailsElement>(null);
  const [search, setSearch] = useState("");
  useEffect(() => closeOnLeaving(details), []);
  const matching = matches(options, search);
  const shown = matching.slice(0, MOST);
  const choose = (next: string) => {
    setSearch("");
    if (details.current) details.current.open = false;
    details.current?.querySelector("summary")?.focus();
    onChange(next);
  };
  const onKey = (event: KeyboardEvent) => {
    const fields = [...(details.current?.querySelectorAll<HTMLElement>("input, .grouped-option") ?? [])];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      fields[Math.max(0, fields.indexOf(document.activeElement as HTMLElement) + step)]?.focus();
    } else if (event.key === "Enter" && event.target instanceof HTMLInputElement && shown[0]) {
      event.preventDefault();
      choose(shown[0].value);
    }
  };
  return (
    <details
      class="control many grouped"
      ref={details}
      onToggle={(event) => {
        keepInside(event.currentTarget);
        if (event.currentTarget.open) event.currentTarget.querySelector<HTMLElement>("input")?.focus();
      }}
    >
      <summary>
        <span>{label}</span>{" "}
        <span class="many-value">{options.find((item) => item.value === value)?.title ?? value}</span>
      </summary>
      <div class="many-list" onKeyDown={onKey}>
        <div class="many-head">
          <input
            type="search"
            placeholder={`Search ${options.length.toLocaleString("en")} options`}
            aria-label={`Search ${label}`}
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        </div>
        {[...new Set(shown.map((item) => item.group))].map((group) => (
          <div key={group} role="group" aria-label={group}>
            <div class="grouped-title">{group}</div>
            {shown
              .filter((item) => item.group === group)
              .map((item) => (
                <button
                  key={item.value}
                  type="button"
                  class="grouped-option"
                  aria-pressed={item.value === value}
                  onClick={() => choose(item.value)}
                >
                  {item.title}
                </button>
              ))}
          </div>
        ))}
        {shown.length === 0 ? <p class="muted">No option matches “{search}”.</p> : null}
        {matching.length > MOST ? <p class="muted">{matching.length - MOST} more; use the search.</p> : null}
      </div>
    </details>
  );
}

/** Return the options whose title or group contains every word of a search. */
export function matches(options: GroupedProps["options"], search: string): GroupedProps["options"] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return options.filter(({ title, group }) => {
    const text = `${group} ${title}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
