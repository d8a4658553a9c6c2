import { sort } from "../../state/params";
import { here } from "../../state/url";
import type { TableColumn } from "../../views/table/api";
import { Table } from "../../views/table/view";
import type { ClusterParts } from "./composition";
import type { View } from "./model";
import { picked } from "./params";
import { toggled, type Pick } from "./selection";

/** Classes shown per cluster; the CSV holds all. */
const CLASSES = 3;

/** One row per cluster: size, stability, composition. */
export function ClusterTable({ view }: { view: View }) {
  const columns = columnsOf(view);
  const chosen = picked.value;
  return (
    <Table
      rows={view.parts}
      columns={columns}
      rowKey={(part) => part.cluster}
      label="Clusters"
      sort={sort.value}
      onSort={(next) => sort.set(next)}
      selected={(part) => chosen.some((item) => item.kind === "cluster" && item.number === part.cluster)}
      most={60}
    />
  );
}

/** Return the columns of the table and of the CSV. */
export function columnsOf(view: View): TableColumn<ClusterParts>[] {
  const { manifest, cut } = view;
  const models = manifest.models.length > 1 && manifest.models.length <= 6 ? manifest.models : [];
  return [
    {
      name: "cluster",
      title: "Cluster",
      value: (part) => (part.cluster < 0 ? null : part.cluster),
      cell: (part) => <Name view={view} part={part} />,
    },
    { name: "heads", title: "Heads", numeric: true, value: (part) => part.rows.length },
    {
      name: "stability",
      title: "Stability",
      numeric: true,
      help: "Mean overlap (Jaccard index) with the most similar cluster when prompts are resampled; 1 is always the same cluster. Known for the stored cut only.",
      value: (part) => (cut.stored ? (cut.clustering.jaccard[part.cluster] ?? null) : null),
      cell: (part) => (cut.stored ? cut.clustering.jaccard[part.cluster]?.toFixed(2) : undefined) ?? "–",
    },
    ...models.map(
      (model, place): TableColumn<ClusterParts> => ({
        name: `model ${model.name}`,
        title: model.name,
        numeric: true,
        help: `Heads of ${model.name}`,
        value: (part) => part.models[place] ?? 0,
      }),
    ),
    ...(["Early", "Middle", "Late"] as const).map(
      (title, place): TableColumn<ClusterParts> => ({
        name: title.toLowerCase(),
        title,
        numeric: true,
        help: `Heads in the ${["first", "middle", "last"][place]} third of the layers of their model`,
        value: (part) => part.thirds[place] ?? 0,
      }),
    ),
    {
      name: "classes",
      title: "Known classes",
      help: "Heads of the cluster that are in the class; in brackets, how many times more than in a random draw of heads",
      value: (part) => part.classes.map(describe).join("; "),
      cell: (part) => part.classes.slice(0, CLASSES).map(describe).join("; ") || "–",
    },
  ];
}

function describe({ name, heads, lift }: ClusterParts["classes"][number]): string {
  return `${name} ${heads} (×${lift < 10 ? lift.toFixed(1) : Math.round(lift)})`;
}

function Name({ view, part }: { view: View; part: ClusterParts }) {
  if (part.cluster < 0) return <span class="muted">unclustered</span>;
  const pick: Pick = { kind: "cluster", number: part.cluster };
  return (
    <a class="cluster-name" href={here(picked.to(toggled(picked.value, pick)))} data-help="Select the cluster, or remove it from the selection.">
      <span class="cluster-colour" style={{ background: view.colour(part.cluster) }} aria-hidden="true" />
      {view.title(part.cluster)}
    </a>
  );
}
