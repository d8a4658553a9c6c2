import "./clusters/page.css";
import { useMemo, useRef } from "preact/hooks";
import type { Values } from "../contract/columns";
import type { ClassTag, Clustering, HeadClass, Manifest, Prompt } from "../contract/generated";
import { loadClasses, loadTags } from "../data/classes";
import { writeNames } from "../data/cluster-names";
import { loadMotifShares } from "../data/explanations";
import { headName, headRow, loadHeads, type Heads } from "../data/heads";
import { loadPrompts, viewablePrompts } from "../data/prompts";
import { TERMS } from "../data/terms";
import { heightOfCut } from "../data/tree";
import { heads as headsParam, where } from "../state/params";
import { useResource } from "../state/resource";
import { stored } from "../state/stored";
import { link } from "../state/url";
import { useWidth } from "../state/width";
import { Dendrogram } from "../views/dendrogram/view";
import { csv } from "../views/export-menu/csv";
import { ExportMenu } from "../views/export-menu/view";
import { Term } from "../views/help/view";
import { Loaded } from "../views/states/view";
import { CutControls } from "./clustering/controls";
import { LoadedClusters } from "./clustering/loaded";
import { clustering, cut, minSize, storedCut, useClustering, type CutClustering } from "./clustering/cut";
import { ClusterCards } from "./clusters/cards";
import { Maps } from "./clusters/maps";
import { keptNames, makeView, namesKey, type View } from "./clusters/model";
import { Names } from "./clusters/names";
import { picked } from "./clusters/params";
import { Selected } from "./clusters/selected";
import { selectedRows, toggled } from "./clusters/selection";
import { ClusterTable, columnsOf } from "./clusters/table";
import type { PageProps } from "./page";

