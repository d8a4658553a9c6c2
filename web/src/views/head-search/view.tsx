import "./view.css";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { go } from "../../state/url";
import { useResource } from "../../state/resource";
import { HeadPicture } from "../head-picture/view";
import type { HeadSearchProps, SearchData } from "./api";
import { ranked, suggest, suggestPlaces } from "./suggest";

/** Side of the picture of a match in pixels. */
const SIZE = 26;

/** A combobox. Arrow keys choose, Enter picks the best match or the chosen one, Escape closes. */
export function HeadSearch(props: HeadSearchProps) {
  const { manifest, data, label, placeholder, initial, focus, shortcut, onType, onPick } = props;
  const [text, setText] = useState(initial ?? "");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focus) input.current?.focus();
  }, []);
  useEffect(() => {
    if (shortcut === undefined) return undefined;
    const onKey = (event: KeyboardEvent) => {
      const isTyping = (event.target as Element | null)?.closest?.("input, textarea, select, [contenteditable]");
      if (event.key !== shortcut || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [shortcut]);
  const pick = (open: () => void) => () => {
    setOpen(false);
    setText("");
    open();
  };
  const heads = open ? suggest(manifest, data, text) : [];
  const places = open ? suggestPlaces(data?.places ?? [], text) : [];
  const suggestions = ranked(heads, places, text).map((item) =>
    "head" in item
      ? { key: String(item.row), title: item.head, note: item.reason || item.label, value: "", rows: [item.row], pick: pick(() => onPick(item.head)) }
      : { key: `${item.note} ${item.title}`, title: item.title, note: item.note, value: item.value ?? "", rows: item.rows ?? [], pick: pick(() => go(item.href())) },
  );
  const chosen = Math.min(active, suggestions.length - 1);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") setOpen(false);
    else if (event.key === "Enter") {
      suggestions[chosen]?.pick();
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
          onType?.();
          setText(event.currentTarget.value);
          setActive(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      <ul id={`${id}-list`} role="listbox" aria-label="Matches" hidden={suggestions.length === 0}>
        {suggestions.map((suggestion, place) => (
          <li
            key={suggestion.key}
            id={`${id}-${place}`}
            role="option"
            aria-selected={place === chosen}
            // Not on click: the field loses the focus before it, which closes the list.
            onPointerDown={(event) => {
              event.preventDefault();
              suggestion.pick();
            }}
          >
            <span class="head-search-title">{suggestion.title}</span>
            <span class="muted">{[suggestion.note, suggestion.value].filter(Boolean).join(" · ")}</span>
            {data?.picture ? <Thumbnail rows={suggestion.rows} load={data.picture} /> : null}
          </li>
        ))}
      </ul>
      {open && text.trim() !== "" && suggestions.length === 0 ? (
        <div class="head-search-none" role="status">
          Nothing in this atlas matches. Write a head as <code>model:L5:H3</code> or <code>5.3</code>.
        </div>
      ) : null}
    </div>
  );
}

/** The mean pattern of the heads of a match; an empty place without heads. */
function Thumbnail({ rows, load }: { rows: readonly number[]; load: NonNullable<SearchData["picture"]> }) {
  const loaded = useResource(async () => (rows.length === 0 ? null : load(rows)), [rows.join()], { keep: true });
  return (
    <span aria-hidden="true">
      <HeadPicture picture={loaded.value ?? null} size={SIZE} label="Mean pattern" />
    </span>
  );
}
