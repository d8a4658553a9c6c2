import { useMemo, useRef } from "preact/hooks";
import type { DistanceMetric, Manifest, Model } from "../../contract/generated";
import { composed } from "../../data/composed";
import { loadDistanceBlock, MISSING_CODE, rowOf } from "../../data/distances";
import { headName, rowAt } from "../../data/heads";
import { list, number } from "../../state/codecs";
import { heads, map } from "../../state/params";
import { useResource } from "../../state/resource";
import { go, link, param } from "../../state/url";
import { ColourBar } from "../../views/colour-bar/view";
import { ExportMenu } from "../../views/export-menu/view";
import type { AxisGroup, CodeMatrix } from "../../views/heatmap/api";
import { whole, type Frame } from "../../views/heatmap/frame";
import { codeQuantiles } from "../../views/heatmap/image";
import { Heatmap } from "../../views/heatmap/view";
import { Loaded } from "../../views/states/view";

/** The two layers whose heads are shown, by place among all layers; empty is none. */
const layersParam = param("of_layers", list(number(0, 1e6)), []);

interface Place {
  model: Model;
  layer: number;
}

interface Props {
  manifest: Manifest;
  metric: DistanceMetric;
  /** Mean distance of every two layers. */
  codes: Uint16Array;
  frame: Frame | null;
  onFrame: (frame: Frame | null) => void;
}

/** Distances of very many heads: the means of every two layers; two chosen layers head by head. */
export function Layers({ manifest, metric, codes, frame, onFrame }: Props) {
  const places = useMemo(() => manifest.models.flatMap((model) => model.layers.map((layer) => ({ model, layer }))), [manifest]);
  const matrix = useMemo(() => ({ codes, n: places.length }), [codes, places]);
  const groups = useMemo(() => groupsOf(places, (place) => place.model.name), [places]);
  const chosen = layersParam.value.flatMap((place) => places[place] ?? []);
  const name = (place: number) => `${places[place]?.model.name}:L${places[place]?.layer}`;
  return (
    <>
      <p>
        {manifest.n_heads.toLocaleString("en")} heads are too many for one picture. A cell is the mean{" "}
        {metric.n_nearest === null
          ? "distance between the heads of two layers."
          : `of the known distances between the heads of two layers: this atlas has the ${metric.n_nearest} nearest heads of each. Layers without such a pair are empty.`}{" "}
        Click a cell, or press Enter, to see the heads of both layers.
      </p>
      <Square
        metric={metric}
        matrix={matrix}
        groups={groups}
        name={name}
        label={`Mean distances of ${places.length} layers by ${metric.name}`}
        what="mean distance"
        frame={frame}
        onFrame={onFrame}
        onOpen={(row, column) => layersParam.set([...new Set([row, column])])}
      />
      {chosen.length > 0 ? <Heads manifest={manifest} metric={metric} chosen={chosen} /> : null}
    </>
  );
}

/** The heads of one or two layers. */
function Heads({ manifest, metric, chosen }: { manifest: Manifest; metric: DistanceMetric; chosen: readonly Place[] }) {
  const rows = chosen.flatMap(({ model, layer }) => Array.from({ length: model.n_heads }, (_, index) => rowAt(model, layer, index)));
  const loaded = useResource(async (): Promise<CodeMatrix> => {
    const blocks = await Promise.all(chosen.map(({ model, layer }) => loadDistanceBlock(manifest, metric, rowAt(model, layer, 0))));
    const codes = new Uint16Array(rows.length ** 2);
    rows.forEach((row, i) => {
      const block = blocks.find((item) => row >= item.firstRow && row < item.firstRow + item.nRows);
      const distances = block && rowOf(block, row);
      rows.forEach((other, j) => (codes[i * rows.length + j] = code(distances?.[other], metric.scale)));
    });
    return { codes, n: rows.length };
  }, [metric, rows.join()]);
  const name = (place: number) => headName(manifest, rows[place] as number);
  const title = chosen.map(({ model, layer }) => `${model.name}:L${layer}`).join(" and ");
  return (
    <section>
      <h2>Heads of {title}</h2>
      <Loaded resource={loaded} what="the distances" height={400}>
        {(matrix) => (
          <Square
            metric={metric}
            matrix={matrix}
            groups={groupsOf(rows, (row) => headName(manifest, row).replace(/:H\d+$/, ""))}
            name={name}
            label={composed`Distances of the heads of ${title} by ${metric.name}`}
            what="distance"
            onOpen={(row, column) => go(link("compare", heads.to([...new Set([name(row), name(column)])])))}
          />
        )}
      </Loaded>
    </section>
  );
}

function code(distance: number | undefined, scale: number): number {
  return distance !== undefined && Number.isFinite(distance) ? Math.min(MISSING_CODE - 1, Math.round(distance / scale)) : MISSING_CODE;
}

function groupsOf<T>(items: readonly T[], label: (item: T) => string): AxisGroup[] {
  const groups: AxisGroup[] = [];
  items.forEach((item, place) => {
    const last = groups.at(-1);
    if (last?.label === label(item)) last.end = place + 1;
    else groups.push({ start: place, end: place + 1, label: label(item) });
  });
  return groups;
}

interface SquareProps {
  metric: DistanceMetric;
  matrix: CodeMatrix;
  groups: readonly AxisGroup[];
  name: (place: number) => string;
  label: string;
  what: string;
  frame?: Frame | null;
  onFrame?: (frame: Frame | null) => void;
  onOpen: (row: number, column: number) => void;
}

function Square({ metric, matrix, groups, name, label, what, frame = null, onFrame, onOpen }: SquareProps) {
  const figure = useRef<HTMLDivElement>(null);
  const order = useMemo(() => Uint32Array.from({ length: matrix.n }, (_, place) => place), [matrix.n]);
  const [low, high] = useMemo(() => codeQuantiles(matrix, [0.002, 0.99]), [matrix]) as [number, number];
  const describe = (row: number, column: number) => {
    const value = matrix.codes[row * matrix.n + column] as number;
    const distance = value === MISSING_CODE ? "not known" : String(Number((value * metric.scale).toPrecision(4)));
    return composed`${name(row)} to ${name(column)}: ${distance}`;
  };
  return (
    <>
      <div class="toolbar">
        <ExportMenu target={() => figure.current} name={label} />
      </div>
      <div ref={figure} class="distances-figure">
        <Heatmap
          matrix={matrix}
          order={order}
          style={{ map: map.value, reversed: true, low, high }}
          groups={groups}
          inner={[]}
          placeLabel={name}
          frame={frame ?? whole(matrix.n)}
          onFrame={(next) => onFrame?.(next.cells >= matrix.n ? null : next)}
          describe={describe}
          onOpen={onOpen}
          label={label}
        >
          <ColourBar map={map.value} reversed low={low * metric.scale} high={high * metric.scale} title={`${metric.name} ${what}`} />
        </Heatmap>
      </div>
    </>
  );
}
