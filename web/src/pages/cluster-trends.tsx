import "./cluster-trends/page.css";
import { useMemo, useRef } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { headName, loadHeads, type Heads } from "../data/heads";
import { models as modelsParam, sort } from "../state/params";
import { useResource } from "../state/resource";
import { stored } from "../state/stored";
import { link } from "../state/url";
import { Check, Many, NumberField, Select } from "../views/controls/view";
import { csv } from "../views/export-menu/csv";
import { ExportMenu } from "../views/export-menu/view";
import { Legend } from "../views/legend/view";
import { Empty, Loaded } from "../views/states/view";
import type { TableColumn } from "../views/table/api";
import { Table } from "../views/table/view";
import { CutControls } from "./clustering/controls";
import { clustering, cut, minSize, useClustering, type CutClustering } from "./clustering/cut";
import { keptNames, makeView, namesKey, type View } from "./clusters/model";
import { picked } from "./clusters/params";
import { gather, type Gathered } from "./cluster-trends/gather";
import { LinePanel, StackPanel } from "./cluster-trends/panel";
import { bins, by, nClusters, over, own, panels } from "./cluster-trends/params";
import { largestShare } from "./cluster-trends/trends";
import type { PageProps } from "./page";

/** Where in the models clusters lie: their shares over depth and over model size. */
export default function ClusterTrends({ manifest }: PageProps) {
  const clusters = useClustering(manifest);
  const heads = useResource(() => loadHeads(manifest), [manifest]);
  return (
    <>
      <h1>Cluster trends</h1>
      <p class="muted">
        Share of the heads that each cluster holds, over the depth of the models (0 is the first layer, 1
        the last) or over their size.
      </p>
      <Loaded resource={clusters} what="the clusters" height={400}>
        {(found) =>
          found ? (
            <Loaded resource={heads} what="the heads" height={400}>
              {(loaded) => <Content manifest={manifest} clusters={found} heads={loaded} />}
            </Loaded>
          ) : (
            <Empty title="This atlas holds no clusters">
              {manifest.missing["clusterings"] ?? "Run `motifs cluster`, then `motifs site` again."}
            </Empty>
          )
        }
      </Loaded>
    </>
  );
}

function Content({ manifest, clusters, heads }: { manifest: Manifest; clusters: CutClustering; heads: Heads }) {
  const figure = useRef<HTMLDivElement>(null);
  const kept = stored(namesKey(manifest)).value;
  const view = useMemo(() => {
    const names = Array.from({ length: manifest.n_heads }, (_, row) => headName(manifest, row));
    return makeView({ manifest, cut: clusters, heads, classes: [], names }, keptNames(kept));
  }, [manifest, clusters, heads, kept]);
  const asked = {
    over: over.value,
    by: by.value,
    bins: bins.value,
    nClusters: nClusters.value,
    models: modelsParam.value,
  };
  const found = useMemo(() => gather(view, asked), [view, ...Object.values(asked)]);
  return (
    <>
      <div class="toolbar trend-toolbar">
        <CutControls manifest={manifest} clusters={clusters} />
      </div>
      <Controls manifest={manifest} />
      <div class="toolbar trend-toolbar">
        <ExportMenu
          target={() => figure.current}
          name={`cluster trends ${clusters.clustering.method}`}
          data={[{ title: "CSV", extension: "csv", type: "text/csv", make: () => table(view, found) }]}
        />
      </div>
      <div ref={figure}>
        <Panels view={view} found={found} />
      </div>
      <details class="trend-table">
        <summary>The numbers as a table</summary>
        <Table
          rows={found.rows}
          columns={columnsOf(view, found)}
          rowKey={(row) => `${row.cluster} ${row.group} ${row.point.where}`}
          label="Shares of clusters"
          sort={sort.value}
          onSort={(next) => sort.set(next)}
          most={100}
        />
      </details>
    </>
  );
}

function Controls({ manifest }: { manifest: Manifest }) {
  return (
    <div class="toolbar trend-toolbar">
      <Select
        label="Over"
        value={over.value}
        options={[
          { value: "depth", title: "depth" },
          { value: "size", title: "model size" },
        ]}
        onChange={(value) => over.set(value)}
      />
      {over.value === "depth" ? (
        <>
          <Select
            label="By"
            value={by.value}
            options={[
              { value: "model", title: "model" },
              { value: "family", title: "family" },
            ]}
            onChange={(value) => by.set(value)}
          />
          <Select
            label="A panel per"
            value={panels.value}
            options={[
              { value: "clusters", title: "cluster" },
              { value: "groups", title: by.value },
            ]}
            onChange={(value) => panels.set(value)}
          />
          <NumberField label="Bins" value={bins.value} low={2} high={24} onChange={(value) => bins.set(value)} />
        </>
      ) : null}
      <NumberField label="Largest clusters" value={nClusters.value} low={1} high={200} onChange={(value) => nClusters.set(value)} />
      <Many
        label="Models"
        values={modelsParam.value}
        options={manifest.models.map((one) => ({ value: one.name, title: one.name }))}
        onChange={(values) => modelsParam.set(values)}
      />
      <Check label="own scale" help="Each panel's axis goes to its own largest share" value={own.value} onChange={(value) => own.set(value)} />
    </div>
  );
}

