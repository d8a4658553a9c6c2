import "./view.css";
import { useEffect, useRef, useState } from "preact/hooks";
import type { CheckProps, ManyProps, NumberProps, SelectProps } from "./api";

/** Most lines of a list; the filter finds the rest. */
const MOST = 200;

/** A labelled select box. */
export function Select<T extends string>({ label, value, options, onChange }: SelectProps<T>) {
  return (
    <label class="control" data-help={options.find((item) => item.value === value)?.help}>
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map((item) => (
          <option key={item.value} value={item.value} title={item.help}>
            {item.title}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A labelled field for a whole number, which is moved into its bounds. */
export function NumberField({ label, value, low, high, step, onChange }: NumberProps) {
  return (
    <label class="control">
      <span>{label}</span>
      <input
        type="number"
        min={low}
        max={high}
        step={step ?? 1}
        value={value}
        onChange={(event) => {
          const typed = Math.round(Number(event.currentTarget.value));
          if (Number.isFinite(typed)) onChange(Math.min(high, Math.max(low, typed)));
        }}
      />
    </label>
  );
}

/** A labelled checkbox. */
export function Check({ label, value, help, onChange }: CheckProps) {
  return (
    <label class="control" data-help={help}>
      <input
        type="checkbox"
        checked={value}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>{label}</span>
    </label>
  );
}

/** A list of checkboxes that opens on click; long lists have a filter. */
export function Many({ label, values, options, onChange, none = "all" }: ManyProps) {
  const details = useRef<HTMLDetailsElement>(null);
  const [filter, setFilter] = useState("");
  useEffect(() => closeOnLeaving(details), []);
  const summary =
    values.length === 0 ? none : values.length === 1 ? values[0] : `${values.length} chosen`;
  const words = filter.toLowerCase();
  const matching = options.filter((option) => option.title.toLowerCase().includes(words));
  const shown = matching.slice(0, MOST);
  const toggle = (value: string) =>
    onChange(values.includes(value) ? values.filter((item) => item !== value) : [...values, value]);
  return (
    <details class="control many" ref={details} onToggle={(event) => keepInside(event.currentTarget)}>
      <summary>
        <span>{label}</span> <span class="many-value">{summary}</span>
      </summary>
      <div class="many-list">
        <div class="many-head">
          {options.length > 12 ? (
            <input
              type="search"
              placeholder="Filter"
              aria-label={`Filter ${label}`}
              value={filter}
              onInput={(event) => setFilter(event.currentTarget.value)}
            />
          ) : null}
          <button type="button" disabled={values.length === 0} onClick={() => onChange([])}>
            Clear
          </button>
        </div>
        {shown.map((item) => (
          <label key={item.value}>
            <input
              type="checkbox"
              checked={values.includes(item.value)}
              onChange={() => toggle(item.value)}
            />
            <span>{item.title}</span>
            {item.count === undefined ? null : <span class="muted">{item.count}</span>}
          </label>
        ))}
        {matching.length > MOST ? (
          <p class="muted">{matching.length - MOST} more; use the filter to find them.</p>
        ) : null}
      </div>
    </details>
  );
}

/** Move an open list to the left if it would leave the window. */
export function keepInside(details: HTMLDetailsElement): void {
  const list = details.querySelector<HTMLElement>(".many-list");
  if (!list) return;
  list.style.left = "";
  if (!details.open) return;
  const { left, right } = list.getBoundingClientRect();
  const over = Math.min(right + 8 - document.documentElement.clientWidth, left - 8);
  if (over > 0) list.style.left = `${-over}px`;
}

/** Close an open list on Escape or a click outside; return a function that stops that. */
export function closeOnLeaving(details: { current: HTMLDetailsElement | null }): () => void {
  const onPointer = (event: Event) => {
    const element = details.current;
    if (element?.open && !element.contains(event.target as Node)) element.open = false;
  };
  const onKey = (event: KeyboardEvent) => {
    const element = details.current;
    if (event.key !== "Escape" || !element?.open) return;
    element.open = false;
    element.querySelector("summary")?.focus();
  };
  document.addEventListener("pointerdown", onPointer);
  document.addEventListener("keydown", onKey);
  return () => {
    document.removeEventListener("pointerdown", onPointer);
    document.removeEventListener("keydown", onKey);
  };
}
