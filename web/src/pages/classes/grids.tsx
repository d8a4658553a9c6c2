import { useMemo } from "preact/hooks";
import type { HeadClass, Manifest, Model } from "../../contract/generated";
import { headName, rowAt } from "../../data/heads";
import { head } from "../../state/params";
import { go, link } from "../../state/url";
import { LayerHeadGrid } from "../../views/layer-head-grid/view";
import { cellSide } from "../clustering/cell";
import { Legend } from "../../views/legend/view";
import { byHead } from "./choose";
import { themed } from "../../views/palette/themed";

interface GridsProps {
  manifest: Manifest;
  models: readonly Model[];
  classes: readonly HeadClass[];
}

/** A grid per model, coloured by the group of each head's first class. */
export function Grids({ manifest, models, classes }: GridsProps) {
  const known = useMemo(() => byHead(classes), [classes]);
  const shown = new Set(models.map((model) => model.name));
  const counts = new Map<string, number>();
  for (const [row, list] of known) {
    if (!shown.has(modelName(manifest, row))) continue;
    const group = list[0]?.group ?? "";
    counts.set(group, (counts.get(group) ?? 0) + 1);
  }
  const entries = [...counts].map(([group, count]) => ({
    key: group,
    title: group,
    colour: themed(manifest.groups[group] ?? "#888888"),
    count,
  }));
  return (
    <>
      {entries.length === 0 ? (
        <p class="muted">No head of these models is in these classes.</p>
      ) : (
        <Legend label="Group of a head's first class, with the number of heads" entries={entries} />
      )}
      <div class="class-grids">
        {models.map((model) => {
          const row = (layer: number, index: number) => rowAt(model, layer, index);
          return (
            <figure key={model.name}>
              <figcaption>{model.name}</figcaption>
              <LayerHeadGrid
                model={model.name}
                nLayers={model.n_layers}
                layers={model.layers}
                nHeads={model.n_heads}
                cell={cellSide(manifest)}
                colour={(layer, index) => {
                  const first = known.get(row(layer, index))?.[0];
                  return first && themed(first.colour);
                }}
                describe={(layer, index) =>
                  (known.get(row(layer, index)) ?? []).map((item) => item.name).join(", ") || "no class"
                }
                onPick={(layer, index) => go(link("head", head.to(headName(manifest, row(layer, index)))))}
              />
            </figure>
          );
        })}
      </div>
    </>
  );
}

function modelName(manifest: Manifest, row: number): string {
  return headName(manifest, row).replace(/:L\d+:H\d+$/, "");
}
