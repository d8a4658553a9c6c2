import { useEffect, useRef, useState } from "preact/hooks";
import { composed } from "../../data/composed";
import { triangleIndex, weightAt, type Pattern } from "../../data/patterns";
import { summarise } from "../../data/summary";
import { choice, type Codec } from "../../state/codecs";
import { scale, sink } from "../../state/params";
import { param } from "../../state/url";
import { Select } from "../../views/controls/view";
import { csv } from "../../views/export-menu/csv";
import { ExportMenu } from "../../views/export-menu/view";
import { brightness } from "../../views/pattern-canvas/colour-map";
import { PatternLens } from "../../views/pattern-lens/view";
import type { Cell } from "../../views/pattern-matrix/api";
import { PatternMatrix } from "../../views/pattern-matrix/view";
import { PatternStyleControls } from "../../views/pattern-style/view";
import { tokenLabel, TokenText } from "../../views/token-text/view";

const cellCodec: Codec<Cell | null> = {
  read: (text) => {
    const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
    if (!match) return text === "" ? null : undefined;
    const [query, key] = [Number(match[1]), Number(match[2])];
    return key <= query ? { query, key } : undefined;
  },
  write: (cell) => (cell ? `${cell.query}-${cell.key}` : ""),
};
/** The locked cell, `query-key`. */
const cell = param("cell", cellCodec, null);
/** Shading of the tokens: weights of the query, or weights on the key. */
const shade = param("shade", choice("query", "key"), "query");

interface Props {
  pattern: Pattern;
  tokens: readonly string[];
  bos: boolean;
  name: string;
  promptId: string;
}

/** Matrix, description, tokens and enlarged part, all of one cell. */
export function Inspect({ pattern, tokens, bos, name, promptId }: Props) {
  const [hovered, setHovered] = useState<Cell | null>(null);
  const picture = useRef<HTMLDivElement>(null);
  const size = useSide(picture);
  const { n } = pattern;
  const locked = cell.value && cell.value.query < n ? cell.value : null;
  const active = locked ?? hovered;
  const token = (place: number) => (bos && place === 0 ? "BOS" : tokenLabel(tokens[place] ?? ""));
  const readout = active ? describe(pattern, active, token) : "Hover over a cell, or click it to lock it; arrow keys move the lock.";
  return (
    <section class="pattern-inspect" ref={picture}>
      <div class="toolbar pattern-bar" data-export="no">
        <PatternStyleControls />
        <Select
          label="Tokens show"
          value={shade.value}
          options={[
            { value: "query", title: "weights of the query" },
            { value: "key", title: "weights on the key" },
          ]}
          onChange={shade.set}
        />
        <ExportMenu
          target={() => picture.current}
          name={`${name}-${promptId}`}
          data={[{ title: "CSV", extension: "csv", type: "text/csv", make: () => table(pattern, tokens) }]}
        />
      </div>
      <div class="pattern-columns">
        <div class="pattern-left">
          <PatternMatrix
            pattern={pattern}
            size={size}
            locked={locked}
            active={active}
            describe={readout}
            label={composed`Attention of ${name}, ${n} tokens`}
            onHover={setHovered}
            onLock={(item) => cell.set(item && locked && same(item, locked) ? null : item)}
            onMove={(item) => cell.replace(item)}
          />
          <div class="pattern-axes muted">rows: queries · columns: keys</div>
        </div>
        <div class="pattern-right">
          <p class="pattern-readout">{readout}</p>
          <TokenText
            tokens={tokens}
            shades={shadesOf(pattern, active)}
            query={active?.query ?? null}
            keyToken={active?.key ?? null}
            bos={bos}
            follow={locked?.query ?? null}
            onHover={(place) => setHovered(place === null ? null : strongest(pattern, place))}
            onKeyToken={(place) => cell.set({ query: Math.max(place, active?.query ?? n - 1), key: place })}
            onQueryToken={(place) => cell.set({ query: place, key: Math.min(place, active?.key ?? 0) })}
          />
          <Words pattern={pattern} />
          {active ? <PatternLens pattern={pattern} at={active} token={token} /> : null}
        </div>
      </div>
    </section>
  );
}