function Panels({ view, found }: { view: View; found: Gathered }) {
  const { trends, styles, across } = found;
  if (trends.length === 0 || styles.length === 0) return <Empty title="No cluster to follow" />;
  if (over.value === "depth" && panels.value === "groups") return <Stacks view={view} found={found} />;
  const together = largestShare(trends);
  return (
    <>
      <ul class="legend trend-legend" aria-label="Lines">
        {styles.map((style) => (
          <li key={style.name}>
            <svg width={26} height={10} viewBox="0 0 26 10" aria-hidden="true">
              <path d="M0 5H26" class="trend-line" stroke={style.colour} stroke-dasharray={style.dash} />
              <circle cx={13} cy={5} r={2.6} fill={style.colour} />
            </svg>
            <span>{style.name}</span>
          </li>
        ))}
      </ul>
      <div class="trend-panels">
        {trends.map((trend) => (
          <figure key={trend.cluster}>
            <Caption view={view} cluster={trend.cluster} />
            <LinePanel
              trend={trend}
              styles={styles}
              most={own.value ? largestShare([trend]) : together}
              across={across}
              label={`Share of ${view.title(trend.cluster)} over ${over.value}; the numbers are in the table below`}
            />
          </figure>
        ))}
      </div>
      <p class="muted trend-axis">Across: {across.kind === "share" ? across.title : "parameters, logarithmic"}. Up: share of the heads.</p>
    </>
  );
}

function Caption({ view, cluster }: { view: View; cluster: number }) {
  const size = view.parts.find((part) => part.cluster === cluster)?.rows.length ?? 0;
  const href = link(
    "clusters",
    clustering.to(clustering.value),
    cut.to(cut.value),
    minSize.to(minSize.value),
    picked.to([{ kind: "cluster", number: cluster }]),
  );
  return (
    <figcaption>
      <span class="trend-colour" style={{ background: view.colour(cluster) }} aria-hidden="true" />
      <a href={href}>{view.title(cluster)}</a> <span class="muted">{size} heads</span>
    </figcaption>
  );
}

function Stacks({ view, found }: { view: View; found: Gathered }) {
  const { trends, styles, across } = found;
  const entries = trends.map(({ cluster }) => ({
    key: String(cluster),
    title: view.title(cluster),
    colour: view.colour(cluster),
  }));
  return (
    <>
      <Legend label="Clusters" entries={entries} />
      <div class="trend-panels">
        {styles.map((style, place) => (
          <figure key={style.name}>
            <figcaption>{style.name}</figcaption>
            <StackPanel
              trends={trends}
              place={place}
              colour={view.colour}
              title={view.title}
              bins={bins.value}
              across={across}
              label={`Shares of clusters in ${style.name} over depth; the numbers are in the table below`}
            />
          </figure>
        ))}
      </div>
      <p class="muted trend-axis">Across: depth. Up: share of the heads; what is left empty is in other clusters or none.</p>
    </>
  );
}

function columnsOf(view: View, found: Gathered): TableColumn<Gathered["rows"][number]>[] {
  return [
    { name: "cluster", title: "Cluster", value: (row) => view.title(row.cluster) },
    { name: "group", title: over.value === "size" ? "Family" : by.value === "model" ? "Model" : "Family", value: (row) => row.group },
    { name: "where", title: found.across.kind === "share" ? "Depth" : "Model", value: (row) => row.point.where },
    { name: "heads", title: "Heads", numeric: true, value: (row) => row.point.heads },
    { name: "of", title: "Of", numeric: true, value: (row) => row.point.of },
    {
      name: "share",
      title: "Share",
      numeric: true,
      value: (row) => Number(row.point.share.toFixed(4)),
      cell: (row) => `${(100 * row.point.share).toFixed(0)} %`,
    },
  ];
}

function table(view: View, found: Gathered): string {
  const columns = columnsOf(view, found);
  return csv(
    columns.map((column) => column.title),
    found.rows.map((row) => columns.map((column) => column.value(row))),
  );
}
