import type { Signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Manifest, Prompt } from "../../contract/generated";
import { headName, modelOfRow } from "../../data/heads";
import { loadPattern, type Pattern } from "../../data/patterns";
import { scale, sink } from "../../state/params";
import { useResource } from "../../state/resource";
import type { Cell } from "../../views/pattern-matrix/api";
import { brightestByte, describe, shadesOf, strongest } from "../../views/pattern-inspect/reading";
import { promptLine } from "../../views/prompt-label/view";
import { tokenLabel, TokenText } from "../../views/token-text/view";
import { tokensOf, type Spot, type TokenTable } from "./cursor";

interface Props {
  manifest: Manifest;
  prompts: readonly Prompt[];
  table: TokenTable;
  spot: Signal<Spot | null>;
}

/** The text of the prompt under the cursor, shaded by the weights of the query, and the cell in words. */
export function Reading({ manifest, prompts, table, spot }: Props) {
  const now = spot.value;
  const pattern = useResource(
    async () => (now ? loadPattern(manifest, now.row, now.prompt) : null),
    [manifest, now?.row, now?.prompt],
    { keep: true },
  );
  // Until the next pattern is loaded, the last one stays, so that the text does not flicker.
  const last = useRef<{ at: Spot; loaded: Pattern } | null>(null);
  const value = pattern.value ?? null;
  if (now && value && value.head === now.row && value.prompt === now.prompt) last.current = { at: now, loaded: value };
  const at = last.current?.at;
  const loaded = last.current?.loaded;
  const prompt = at ? prompts[at.prompt] : undefined;
  const model = at ? modelOfRow(manifest, at.row) : null;
  const tokens = at && model ? tokensOf(table, model.name, at.prompt) : null;
  if (!at || !loaded || !prompt || !model || !tokens) return <div class="bench-reading" />;
  const token = (place: number) => (model.bos && place === 0 ? "BOS" : tokenLabel(tokens[place] ?? ""));
  const move = (cell: Cell) => (spot.value = { ...at, cell });
  return (
    <div class="bench-reading">
      <p>
        <strong>{headName(manifest, at.row)}</strong> on <bdi>“{promptLine(prompt.text, 50)}”</bdi>:{" "}
        {describe(loaded, at.cell, token)}
      </p>
      <TokenText
        tokens={tokens}
        shades={shades(loaded, at.cell)}
        query={at.cell.query}
        keyToken={at.cell.key}
        bos={model.bos}
        follow={at.cell.query}
        onHover={(place) => {
          if (place !== null) move(strongest(loaded, place, sink.value));
        }}
        onKeyToken={(place) => move({ query: Math.max(place, at.cell.query), key: place })}
        onQueryToken={(place) => move({ query: place, key: Math.min(place, at.cell.key) })}
      />
    </div>
  );
}

function shades(pattern: Pattern, cell: Cell): Float32Array {
  const style = { scale: scale.value, sink: sink.value, top: brightestByte(pattern, sink.value) };
  return shadesOf(pattern, cell, "query", style);
}