function same(a: Cell, b: Cell): boolean {
  return a.query === b.query && a.key === b.key;
}

/** Return the key with the largest weight; the first token is skipped where it is hidden. */
function strongest(pattern: Pattern, query: number): Cell {
  let best = query === 0 ? 0 : sink.value === "hidden" ? 1 : 0;
  for (let key = best; key <= query; key++) {
    if (weightAt(pattern, query, key) > weightAt(pattern, query, best)) best = key;
  }
  return { query, key: best };
}

/** Return the shade of every token by the active row or column. */
function shadesOf(pattern: Pattern, active: Cell | null): Float32Array {
  const shades = new Float32Array(pattern.n);
  if (!active) return shades;
  for (let token = 0; token < pattern.n; token++) {
    const [query, key] = shade.value === "query" ? [active.query, token] : [token, active.key];
    if (key > query || (sink.value === "hidden" && key === 0)) continue;
    shades[token] = brightness(pattern.triangle[triangleIndex(query, key)] ?? 0, scale.value);
  }
  return shades;
}

function percent(weight: number): string {
  return `${(100 * weight).toFixed(weight < 0.1 ? 2 : 1)} %`;
}

function describe(pattern: Pattern, at: Cell, token: (place: number) => string): string {
  const weight = weightAt(pattern, at.query, at.key);
  let larger = 0;
  for (let key = 0; key <= at.query; key++) if (weightAt(pattern, at.query, key) > weight) larger++;
  const back = at.query - at.key;
  const distance = back === 0 ? "itself" : `${back} back`;
  return composed`Query ${at.query} ‘${token(at.query)}’ attends with ${percent(weight)} to key ${at.key} ‘${token(at.key)}’ (${distance}), its ${larger === 0 ? "" : `${ordinal(larger + 1)} `}largest of ${at.query + 1}.`;
}

function ordinal(n: number): string {
  const tail = n % 100 > 10 && n % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${tail}`;
}

/** A summary of the pattern in words. */
function Words({ pattern }: { pattern: Pattern }) {
  const all = summarise(pattern);
  if (!Number.isFinite(all.first)) return null;
  const share = (value: number) => `${(100 * value).toFixed(0)} %`;
  return (
    <p class="pattern-words">
      On average, a query attends with {share(all.first)} to the first token, {share(all.self)} to itself,{" "}
      {share(all.previous)} to the token before, {share(all.near)} to tokens 2 to 8 back, and {share(all.far)} to tokens
      farther back. {Number.isFinite(all.reach) ? `Without the first token, the mean distance is ${all.reach.toFixed(1)} tokens. ` : ""}
      The mean entropy of a row is {all.entropy.toFixed(1)} bits.
    </p>
  );
}

/** Return all weights whose byte is not 0, as CSV. */
function table(pattern: Pattern, tokens: readonly string[]): string {
  const rows: (string | number)[][] = [];
  for (let query = 0; query < pattern.n; query++) {
    for (let key = 0; key <= query; key++) {
      const weight = weightAt(pattern, query, key);
      if (weight > 0) rows.push([query, key, tokens[query] ?? "", tokens[key] ?? "", Number(weight.toPrecision(4))]);
    }
  }
  return csv(["query", "key", "query token", "key token", "weight"], rows);
}

/** Side of the matrix: the free space of the page, at most 560 pixels. */
function useSide(place: { current: HTMLElement | null }): number {
  const [side, setSide] = useState(480);
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const fit = () => setSide(Math.max(240, Math.min(560, element.clientWidth - 4, window.innerHeight - 120)));
    const observer = new ResizeObserver(fit);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return side;
}
