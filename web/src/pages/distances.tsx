import "./distances/distances.css";
import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type { DistanceMetric, DistanceTiles, Manifest } from "../contract/generated";
import { composed } from "../data/composed";
import { clusterName, clusteringId } from "../data/clusters";
import { codeLimits, loadLayerMeans, loadMatrix, loadQuantiles, metricOf, MISSING_CODE } from "../data/distances";
import { loadLabels } from "../data/explanations";
import { headName } from "../data/heads";
import { loadPrompts } from "../data/prompts";
import { MOST_CELLS, type ShownCell } from "../data/tiles";
import { choice, flag, type Codec } from "../state/codecs";
import { heads, map, metric as metricParam } from "../state/params";
import { useResource } from "../state/resource";
import { change, go, link, param } from "../state/url";
import { Check, Select } from "../views/controls/view";
import { ExportMenu } from "../views/export-menu/view";
import { Formula } from "../views/formula/view";
import type { CodeMatrix, ReadMatrix } from "../views/heatmap/api";
import { within, whole, type Frame } from "../views/heatmap/frame";
import { codeQuantiles } from "../views/heatmap/image";
import { Heatmap } from "../views/heatmap/view";
import { ColourBar } from "../views/colour-bar/view";
import { Empty, Loaded } from "../views/states/view";
import { clustering, cut, minSize, useClustering, type CutClustering } from "./clustering/cut";
import { atlasOrder, clusterOrder, placeName, treeOrder, type Order } from "./distances/orders";
import { PairPatterns, type HeadPair } from "./distances/pair";
import { Layers } from "./distances/layers";
import { Range } from "./distances/range";
import { useTiles } from "./distances/tiled";
import type { PageProps } from "./page";

/** Visible part of the matrix, `left,top,cells` with two decimals; empty is all. */
export const frameCodec: Codec<Frame | null> = {
  read: (value) => {
    if (value === "") return null;
    const parts = value.split(",").map(Number);
    if (parts.length !== 3 || !parts.every((part) => Number.isFinite(part))) return undefined;
    const [left, top, cells] = parts as [number, number, number];
    return { left, top, cells };
  },
  write: (frame) =>
    frame === null ? "" : [frame.left, frame.top, frame.cells].map((item) => item.toFixed(2)).join(","),
};

const bound: Codec<number | null> = {
  read: (value) => (value === "" ? null : Number.isFinite(Number(value)) ? Number(value) : undefined),
  write: (value) => (value === null ? "" : String(Number(value.toPrecision(6)))),
};

const order = param("order", choice("layers", "clusters", "tree"), "layers");
const frameParam = param("frame", frameCodec, null);
const low = param("low", bound, null);
const high = param("high", bound, null);
const near = param("near_bright", flag, true);

/** All distances between heads as a heatmap. */
export default function Distances({ manifest }: PageProps) {
  const metric = metricOf(manifest, metricParam.value);
  const matrix = useResource(async () => {
    if (!metric) return { codes: null, layers: null };
    return { codes: await loadMatrix(manifest, metric), layers: await loadLayerMeans(manifest, metric) };
  }, [metric]);
  const clusters = useClustering(manifest);
  if (!metric) {
    return (
      <Empty title="This atlas holds no distances">
        {manifest.missing["distances"] ?? "Run `motifs distances`, then `motifs site` again."}
      </Empty>
    );
  }
  return (
    <>
      <h1>Distances</h1>
      <p class="muted">
        Here you can compare every pair of heads: point at a cell to see both patterns. Metric: {metric.title}, <Formula latex={metric.formula} />. It does
        not see {metric.blind}.
      </p>
      <Loaded resource={matrix} what="the distances" height={500}>
        {({ codes, layers }) =>
          codes ? (
            <Whole manifest={manifest} metric={metric} codes={codes} clusters={clusters.value ?? null} />
          ) : metric.tiles && layers ? (
            <Tiled key={metric.name} manifest={manifest} metric={metric} tiles={metric.tiles} means={layers} />
          ) : (
            <Layers
              manifest={manifest}
              metric={metric}
              codes={layers ?? new Uint16Array()}
              frame={frameParam.value}
              onFrame={(next) => frameParam.replace(next)}
            />
          )
        }
      </Loaded>
    </>
  );
}

