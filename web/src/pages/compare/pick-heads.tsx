import type { Manifest } from "../../contract/generated";
import { loadClassesByHead, loadClasses } from "../../data/classes";
import { headName, loadHeads, rowAt } from "../../data/heads";
import { heads, models } from "../../state/params";
import { useResource } from "../../state/resource";
import { Many } from "../../views/controls/view";
import { HeadSearch } from "../../views/head-search/view";
import { LayerHeadGrid } from "../../views/layer-head-grid/view";

/** Number of grids when no model is chosen. */
const FEW_MODELS = 4;

/** One grid per model, and a search field. */
export function PickHeads({ manifest, rows }: { manifest: Manifest; rows: readonly number[] }) {
  const data = useResource(async () => {
    const [classes, table, byHead] = await Promise.all([
      loadClasses(manifest),
      loadHeads(manifest),
      loadClassesByHead(manifest),
    ]);
    return { classes, heads: table, byHead };
  }, [manifest]);
  const chosen = new Set(rows);
  const set = (next: Iterable<number>) => heads.set([...next].map((row) => headName(manifest, row)));
  const shown = manifest.models.filter((model, place) =>
    models.value.length > 0 ? models.value.includes(model.name) : place < FEW_MODELS,
  );
  return (
    <div class="compare-heads">
      <div class="toolbar">
        <HeadSearch
          manifest={manifest}
          data={data.value ?? null}
          label="Add a head"
          onPick={(name) => heads.set([...new Set([...heads.value, name])])}
        />
        {manifest.models.length > 1 ? (
          <Many
            label="Models"
            values={models.value}
            options={manifest.models.map((model) => ({ value: model.name, title: model.name }))}
            onChange={models.set}
            none={manifest.models.length > FEW_MODELS ? `first ${FEW_MODELS}` : "all"}
          />
        ) : null}
        <span class="muted">Click a head to add it. Click a layer or column to add all of its heads, or to remove them.</span>
      </div>
      <div class="compare-grids">
        {shown.map((model) => {
          const rowOf = (layer: number, index: number) => rowAt(model, layer, index);
          const tagged = (layer: number, index: number) =>
            data.value?.byHead.get(rowOf(layer, index)) ?? [];
          return (
            <figure key={model.name}>
              <figcaption>{model.name}</figcaption>
              <LayerHeadGrid
                model={model.name}
                nLayers={model.n_layers}
                layers={model.layers}
                nHeads={model.n_heads}
                selected={(layer, index) => chosen.has(rowOf(layer, index))}
                describe={(layer, index) =>
                  tagged(layer, index).map((item) => item.class.name).join(", ")
                }
                onPick={(layer, index) => {
                  const row = rowOf(layer, index);
                  set(chosen.has(row) ? rows.filter((item) => item !== row) : [...rows, row]);
                }}
                onPickMany={(many) => {
                  const all = many.map(([layer, index]) => rowOf(layer, index));
                  const every = all.every((row) => chosen.has(row));
                  set(every ? rows.filter((row) => !all.includes(row)) : new Set([...rows, ...all]));
                }}
              />
            </figure>
          );
        })}
      </div>
    </div>
  );
}