/** Clusters of heads: cut, tree, grids, table and names. */
export default function Clusters({ manifest }: PageProps) {
  const clusters = useClustering(manifest);
  const data = useResource(async () => {
    const [heads, classes, tags, shares, prompts] = await Promise.all([
      loadHeads(manifest),
      loadClasses(manifest),
      loadTags(manifest),
      loadMotifShares(manifest),
      loadPrompts(manifest),
    ]);
    return { heads, classes, tags, shares, prompts };
  }, [manifest]);
  return (
    <>
      <h1>Clusters</h1>
      <p class="muted">Here you can see which heads are alike and what they have in common: cut the tree, select clusters, and give them names.</p>
      <LoadedClusters manifest={manifest} resource={clusters} height={500}>
        {(clustered) => (
          <Loaded resource={data} what="the heads" height={500}>
            {(loaded) => <Content manifest={manifest} clusters={clustered} {...loaded} />}
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
  classes: readonly HeadClass[];
  tags: readonly ClassTag[];
  shares: readonly Values[];
  prompts: readonly Prompt[];
}

function Content({ manifest, clusters, heads, classes, tags, shares, prompts }: ContentProps) {
  const figure = useRef<HTMLDivElement>(null);
  const kept = stored(namesKey(manifest));
  const known = useMemo(() => keptNames(kept.value), [kept.value]);
  const names = useMemo(
    () => Array.from({ length: manifest.n_heads }, (_, row) => headName(manifest, row)),
    [manifest],
  );
  const view = useMemo(
    () => makeView({ manifest, cut: clusters, heads, classes, names }, known),
    [manifest, clusters, heads, classes, names, known],
  );
  const picks = picked.value;
  const single = headsParam.value;
  const rows = useMemo(() => {
    const clustered = single.flatMap((name) => headRow(manifest, name) ?? []);
    return selectedRows(clustered, picks, clusters.labels, clusters.linkage);
  }, [single, picks, clusters]);
  const selected = useMemo(() => new Set(rows), [rows]);
  const viewable = useMemo(() => viewablePrompts(prompts, where.value), [prompts, where.value]);
  const last = picks.findLast((pick) => pick.kind === "cluster")?.number ?? 0;
  return (
    <>
      <div class="toolbar cluster-heading">
        <CutControls manifest={manifest} clusters={clusters} also={[picked.to([])]} />
        <ExportMenu target={() => figure.current} name={`clusters ${clusters.clustering.method}`} data={[tableData(view)]} />
      </div>
      <div ref={figure}>
        <Summary view={view} />
        {clusters.linkage && clusters.linkage.length > 0 ? (
          <Tree view={view} linkage={clusters.linkage} selected={selected} />
        ) : null}
        <ClusterCards {...{ view, shares, tags, prompts }} />
        <div class="cluster-columns">
          <div>
            <Maps view={view} selected={selected} />
          </div>
          <div class="cluster-table">
            <ClusterTable view={view} />
          </div>
        </div>
      </div>
      <Selected view={view} rows={rows} prompts={prompts} viewable={viewable} />
      <Names view={view} known={known} cluster={last} onChange={(next) => kept.set(writeNames(next))} />
    </>
  );
}

/** The number of clusters, and their stability. */
function Summary({ view }: { view: View }) {
  const { cut: clustered, parts } = view;
  const clusters = parts.filter((part) => part.cluster >= 0);
  const nUnclustered = parts.find((part) => part.cluster < 0)?.rows.length ?? 0;
  const { adjusted_rand_mean: mean, adjusted_rand_spread: spread } = clustered.clustering;
  return (
    <p>
      {clusters.length} {clusters.length === 1 ? "cluster" : "clusters"} of {clustered.labels.length - nUnclustered} heads
      {nUnclustered > 0 ? `, ${nUnclustered} unclustered` : ""}.{" "}
      {clustered.stored && mean !== null ? (
        <>
          Agreement with clusterings of resampled prompts (<Term help={TERMS.rand}>adjusted Rand index</Term>):{" "}
          {mean.toFixed(2)}
          {spread === null ? "" : ` ± ${spread.toFixed(2)}`}.{" "}
        </>
      ) : clustered.stored ? null : (
        "The stability of a cut made here is not known. "
      )}
      {clustered.stored ? <Validity clustering={clustered.clustering} /> : null}
      <a data-export="no" href={link("cluster-trends", clustering.to(clustering.value), cut.to(cut.value), minSize.to(minSize.value))}>
        Trends over depth
      </a>
    </p>
  );
}

/** Whether the clusters are more stable than those of data without clusters. */
function Validity({ clustering: { adjusted_rand_mean: mean, validity } }: { clustering: Clustering }) {
  if (!validity) return null;
  const lines: string[] = [];
  const { reference, reference_largest: largest } = validity;
  if (validity.reference_draws === 0) {
    lines.push("In one Gaussian the same clustering finds no clusters, or one dominates.");
  }
  const agreements = [
    ["two disjoint halves of the prompts", validity.disjoint_halves],
    ["halves without a common source", validity.disjoint_sources],
    ["disjoint halves of the Gaussian", validity.reference_halves],
    ["other seeds", validity.seeds],
  ] as const;
  const known = agreements.flatMap(([name, value]) => (value === null ? [] : [`${name} ${value.toFixed(2)}`]));
  if (known.length > 0) lines.push(`Agreement of ${known.join(", ")}.`);
  return (
    <>
      {validity.warning === null ? null : <strong>Warning: {validity.warning}. </strong>}
      {mean !== null && reference !== null && largest !== null ? (
        <>
          The same clustering of <Term help={TERMS.gaussian}>one Gaussian</Term>: {reference.toFixed(2)}
          {mean > largest ? ". " : ", so the agreement is no evidence of clusters. "}
        </>
      ) : null}
      {lines.join(" ")}{" "}
    </>
  );
}

function Tree(props: { view: View; linkage: Float32Array; selected: ReadonlySet<number> }) {
  const { view, linkage, selected } = props;
  const { ref, width } = useWidth<HTMLDivElement>();
  const how = cut.value ?? storedCut(view.cut.clustering, view.cut.labels);
  return (
    <div ref={ref} class="cluster-tree">
      {width > 0 ? (
        <Dendrogram
          linkage={linkage}
          cutHeight={heightOfCut(linkage, how)}
          labels={view.cut.labels}
          colour={view.colour}
          selected={selected}
          leafName={(leaf) => view.names[leaf] ?? ""}
          onPick={(node) => picked.set(toggled(picked.peek(), { kind: "branch", number: node }))}
          width={width}
          height={190}
          label={`Tree of ${view.names.length} heads`}
        />
      ) : null}
    </div>
  );
}

/** The table of clusters as CSV, with the heads of each cluster. */
function tableData(view: View) {
  const columns = columnsOf(view);
  const titles = ["Name", ...columns.map((column) => column.title), "Members"];
  return {
    title: "CSV",
    extension: "csv",
    type: "text/csv",
    make: () =>
      csv(
        titles,
        view.parts.map((part) => [
          view.title(part.cluster),
          ...columns.map((column) => column.value(part)),
          part.rows.map((row) => view.names[row]).join("; "),
        ]),
      ),
  };
}
