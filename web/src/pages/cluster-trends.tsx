import "./cluster-trends/page.css";
import { useMemo, useRef } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { headName, loadHeads, type Heads } from "../data/heads";
import { feature as featureParam, models as modelsParam, sort } from "../state/params";
import { useResource } from "../state/resource";
import { stored } from "../state/stored";
import { dark } from "../state/theme";
import { link } from "../state/url";
import { ExportMenu } from "../views/export-menu/view";
import { Legend } from "../views/legend/view";
import { Empty, Loaded } from "../views/states/view";
import { Table } from "../views/table/view";
import { CutControls } from "./clustering/controls";
import { LoadedClusters } from "./clustering/loaded";
import { clustering, cut, minSize, useClustering, type CutClustering } from "./clustering/cut";
import { keptNames, makeView, namesKey, type View } from "./clusters/model";
import { picked } from "./clusters/params";
import { Controls } from "./cluster-trends/controls";
import { gather, type Gathered } from "./cluster-trends/gather";
import { LinePanel, StackPanel } from "./cluster-trends/panel";
import { bins, by, nClusters, over, ownScale, panels } from "./cluster-trends/params";
import { columnsOf, table } from "./cluster-trends/numbers";
import { loadRanked, type Choice } from "./cluster-trends/ranked";
import { largestShare } from "./cluster-trends/trends";
import type { PageProps } from "./page";

/** Shares of the clusters over depth, a feature and model size. */
export default function ClusterTrends({ manifest }: PageProps) {
  const clusters = useClustering(manifest);
  const heads = useResource(() => loadHeads(manifest), [manifest]);
  const ranked = useResource(
    async () => (over.value === "feature" ? loadRanked(manifest, featureParam.value) : null),
    [over.value, featureParam.value],
  );
  return (
    <>
      <h1>Cluster trends</h1>
      <p class="muted">
        Here you can see where in the models each cluster is. The panels show the share of heads in a cluster
        over the depth (0 is the first layer, 1 the last), over a feature such as entropy, or over model size.
      </p>
      <LoadedClusters manifest={manifest} resource={clusters} height={400}>
        {(gathered) => (
          <Loaded resource={heads} what="the heads" height={400}>
            {(loaded) => (
              <Loaded resource={ranked} what="the features" height={400}>
                {(choice) => <Content manifest={manifest} clusters={gathered} heads={loaded} choice={choice} />}
              </Loaded>
            )}
          </Loaded>
        )}
      </LoadedClusters>
    </>
  );
}

interface ContentProps {
  manifest: Manifest;
  clusters: CutClustering;
  heads: Heads;
  choice: Choice | null;
}

function Content({ manifest, clusters, heads, choice }: ContentProps) {
  const figure = useRef<HTMLDivElement>(null);
  const kept = stored(namesKey(manifest)).value;
  const view = useMemo(() => {
    const names = Array.from({ length: manifest.n_heads }, (_, row) => headName(manifest, row));
    return makeView({ manifest, cut: clusters, heads, classes: [], names }, keptNames(kept));
  }, [manifest, clusters, heads, kept]);
  const asked = {
    over: over.value,
    ranked: over.value === "feature" ? (choice?.ranked ?? null) : null,
    by: by.value,
    bins: bins.value,
    nClusters: nClusters.value,
    models: modelsParam.value,
  };
  const gathered = useMemo(() => gather(view, asked), [view, dark.value, ...Object.values(asked)]);
  return (
    <>
      <div class="toolbar trend-toolbar">
        <CutControls manifest={manifest} clusters={clusters} />
      </div>
      <Controls manifest={manifest} choice={choice} />
      <div class="toolbar trend-toolbar">
        <ExportMenu
          target={() => figure.current}
          name={`cluster trends ${clusters.clustering.method}`}
          data={[{ title: "CSV", extension: "csv", type: "text/csv", make: () => table(view, gathered) }]}
        />
      </div>
      <div ref={figure}>
        <Panels view={view} gathered={gathered} />
      </div>
      <details class="trend-table">
        <summary>The numbers as a table</summary>
        <Table
          rows={gathered.rows}
          columns={columnsOf(view)}
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

function Panels({ view, gathered }: { view: View; gathered: Gathered }) {
  const { trends, styles, across } = gathered;
  if (trends.length === 0 || styles.length === 0) return <Empty title="There is no cluster to show" />;
  if (over.value !== "size" && panels.value === "groups") return <Stacks view={view} gathered={gathered} />;
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
              most={ownScale.value ? largestShare([trend]) : together}
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
      <a href={href}>{view.title(cluster)}</a> <span class="muted">{size === 1 ? "1 head" : `${size} heads`}</span>
    </figcaption>
  );
}

function Stacks({ view, gathered }: { view: View; gathered: Gathered }) {
  const { trends, styles, across } = gathered;
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
              label={`Shares of clusters in ${style.name} over ${over.value}; the numbers are in the table below`}
            />
          </figure>
        ))}
      </div>
      <p class="muted trend-axis">Across: {across.kind === "share" ? across.title : "parameters"}. Up: share of the heads; heads of other clusters, or of none, are not drawn.</p>
    </>
  );
}
