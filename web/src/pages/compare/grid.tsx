import { useEffect, useRef, useState } from "preact/hooks";
import type { Manifest, Prompt } from "../../contract/generated";
import { composed } from "../../data/composed";
import { loadPattern } from "../../data/patterns";
import { only, frame, order, perRow } from "./params";
import { Select } from "../../views/controls/view";
import { ExportMenu } from "../../views/export-menu/view";
import { HeadLink } from "../../views/head-link/view";
import { Legend } from "../../views/legend/view";
import { PatternCell } from "../../views/pattern-cell/view";
import { themedCategory } from "../../views/palette/themed";
import { PatternStyleControls } from "../../views/pattern-style/view";
import { promptLine } from "../../views/prompt-label/view";
import { PatternWeightBar } from "../../views/weight-bar/view";
import { filtered, filterOf, frameColour, sorted, type Item, type Key } from "./items";

/** Patterns shown at first; a button shows as many more. */
const STEP = 600;
const GAP = 10;

interface Props {
  manifest: Manifest;
  prompts: readonly Prompt[];
  items: readonly Item[];
}

/** The patterns, with their controls above. */
export function Grid({ manifest, prompts, items }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const [most, setMost] = useState(STEP);
  const width = useWidth(place);
  const shown = sorted(filtered(items, only.value), order.value);
  const size = Math.max(16, Math.floor((width - GAP * (perRow.value - 1)) / perRow.value));
  const promptOrder = [...new Set(items.map((item) => item.prompt))];
  const deepest = Math.max(0, ...items.map((item) => item.layer));
  const colour = (item: Item) => frameColour(item, frame.value, promptOrder, deepest, themedCategory);
  return (
    <>
      <div class="toolbar compare-bar">
        <label class="control">
          <span>Patterns in a row</span>
          <input
            type="range"
            min={1}
            max={64}
            value={perRow.value}
            onInput={(event) => perRow.replace(Number(event.currentTarget.value))}
          />
          <output>{perRow.value}</output>
        </label>
        <Select
          label="Sort by"
          value={order.value}
          options={[{ value: "head" as const, title: "model, layer, head" }, ...KEYS]}
          onChange={order.set}
        />
        <Select
          label="Frame"
          value={frame.value}
          options={[{ value: "none" as const, title: "none" }, ...KEYS]}
          onChange={frame.set}
        />
        <PatternStyleControls />
        <ExportMenu target={() => place.current} name="compare" />
      </div>
      <Filters prompts={prompts} />
      <div ref={place} class="compare-picture">
        {frame.value === "none" ? null : (
          <Legend label={`Frames by ${frame.value}`} entries={legend(shown, frame.value, colour, prompts)} />
        )}
        <div class="compare-grid" style={{ gap: `${GAP}px` }}>
          {shown.slice(0, most).map((item) => (
            <figure key={`${item.row} ${item.prompt}`} style={{ width: `${size}px` }}>
              <PatternCell
                head={item.head}
                row={item.row}
                prompt={item.prompt}
                promptId={item.promptId}
                size={size}
                load={(row, prompt) => loadPattern(manifest, row, prompt)}
                {...border(colour(item))}
              />
              {size >= 90 ? <Caption item={item} prompts={prompts} /> : null}
            </figure>
          ))}
        </div>
        <PatternWeightBar />
      </div>
      {shown.length > most ? (
        <button type="button" onClick={() => setMost(most + STEP)}>
          Show {Math.min(STEP, shown.length - most)} more of {shown.length}
        </button>
      ) : null}
    </>
  );
}

const KEYS = [
  { value: "model", title: "model" },
  { value: "layer", title: "layer" },
  { value: "index", title: "head" },
  { value: "prompt", title: "prompt" },
] as const;

function border(colour: string | undefined): { border?: string } {
  return colour === undefined ? {} : { border: colour };
}

/** Model, layer, head and prompt; a click on one keeps only the patterns that share it. */
function Caption({ item, prompts }: { item: Item; prompts: readonly Prompt[] }) {
  const parts: [Key, string][] = [
    ["model", item.model],
    ["layer", `L${item.layer}`],
    ["index", `H${item.index}`],
    ["prompt", promptLine(prompts[item.prompt]?.text ?? "", 28)],
  ];
  return (
    <figcaption>
      {parts.map(([key, title]) => (
        <a
          key={key}
          class="compare-part"
          href="#"
          role="button"
          title={`Only this ${key === "index" ? "head number" : key}`}
          onClick={(event) => {
            event.preventDefault();
            only.set([...new Set([...only.value, filterOf(item, key)])]);
          }}
        >
          <bdi>{title}</bdi>
        </a>
      ))}
      <span data-export="no">
        <HeadLink head={item.head} short />
      </span>
    </figcaption>
  );
}

/** Filters that were set by captions, each with a button that removes it. */
function Filters({ prompts }: { prompts: readonly Prompt[] }) {
  if (only.value.length === 0) return null;
  const title = (rule: string) => {
    const id = rule.startsWith("prompt:") ? rule.slice(7) : null;
    const prompt = id === null ? undefined : prompts.find((known) => known.id.startsWith(id));
    return prompt ? composed`prompt: ${promptLine(prompt.text, 40)}` : rule.replace("index:", "head:");
  };
  return (
    <div class="toolbar compare-filters" role="group" aria-label="Filters">
      <span class="muted">Only</span>
      {only.value.map((filter) => (
        <button
          key={filter}
          type="button"
          aria-label={composed`Remove ${title(filter)}`}
          onClick={() => only.set(only.value.filter((other) => other !== filter))}
        >
          {title(filter)} ×
        </button>
      ))}
    </div>
  );
}

function legend(
  items: readonly Item[],
  by: Key,
  colour: (item: Item) => string | undefined,
  prompts: readonly Prompt[],
) {
  const entries = new Map<string, { key: string; title: string; colour: string; count: number }>();
  for (const item of items) {
    const key = filterOf(item, by);
    const known = entries.get(key);
    if (known) known.count += 1;
    else {
      const title =
        by === "prompt" ? promptLine(prompts[item.prompt]?.text ?? "", 40) : by === "layer" ? `L${item.layer}` : by === "index" ? `H${item.index}` : item.model;
      entries.set(key, { key, title, colour: colour(item) ?? "transparent", count: 1 });
    }
  }
  return [...entries.values()];
}

function useWidth(place: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(900);
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}
