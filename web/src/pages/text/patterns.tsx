import { useComputed, useSignal } from "@preact/signals";
import { composed } from "../../data/composed";
import type { LiveText } from "../../data/live";
import { map, scale, sink } from "../../state/params";
import { useWidth } from "../../state/width";
import { HeadLink } from "../../views/head-link/view";
import { GAP } from "../../views/pattern-grid/draw";
import { PatternGrid } from "../../views/pattern-grid/view";
import { lockedCell, PatternInspect } from "../../views/pattern-inspect/view";
import type { Cell } from "../../views/pattern-matrix/api";
import { promptLine } from "../../views/prompt-label/view";
import { patternsOf, readingsOf, type TextRow } from "./rows";
import { shown, type Answered } from "./state";

/** Heads of the first rows that the map frames. */
const N_MARKED = 10;
/** Limits of the side of a small pattern, in pixels. */
const [LEAST, LARGEST] = [28, 72];

interface Props {
  answer: Answered;
  rows: readonly TextRow[];
  chosen: TextRow;
}

/** The chosen head on each text, and the map of all heads of its model. */
export function Patterns({ answer, rows, chosen }: Props) {
  const cursor = useSignal<Cell | null>(null);
  const readings = readingsOf(answer.result, chosen.model);
  return (
    <>
      <h2>
        <HeadLink head={chosen.head} /> {chosen.known ? <span class="muted">{chosen.known}</span> : null}
      </h2>
      <div class="text-patterns">
        {readings.map((reading) => {
          const pattern = patternsOf(reading, chosen.layer)[chosen.index];
          return pattern ? (
            <PatternInspect
              key={reading.text}
              pattern={pattern}
              tokens={reading.tokens}
              bos={reading.bos}
              name={chosen.head}
              prompt={promptLine(answer.texts[reading.text] ?? "", 90)}
              file={`${chosen.head}-text-${reading.text + 1}`}
              cursor={cursor}
            />
          ) : null;
        })}
      </div>
      <h2>All heads of {chosen.model}</h2>
      <p class="muted">The first {N_MARKED} heads of the table are framed. Click one to see it above.</p>
      {readings.map((reading) => (
        <Grid key={`${answer.turn} ${reading.model} ${reading.text}`} reading={reading} rows={rows} chosen={chosen} cursor={cursor} />
      ))}
    </>
  );
}

function Grid({ reading, rows, chosen, cursor }: { reading: LiveText; rows: readonly TextRow[]; chosen: TextRow; cursor: { value: Cell | null } }) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const active = useComputed(() => lockedCell.value ?? cursor.value);
  const size = Math.min(LARGEST, Math.max(LEAST, Math.floor((width - 60) / reading.n_heads) - GAP));
  const name = (layer: number, index: number) => `${reading.model}:L${layer}:H${index}`;
  const byHead = new Map(rows.map((row) => [row.head, row]));
  const marked = new Set(rows.filter((row) => row.model === reading.model).slice(0, N_MARKED).map((row) => row.head));
  return (
    <div class="text-map" ref={ref}>
      {width === 0 ? null : (
        <PatternGrid
          label={composed`Heads of ${reading.model} on ${reading.text === 0 ? "your text" : "the other text"}`}
          rows={reading.layers.map((layer) => ({ layer, nHeads: reading.n_heads }))}
          n={reading.tokens.length}
          size={size}
          style={{ scale: scale.value, map: map.value, sink: sink.value }}
          load={async (layer) => patternsOf(reading, layer)}
          active={active}
          selected={[chosen.layer, chosen.index]}
          follow={false}
          marked={(layer, index) => marked.has(name(layer, index))}
          describe={(layer, index) => describe(byHead.get(name(layer, index)))}
          onPick={(layer, index) => (shown.value = name(layer, index))}
          onHover={(at) => (cursor.value = at?.cell ?? null)}
        />
      )}
    </div>
  );
}

function describe(row: TextRow | undefined): string {
  if (!row) return "";
  return row.known === "" ? row.head : composed`${row.head}: ${row.known}`;
}