interface WholeProps {
  manifest: Manifest;
  metric: DistanceMetric;
  codes: Uint16Array;
  clusters: CutClustering | null;
}

/** All pairs of heads, in any order. */
function Whole({ manifest, metric, codes, clusters }: WholeProps) {
  const n = manifest.n_heads;
  const matrix = useMemo(() => ({ codes, n }), [codes, n]);
  const limits = useMemo(() => codeQuantiles(matrix, [0.002, 0.99, 1]) as [number, number, number], [matrix]);
  const read = (row: number, column: number) => ({ code: codes[row * n + column] as number, span: 1 });
  return <Matrix manifest={manifest} metric={metric} matrix={matrix} limits={limits} read={read} clusters={clusters} />;
}

/** Very many heads: the means of every two layers, and finer cells when the picture is enlarged. */
function Tiled({ manifest, metric, tiles, means }: { manifest: Manifest; metric: DistanceMetric; tiles: DistanceTiles; means: Uint16Array }) {
  const n = manifest.n_heads;
  const shown = useTiles(manifest, metric, tiles, means, within(frameParam.value ?? whole(n), n));
  const quantiles = useResource(() => loadQuantiles(manifest, metric, 0), [manifest, metric]);
  const limits = useMemo(() => codeLimits(quantiles.value ?? new Float32Array(), metric.scale), [quantiles.value, metric]);
  return (
    <>
      <p role="status">
        {n.toLocaleString("en")} heads are too many for one picture, so they are in the order of models and layers. Shown now:{" "}
        <strong>{spanWords(shown.span)}</strong>
        {shown.missing > 0 && shown.problem === "" ? `; ${shown.missing} ${shown.missing === 1 ? "part is" : "parts are"} loading` : ""}.{" "}
        {shown.span === 1 ? "" : "Zoom in, or click a cell, to see finer cells."}
      </p>
      {shown.problem === "" ? null : <p role="alert">Finer cells could not be shown: {shown.problem}</p>}
      <Matrix manifest={manifest} metric={metric} matrix={shown.matrix} limits={limits} read={shown.read} clusters={null} />
    </>
  );
}

function spanWords(span: number | null): string {
  if (span === null) return "the mean distance of every two layers";
  return span === 1 ? "every pair of heads" : `the mean distance of ${span} × ${span} heads`;
}

interface MatrixProps {
  manifest: Manifest;
  metric: DistanceMetric;
  matrix: CodeMatrix | ReadMatrix;
  /** Codes at the ends of the colours, and the largest one. */
  limits: readonly [number, number, number];
  read: (row: number, column: number) => ShownCell;
  clusters: CutClustering | null;
}

