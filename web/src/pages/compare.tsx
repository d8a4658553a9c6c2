import "./compare/page.css";
import { useState } from "preact/hooks";
import type { Manifest, Prompt } from "../contract/generated";
import { headRow, modelOfRow, placeOfRow } from "../data/heads";
import { loadPrompts, promptsById, shortId, viewablePrompts } from "../data/prompts";
import { heads, prompts as promptsParam, where } from "../state/params";
import { useResource } from "../state/resource";
import { change } from "../state/url";
import { Empty, Loaded } from "../views/states/view";
import { PickHeads } from "./compare/pick-heads";
import { PickPrompts } from "./compare/pick-prompts";
import { Grid } from "./compare/grid";
import type { Item } from "./compare/items";
import { only } from "./compare/params";
import type { PageProps } from "./page";

/** Patterns of any heads on any prompts, next to each other. */
export default function Compare({ manifest }: PageProps) {
  const prompts = useResource(() => loadPrompts(manifest), [manifest]);
  return (
    <Loaded resource={prompts} what="the prompts">
      {(all) => <Ready manifest={manifest} prompts={all} />}
    </Loaded>
  );
}

function Ready({ manifest, prompts }: { manifest: Manifest; prompts: Prompt[] }) {
  const viewable = viewablePrompts(prompts, where.value);
  const asked = promptsById(prompts, promptsParam.value).filter((item) => viewable.includes(item));
  const places = asked.length > 0 ? asked : viewable.slice(0, 1);
  const rows = [...new Set(heads.value.flatMap((name) => headRow(manifest, name) ?? []))];
  // Only at the start: the first click must not close the grids.
  const [empty] = useState(rows.length === 0);
  const items = rows.flatMap((row) => places.map((prompt) => itemOf(manifest, prompts, row, prompt)));
  return (
    <>
      <div class="toolbar compare-head">
        <h1>Compare patterns</h1>
        <span class="muted">
          {rows.length} {rows.length === 1 ? "head" : "heads"} on {places.length} {places.length === 1 ? "prompt" : "prompts"}
        </span>
        <button
          type="button"
          onClick={() => change([heads.to([]), promptsParam.to([]), only.to([]), where.to([])])}
        >
          Clear all
        </button>
      </div>
      <p class="muted">Here you can see any heads on any prompts next to each other: choose both below.</p>
      <details class="panel" open={empty}>
        <summary>Heads</summary>
        <PickHeads manifest={manifest} rows={rows} />
      </details>
      <details class="panel">
        <summary>Prompts</summary>
        <PickPrompts manifest={manifest} prompts={prompts} viewable={viewable} chosen={places} />
      </details>
      {viewable.length === 0 ? (
        <Empty title={where.value.length > 0 ? "No prompt here has these labels" : "No patterns are in this site"}>
          {manifest.missing["patterns"]}
        </Empty>
      ) : rows.length === 0 ? (
        <Empty title="No heads are chosen">Pick cells of the grids above, or search for heads.</Empty>
      ) : (
        <Grid manifest={manifest} prompts={prompts} items={items} />
      )}
    </>
  );
}

function itemOf(manifest: Manifest, prompts: Prompt[], row: number, prompt: number): Item {
  const model = modelOfRow(manifest, row);
  const { layer, index } = placeOfRow(model, row);
  return {
    row,
    head: `${model.name}:L${layer}:H${index}`,
    model: model.name,
    modelPlace: manifest.models.indexOf(model),
    layer,
    index,
    prompt,
    promptId: shortId(prompts[prompt] as Prompt),
  };
}
