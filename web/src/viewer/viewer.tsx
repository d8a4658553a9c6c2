import { useComputed, useSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { View } from "../contract/viewer";
import { composed } from "../data/composed";
import { weightAt } from "../data/patterns";
import { headPattern, layerPatterns, noteOf, viewHeadName } from "../data/view";
import type { Codec } from "../state/codecs";
import { integer } from "../state/codecs";
import { map, scale, sink } from "../state/params";
import { useResource } from "../state/resource";
import { param } from "../state/url";
import { useWidth } from "../state/width";
import { Select } from "../views/controls/view";
import { ExportMenu } from "../views/export-menu/view";
import type { GridHover } from "../views/pattern-grid/api";
import { GAP } from "../views/pattern-grid/draw";
import { PatternGrid } from "../views/pattern-grid/view";
import { percent } from "../views/pattern-inspect/reading";
import { lockedCell, PatternInspect } from "../views/pattern-inspect/view";
import type { Cell } from "../views/pattern-matrix/api";
import { promptLine } from "../views/prompt-label/view";
import { Loaded } from "../views/states/view";
import { tokenLabel } from "../views/token-text/view";
import { WeightBar } from "../views/weight-bar/view";
import { useKeys } from "./keys";
import { Note } from "./note";

const headCodec: Codec<readonly [number, number] | null> = {
  read: (text) => {
    const match = /^L(\d{1,5}):H(\d{1,5})$/.exec(text);
    return match ? [Number(match[1]), Number(match[2])] : undefined;
  },
  write: (at) => (at ? `L${at[0]}:H${at[1]}` : ""),
};
/** The head that is shown large; null is the one that the data name. */
const chosen = param("chosen", headCodec, null);
/** Side of the small patterns in pixels; 0 fits them to the width. */
const small = param("small", integer(0, 512), 0);

/** Height besides the matrix, so that the text below it is seen at the same time. */
const REST = 500;
/** Share of the width that the map may take, and the limits of its patterns. */
const [SHARE, LEAST, LARGEST] = [0.46, 36, 120];

/** All heads as a map of small patterns, and one head with its tokens. */
export function Viewer({ view }: { view: View }) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const cursor = useSignal<Cell | null>(null);
  const active = useComputed(() => lockedCell.value ?? cursor.value);
  const [layer, head] = chosen.value ?? [view.layer, view.head];
  const pick = (toLayer: number, toHead: number) => chosen.set([toLayer, toHead]);
  const isOne = view.layers.length === 1 && view.layers[0]?.n_heads === 1;
  useKeys(view, [layer, head], pick);
  return (
    <div class="viewer" ref={ref} data-map={!isOne}>
      {isOne || width === 0 ? null : (
        <SmallPatterns view={view} width={width} selected={[layer, head]} onPick={pick} cursor={cursor} active={active} />
      )}
      <Large view={view} layer={layer} head={head} cursor={cursor} onPick={pick} />
    </div>
  );
}

interface SmallPatternsProps {
  view: View;
  width: number;
  selected: readonly [number, number];
  onPick: (layer: number, head: number) => void;
  cursor: Signal<Cell | null>;
  active: ReadonlySignal<Cell | null>;
}