function Matrix({ manifest, metric, matrix, limits, read, clusters }: MatrixProps) {
  const figure = useRef<HTMLDivElement>(null);
  const [from, to, top] = limits;
  const toDistance = (code: number) => code * metric.scale;
  const range = { low: low.value ?? toDistance(from), high: high.value ?? toDistance(to) };
  const kind = order.value === "tree" && clusters && !clusters.linkage ? "clusters" : order.value;
  const arranged = useMemo(() => arrange(manifest, clusters, kind), [manifest, clusters, kind]);
  const frame = within(frameParam.value ?? whole(matrix.n), matrix.n);
  const show = (next: Frame) => frameParam.replace(next.cells >= matrix.n ? null : next);
  const pair = useSignal<HeadPair | null>(null);
  const loaded = useResource(async () => {
    const [prompts, labels] = await Promise.all([loadPrompts(manifest), loadLabels(manifest)]);
    return { prompts, labels };
  }, [manifest]);
  const name = (place: number) => headName(manifest, arranged.rows[place] as number);
  const cellOf = (row: number, column: number) => read(arranged.rows[row] as number, arranged.rows[column] as number);
  const describe = (row: number, column: number) => {
    const { code, span } = cellOf(row, column);
    const distance = code === MISSING_CODE ? "not known" : String(Number(toDistance(code).toPrecision(4)));
    const mean = span === 1 ? "" : span === null ? ", the mean of their layers" : `, the mean of ${span} × ${span} heads`;
    return composed`${name(row)} to ${name(column)}: ${distance}${mean}`;
  };
  const open = (row: number, column: number) => {
    const { span } = cellOf(row, column);
    if (span === 1) return go(link("compare", heads.to([...new Set([name(row), name(column)])])));
    const cells = MOST_CELLS * (span === null ? 3 : 0.75);
    return frameParam.set(within({ left: column - cells / 2, top: row - cells / 2, cells }, matrix.n));
  };
  return (
    <>
      <div class="toolbar distances-toolbar">
        <Controls manifest={manifest} clusters={clusters} metric={metric} />
        <Range
          low={range.low}
          high={range.high}
          most={toDistance(top)}
          onChange={(a, b) => change([low.to(a), high.to(b)], "replace")}
          onReset={low.value === null && high.value === null ? null : () => change([low.to(null), high.to(null)])}
        />
        <button type="button" disabled={frameParam.value === null} onClick={() => frameParam.set(null)}>
          Show all
        </button>
        <ExportMenu target={() => figure.current} name={`distances ${metric.name}`} />
      </div>
      <div ref={figure} class="distances-figure">
        <Heatmap
          matrix={matrix}
          order={arranged.rows}
          style={{
            map: map.value,
            reversed: near.value,
            low: range.low / metric.scale,
            high: range.high / metric.scale,
          }}
          groups={arranged.groups}
          inner={arranged.inner}
          placeLabel={(place) => placeName(manifest, arranged, place)}
          frame={frame}
          onFrame={show}
          describe={describe}
          onCell={(cell) => {
            const isPair = cell !== null && cellOf(cell.row, cell.column).span === 1;
            pair.value = !isPair ? null : [arranged.rows[cell.row] as number, arranged.rows[cell.column] as number];
          }}
          detail={
            <Loaded resource={loaded} what="the prompts">
              {(known) => <PairPatterns manifest={manifest} pair={pair} {...known} />}
            </Loaded>
          }
          onOpen={open}
          label={`Distances of ${matrix.n} heads by ${metric.name}`}
        >
          <ColourBar map={map.value} reversed={near.value} low={range.low} high={range.high} title={`${metric.name} distance`} />
        </Heatmap>
      </div>
    </>
  );
}

function arrange(manifest: Manifest, clusters: CutClustering | null, kind: string): Order {
  if (!clusters || kind === "layers") return atlasOrder(manifest);
  const name = (cluster: number) =>
    cluster < 0 ? "none" : (clusters.stored ? clusterName(clusters.clustering, cluster) : `cluster ${cluster}`).replace(/^cluster /, "c");
  if (kind === "tree" && clusters.linkage) return treeOrder(clusters.labels, clusters.linkage, name);
  return clusterOrder(clusters.labels, clusters.linkage, name);
}

function Controls(props: { manifest: Manifest; clusters: CutClustering | null; metric: DistanceMetric }) {
  const { manifest, clusters, metric } = props;
  const orders = [
    { value: "layers" as const, title: "model and layer" },
    ...(clusters ? [{ value: "clusters" as const, title: "cluster" }] : []),
    ...(clusters?.linkage ? [{ value: "tree" as const, title: "tree" }] : []),
  ];
  return (
    <>
      <Select
        label="Metric"
        value={metric.name}
        options={manifest.metrics.map((metric) => ({ value: metric.name, title: metric.name, help: metric.title }))}
        onChange={(value) => change([metricParam.to(value), low.to(null), high.to(null)])}
      />
      <Select
        label="Order"
        value={order.value}
        options={orders}
        onChange={(value) => change([order.to(value), frameParam.to(null)])}
      />
      {clusters && order.value !== "layers" ? (
        <Select
          label="Clustering"
          value={clusteringId(clusters.clustering)}
          options={manifest.clusterings.map((clustering) => ({
            value: clusteringId(clustering),
            title: `${clustering.method} (${clustering.metric})`,
          }))}
          onChange={(value) => change([clustering.to(value), cut.to(null), minSize.to(0), frameParam.to(null)])}
        />
      ) : null}
      <Select
        label="Colours"
        value={map.value}
        options={(["viridis", "cividis", "magma", "greys"] as const).map((value) => ({ value, title: value }))}
        onChange={(value) => map.set(value)}
      />
      <Check label="near heads are bright" value={near.value} onChange={(value) => near.set(value)} />
    </>
  );
}
