import { useState } from "preact/hooks";
import { heads as headsParam } from "../../state/params";
import { LayerHeadGrid } from "../../views/layer-head-grid/view";
import type { View } from "./model";
import { picked } from "./params";
import { toggled } from "./selection";

/** A layer-by-head grid per model, coloured by cluster. */
export function Maps({ view, selected }: { view: View; selected: ReadonlySet<number> }) {
  const { manifest, cut, names } = view;
  const [hovered, setHovered] = useState<number | null>(null);
  const describe = (row: number) => view.title(cut.labels[row] as number);
  const pick = (row: number, shift: boolean) => {
    const label = cut.labels[row] as number;
    if (shift && label >= 0) {
      picked.set(toggled(picked.peek(), { kind: "cluster", number: label }));
      return;
    }
    const name = names[row] as string;
    const now = headsParam.peek();
    headsParam.set(now.includes(name) ? now.filter((one) => one !== name) : [...now, name]);
  };
  return (
    <>
      <div class="cluster-maps">
        {manifest.models.map((model) => {
          const row = (layer: number, index: number) => model.first_row + layer * model.n_heads + index;
          return (
            <figure key={model.name}>
              <figcaption>{model.name}</figcaption>
              <LayerHeadGrid
                model={model.name}
                nLayers={model.n_layers}
                nHeads={model.n_heads}
                colour={(layer, index) => {
                  const label = cut.labels[row(layer, index)] as number;
                  return label < 0 ? undefined : view.colour(label);
                }}
                selected={(layer, index) => selected.has(row(layer, index))}
                describe={(layer, index) => describe(row(layer, index))}
                onPick={(layer, index, shift) => pick(row(layer, index), shift)}
                onHover={(at) => setHovered(at ? row(at[0], at[1]) : null)}
              />
            </figure>
          );
        })}
      </div>
      <p class="muted cluster-hint" role="status" data-export="no">
        {hovered === null
          ? "Click selects a head, Shift-click its cluster."
          : `${names[hovered]}: ${describe(hovered)}`}
      </p>
    </>
  );
}
