import "./view.css";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { HeadSearchProps } from "./api";
import { suggest } from "./suggest";

/** A combobox. Arrow keys choose, Enter picks, Escape closes. */
export function HeadSearch(props: HeadSearchProps) {
  const { manifest, data, label, placeholder, initial, focus, onFocus, onPick } = props;
  const [text, setText] = useState(initial ?? "");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focus) input.current?.focus();
  }, []);
  const suggestions = open ? suggest(manifest, data, text) : [];
  const chosen = Math.min(active, suggestions.length - 1);
  const pick = (head: string) => {
    setOpen(false);
    setText("");
    onPick(head);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") setOpen(false);
    else if (event.key === "Enter") {
      const suggestion = suggestions[chosen];
      if (suggestion) pick(suggestion.head);
      event.preventDefault();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (suggestions.length > 0) setActive((chosen + step + suggestions.length) % suggestions.length);
    }
  };
  return (
    <div class="head-search">
      <input
        ref={input}
        type="search"
        role="combobox"
        list={undefined}
        aria-label={label}
        aria-expanded={open && suggestions.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={suggestions[chosen] ? `${id}-${chosen}` : undefined}
        autocomplete="off"
        spellcheck={false}
        placeholder={placeholder ?? label}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setActive(0);
          setOpen(true);
        }}
        onFocus={() => {
          onFocus?.();
          setOpen(true);
        }}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      <ul id={`${id}-list`} role="listbox" aria-label="Heads" hidden={suggestions.length === 0}>
        {suggestions.map((suggestion, place) => (
          <li
            key={suggestion.row}
            id={`${id}-${place}`}
            role="option"
            aria-selected={place === chosen}
            // Not on click: the field loses the focus before it, which closes the list.
            onPointerDown={(event) => {
              event.preventDefault();
              pick(suggestion.head);
            }}
          >
            <span>{suggestion.head}</span>
            <span class="muted">{suggestion.reason || suggestion.label}</span>
          </li>
        ))}
      </ul>
      {open && text.trim() !== "" && suggestions.length === 0 ? (
        <div class="head-search-none" role="status">
          No head of this atlas matches. Write a head as <code>model:L5:H3</code>.
        </div>
      ) : null}
    </div>
  );
}