function SmallPatterns({ view, width, selected, onPick, cursor, active }: SmallPatternsProps) {
  const picture = useRef<HTMLElement>(null);
  const hovered = useSignal<GridHover | null>(null);
  const most = Math.max(...view.layers.map((item) => item.n_heads));
  const room = width < 760 ? width - 60 : width * SHARE - 60;
  const fit = Math.min(LARGEST, Math.max(LEAST, Math.floor(room / most) - GAP));
  const size = small.value === 0 ? fit : small.value;
  const style = { scale: scale.value, map: map.value, sink: sink.value };
  const near = noteOf(view, ...selected)?.near.map((item) => item.head) ?? [];
  const name = (layer: number, head: number) => viewHeadName(view, layer, head);
  const describe = (layer: number, head: number) => {
    const note = noteOf(view, layer, head);
    return note?.verdict ? composed`${name(layer, head)}: ${note.verdict}` : name(layer, head);
  };
  return (
    <section class="viewer-map" ref={picture} aria-label="All heads">
      <p class="viewer-title">
        <strong>{view.model || "Attention"}</strong> on <bdi>“{promptLine(view.prompt, 90)}”</bdi>
      </p>
      <div class="toolbar" data-export="no">
        <Select
          label="Small patterns"
          value={String(small.value)}
          options={[
            { value: "0", title: "fit" },
            ...["48", "96", "160", "256"].map((value) => ({ value, title: `${value} px` })),
          ]}
          onChange={(value) => small.set(Number(value))}
        />
        <ExportMenu target={() => picture.current} name={`${view.model || "attention"}-map`} />
      </div>
      <Readout view={view} hovered={hovered} />
      <PatternGrid
        label={composed`Heads of ${view.model || "the model"}`}
        rows={view.layers.map((item) => ({ layer: item.layer, nHeads: item.n_heads }))}
        n={view.n_tokens}
        size={size}
        style={style}
        load={(layer) => layerPatterns(view, view.layers.find((item) => item.layer === layer) as View["layers"][number])}
        active={active}
        selected={selected}
        marked={(layer, head) => near.includes(name(layer, head))}
        describe={describe}
        onPick={onPick}
        onHover={(at) => {
          hovered.value = at;
          cursor.value = at?.cell ?? null;
        }}
      />
      <WeightBar style={style} top={1} {...(style.sink === "shown" ? {} : { topText: "strong weights of the head" })} />
    </section>
  );
}

/** What the pointer is on, in one line of a fixed height. */
function Readout({ view, hovered }: { view: View; hovered: ReadonlySignal<GridHover | null> }) {
  const at = hovered.value;
  const token = (place: number) => (view.bos && place === 0 ? "BOS" : tokenLabel(view.tokens[place] ?? "", 10));
  const name = at ? viewHeadName({ model: "" }, at.layer, at.head) : "";
  const text = !at
    ? "Hover over a pattern; click it, or press the arrow keys, to see it large."
    : at.cell
      ? composed`${name}: ${percent(weightIn(at, view.n_tokens))} from ${at.cell.query} ‘${token(at.cell.query)}’ to ${at.cell.key} ‘${token(at.cell.key)}’`
      : name;
  return (
    <p class="viewer-readout muted" data-export="no">
      {text}
    </p>
  );
}

/** Return the weight of a cell in a pattern that may be stored in blocks. */
function weightIn({ pattern, cell }: GridHover, n: number): number {
  if (!cell) return 0;
  const block = (token: number) => Math.floor((token * pattern.n) / n);
  return weightAt(pattern, block(cell.query), block(cell.key));
}

interface LargeProps {
  view: View;
  layer: number;
  head: number;
  cursor: Signal<Cell | null>;
  onPick: (layer: number, head: number) => void;
}

/** One head: what the atlas says about it, its pattern and the text. */
function Large({ view, layer, head, cursor, onPick }: LargeProps) {
  const loaded = useResource(() => headPattern(view, layer, head), [layer, head], { keep: true });
  const name = viewHeadName(view, layer, head);
  useEffect(() => {
    document.title = `${name}, attention`;
  }, [name]);
  return (
    <main class="viewer-head">
      <h1>{name}</h1>
      <Note view={view} note={noteOf(view, layer, head)} onPick={onPick} />
      <Loaded resource={loaded} what="the pattern" height={400}>
        {({ pattern, block }) => (
          <>
            {block > 1 ? (
              <p class="muted">
                Stored in blocks of {block} × {block} tokens to keep this page small: each shows the largest weight of
                its block. Call the viewer with <code>head={`"L${layer}:H${head}"`}</code> to store this head in full.
              </p>
            ) : null}
            <PatternInspect
              pattern={pattern}
              tokens={view.tokens}
              bos={view.bos}
              name={name}
              prompt={promptLine(view.prompt, 90)}
              file={name}
              cursor={cursor}
              rest={REST}
              block={block}
            />
          </>
        )}
      </Loaded>
      <p class="muted viewer-keys">
        Keys: arrows in the map choose a head, in the pattern they move the cell; <kbd>n</kbd> and <kbd>p</kbd> next and
        previous head, <kbd>s</kbd> scale, <kbd>t</kbd> first token, <kbd>Esc</kbd> unlock.
      </p>
    </main>
  );
}
