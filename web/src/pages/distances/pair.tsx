import { useEffect, useMemo, useState } from "preact/hooks";
import { useSignal, type ReadonlySignal } from "@preact/signals";
import type { Manifest, Prompt } from "../../contract/generated";
import { labelText, type Labels } from "../../data/explanations";
import { headName } from "../../data/heads";
import { loadPattern } from "../../data/patterns";
import { choiceTitle, promptsById, shortId, viewablePrompts } from "../../data/prompts";
import { prompt as promptParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { Select } from "../../views/controls/view";
import { HeadLink } from "../../views/head-link/view";
import { PatternCell } from "../../views/pattern-cell/view";
import { promptLine } from "../../views/prompt-label/view";
import { loadTokenTable, translator, type Spot } from "../home/cursor";

/** Milliseconds that the pointer rests on a cell before its patterns are loaded. */
const REST = 120;
const SIZE = 150;

/** The rows of the two heads of a cell. */
export type HeadPair = readonly [number, number];

interface Props {
  manifest: Manifest;
  prompts: readonly Prompt[];
  labels: Labels;
  /** The cell under the pointer; null outside of the matrix, where the last pair stays. */
  pair: ReadonlySignal<HeadPair | null>;
}

/** The patterns of the two heads of a cell on one prompt. A token under the pointer is marked in both. */
export function PairPatterns({ manifest, prompts, labels, pair }: Props) {
  const shown = useResting(pair);
  const spot = useSignal<Spot | null>(null);
  const table = useResource(() => loadTokenTable(manifest, shown ?? []), [manifest, shown?.join()], { keep: true });
  const translate = useMemo(() => translator(manifest, prompts, table.value ?? new Map()), [manifest, prompts, table.value]);
  const viewable = viewablePrompts(prompts);
  const chosen = promptsById([...prompts], promptParam.value ? [promptParam.value] : []);
  const place = chosen.find((item) => viewable.includes(item)) ?? viewable[0];
  const prompt = place === undefined ? undefined : prompts[place];
  if (!prompt || place === undefined) return <p class="muted">This site holds no patterns of the heads.</p>;
  return (
    <section class="distances-pair" data-export="no" aria-label="Patterns of both heads">
      <Select
        label="Patterns on"
        value={shortId(prompt)}
        options={viewable.map((item) => {
          const option = prompts[item] as Prompt;
          return { value: shortId(option), title: choiceTitle(option, promptLine(option.text, 40)) };
        })}
        onChange={promptParam.set}
      />
      <div class="distances-pair-pictures">
        {(shown ?? []).map((row, side) => (
          <figure key={side === 0 ? `row ${row}` : `column ${row}`}>
            <PatternCell
              head={headName(manifest, row)}
              row={row}
              prompt={place}
              promptId={shortId(prompt)}
              size={SIZE}
              load={(head, on) => loadPattern(manifest, head, on)}
              cursor={{
                at: (head, on) => (spot.value ? translate(spot.value, head, on) : null),
                onMove: (pattern, cell) => (spot.value = { row: pattern.head, prompt: pattern.prompt, cell }),
              }}
            />
            <figcaption>
              <HeadLink head={headName(manifest, row)} />
              <div class="muted">{labelText(manifest, labels, row)}</div>
            </figcaption>
          </figure>
        ))}
      </div>
    </section>
  );
}

/** Return the last pair on which the pointer rested; null before the first. */
function useResting(pair: ReadonlySignal<HeadPair | null>): HeadPair | null {
  const [shown, setShown] = useState<HeadPair | null>(null);
  const now = pair.value;
  useEffect(() => {
    if (now === null) return undefined;
    const timer = setTimeout(() => setShown(now), REST);
    return () => clearTimeout(timer);
  }, [now?.[0], now?.[1]]);
  return shown;
}
