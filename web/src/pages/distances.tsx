import "./distances/distances.css";
import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type { DistanceMetric, Manifest } from "../contract/generated";
import { composed } from "../data/composed";
import { clusterName, clusteringId } from "../data/clusters";
import { loadLayerMeans, loadMatrix, metricOf, MISSING_CODE } from "../data/distances";
import { loadLabels } from "../data/explanations";
import { headName } from "../data/heads";
import { loadPrompts } from "../data/prompts";
import { choice, flag, type Codec } from "../state/codecs";
import { heads, map, metric as metricParam } from "../state/params";
import { useResource } from "../state/resource";
import { change, go, link, param } from "../state/url";
import { Check, Select } from "../views/controls/view";
import { ExportMenu } from "../views/export-menu/view";
import { Formula } from "../views/formula/view";
import type { CodeMatrix } from "../views/heatmap/api";
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
            <Matrix
              manifest={manifest}
              metric={metric}
              matrix={{ codes, n: manifest.n_heads }}
              clusters={clusters.value ?? null}
            />
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

interface MatrixProps {
  manifest: Manifest;
  metric: DistanceMetric;
  matrix: CodeMatrix;
  clusters: CutClustering | null;
}

function Matrix({ manifest, metric, matrix: given, clusters }: MatrixProps) {
  const figure = useRef<HTMLDivElement>(null);
  const matrix = useMemo(() => given, [given.codes, given.n]);
  const [from, to, top] = useMemo(() => codeQuantiles(matrix, [0.002, 0.99, 1]), [matrix]);
  const toDistance = (code: number) => code * metric.scale;
  const range = { low: low.value ?? toDistance(from ?? 0), high: high.value ?? toDistance(to ?? 1) };
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
  const describe = (row: number, column: number) => {
    const at = (arranged.rows[row] as number) * matrix.n + (arranged.rows[column] as number);
    const code = matrix.codes[at] as number;
    const distance = code === MISSING_CODE ? "not known" : String(Number(toDistance(code).toPrecision(4)));
    return composed`${name(row)} to ${name(column)}: ${distance}`;
  };
  return (
    <>
      <div class="toolbar distances-toolbar">
        <Controls manifest={manifest} clusters={clusters} metric={metric} />
        <Range
          low={range.low}
          high={range.high}
          most={toDistance(top ?? 1)}
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
            pair.value = cell && [arranged.rows[cell.row] as number, arranged.rows[cell.column] as number];
          }}
          detail={
            <Loaded resource={loaded} what="the prompts">
              {(known) => <PairPatterns manifest={manifest} pair={pair} {...known} />}
            </Loaded>
          }
          onOpen={(row, column) => go(link("compare", heads.to([...new Set([name(row), name(column)])])))}
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
