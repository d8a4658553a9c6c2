import "./view.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { composed } from "../../data/composed";
import { weightOf, type Pattern } from "../../data/patterns";
import { summarise } from "../../data/summary";
import { choice, type Codec } from "../../state/codecs";
import { map, scale, sink } from "../../state/params";
import { param } from "../../state/url";
import { Select } from "../controls/view";
import { ExportMenu } from "../export-menu/view";
import { frame } from "../pattern-canvas/frame";
import { PatternLens } from "../pattern-lens/view";
import type { Cell } from "../pattern-matrix/api";
import { PatternMatrix } from "../pattern-matrix/view";
import { PatternStyleControls } from "../pattern-style/view";
import { TOKEN_ROOM, TokenAxes } from "../token-axes/view";
import { tokenLabel, TokenText } from "../token-text/view";
import { WeightBar } from "../weight-bar/view";
import type { PatternInspectProps } from "./api";
import { brightestByte, describe, shadesOf, strongest, weightTable } from "./reading";

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
export const lockedCell = param("cell", cellCodec, null);
/** Shading of the tokens: weights of the query, or weights on the key. */
const shade = param("shade", choice("query", "key"), "query");

/** Matrix, description, tokens and enlarged part, all of one cell. */
export function PatternInspect(props: PatternInspectProps) {
  const { pattern, tokens, bos, name, prompt, file, cursor, rest = 120, block = 1 } = props;
  const picture = useRef<HTMLDivElement>(null);
  const size = useSide(picture, rest);
  const { n } = pattern;
  const locked = lockedCell.value && lockedCell.value.query < n ? lockedCell.value : null;
  const hovered = cursor.value && cursor.value.query < n ? cursor.value : null;
  const active = locked ?? hovered;
  const token = (place: number) => (bos && place === 0 ? "BOS" : tokenLabel(tokens[place] ?? ""));
  const readout = active ? describe(pattern, active, token, block) : "Hover over a cell, or click it to lock it; arrow keys move the lock.";
  const top = useMemo(() => brightestByte(pattern, sink.value), [pattern, sink.value]);
  const style = { scale: scale.value, map: map.value, sink: sink.value };
  const lock = (cell: Cell | null) => lockedCell.set(cell);
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
          name={file}
          data={[{ title: "CSV", extension: "csv", type: "text/csv", make: () => weightTable(pattern, tokens) }]}
        />
      </div>
      <p class="pattern-caption">
        <strong>{name}</strong> on <bdi>“{prompt}”</bdi>, {n} tokens
      </p>
      <p class="pattern-readout">{readout}</p>
      <div class="pattern-columns">
        <div class="pattern-left">
          <TokenAxes n={n} size={size} place={frame(size, sink.value)} token={token} active={active}>
            <PatternMatrix
              pattern={pattern}
              size={size}
              locked={locked}
              active={active}
              describe={readout}
              label={composed`Attention of ${name}, ${n} tokens`}
              onHover={(cell) => (cursor.value = cell)}
              onLock={(cell) => lock(cell && locked && same(cell, locked) ? null : cell)}
              onMove={(cell) => lockedCell.replace(cell)}
            />
          </TokenAxes>
          <WeightBar style={style} top={weightOf(top)} />
          <div class="pattern-axes muted">rows: queries · columns: keys</div>
        </div>
        <div class="pattern-right">
          <TokenText
            tokens={tokens}
            shades={shadesOf(pattern, active, shade.value, { ...style, top })}
            query={active?.query ?? null}
            keyToken={active?.key ?? null}
            bos={bos}
            follow={locked?.query ?? null}
            onHover={(place) => (cursor.value = place === null ? null : strongest(pattern, place, sink.value))}
            onKeyToken={(place) => lock({ query: Math.max(place, active?.query ?? n - 1), key: place })}
            onQueryToken={(place) => lock({ query: place, key: Math.min(place, active?.key ?? 0) })}
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

/** A summary of the pattern in words. */
function Words({ pattern }: { pattern: Pattern }) {
  const all = useMemo(() => summarise(pattern), [pattern]);
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

/** Side of the matrix: the free space of the page, at most 560 pixels. */
function useSide(place: { current: HTMLElement | null }, rest: number): number {
  const [side, setSide] = useState(480);
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const fit = () => setSide(Math.max(240, Math.min(560, element.clientWidth - TOKEN_ROOM - 4, window.innerHeight - rest)));
    const observer = new ResizeObserver(fit);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return side;
}
