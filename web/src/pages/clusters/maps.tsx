import { useSignal, type ReadonlySignal } from "@preact/signals";
import { composed } from "../../data/composed";
import { rowAt } from "../../data/heads";
import { heads as headsParam } from "../../state/params";
import { LayerHeadGrid } from "../../views/layer-head-grid/view";
import { cellSide } from "../clustering/cell";
import type { View } from "./model";
import { picked } from "./params";
import { toggled } from "./selection";

/** A layer-by-head grid per model, coloured by cluster. */
export function Maps({ view, selected }: { view: View; selected: ReadonlySet<number> }) {
  const { manifest, cut, names } = view;
  // A signal, so that hovering redraws the hint and not the cells.
  const hovered = useSignal<number | null>(null);
  const describe = (row: number) => view.title(cut.labels[row] as number);
  const pick = (row: number, shift: boolean) => {
    const label = cut.labels[row] as number;
    if (shift && label >= 0) {
      picked.set(toggled(picked.peek(), { kind: "cluster", number: label }));
      return;
    }
    const name = names[row] as string;
    const now = headsParam.peek();
    headsParam.set(now.includes(name) ? now.filter((item) => item !== name) : [...now, name]);
  };
  return (
    <>
      <div class="cluster-maps">
        {manifest.models.map((model) => {
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
                  const label = cut.labels[row(layer, index)] as number;
                  return label < 0 ? undefined : view.colour(label);
                }}
                selected={(layer, index) => selected.has(row(layer, index))}
                describe={(layer, index) => describe(row(layer, index))}
                onPick={(layer, index, shift) => pick(row(layer, index), shift)}
                onHover={(at) => {
                  hovered.value = at ? row(at[0], at[1]) : null;
                }}
              />
            </figure>
          );
        })}
      </div>
      <Hint hovered={hovered} words={(row) => composed`${names[row]}: ${describe(row)}`} />
    </>
  );
}

function Hint(props: { hovered: ReadonlySignal<number | null>; words: (row: number) => string }) {
  const row = props.hovered.value;
  return (
    <p class="muted cluster-hint" role="status" data-export="no">
      {row === null ? "Click a head to select it; Shift-click to select its cluster." : props.words(row)}
    </p>
  );
}
