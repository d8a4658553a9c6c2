import { useRef, useState } from "preact/hooks";
import type { HeadClass, Manifest, Prompt } from "../../contract/generated";
import { loadClasses, rowsOfClasses, type TaggedClass } from "../../data/classes";
import { depthPercentile, loadQuantiles, metricOf, nullPercentile } from "../../data/distances";
import { headName, passing } from "../../data/heads";
import { nearByChance } from "../../data/nearness";
import { labelText, loadLabels, type Labels } from "../../data/explanations";
import { loadPattern } from "../../data/patterns";
import { shortId } from "../../data/prompts";
import { classes, heads, layers, metric, models, prompts as promptsParam, seed, size } from "../../state/params";
import { useResource, type Resource } from "../../state/resource";
import { link } from "../../state/url";
import { ExportMenu } from "../../views/export-menu/view";
import { csv } from "../../views/export-menu/csv";
import { PatternRows } from "../../views/pattern-rows/view";
import type { RowGroup } from "../../views/pattern-rows/api";
import { Empty, Loaded } from "../../views/states/view";
import { chooseRows, type Shown } from "./choose";
import { classMates, loadNeighbours, type Neighbours } from "./load";
import { far, near, random, same } from "./params";
import { RowInfo, type InfoRow } from "./row-info";

interface Props {
  manifest: Manifest;
  query: readonly number[];
  byHead: ReadonlyMap<number, TaggedClass[]>;
  prompts: readonly { place: number; prompt: Prompt }[];
}

/** The rows of patterns: this head, then nearest, same-class, random and farthest heads. */
export function Rows(props: Props) {
  const { manifest, query } = props;
  const current = metricOf(manifest, metric.value);
  // The head whose rows of a large layer were asked for.
  const [whole, setWhole] = useState<number | null>(null);
  const loaded = useResource(
    async () => {
      if (!current) return null;
      const [neighbours, known, labels] = await Promise.all([
        loadNeighbours(manifest, current, query, whole === query[0]),
        loadClasses(manifest),
        loadLabels(manifest),
      ]);
      const hasPercentiles = neighbours.block !== null && neighbours.nNearest === null;
      const quantiles = hasPercentiles ? await loadQuantiles(manifest, current, query[0] as number).catch(() => null) : null;
      return { neighbours, known, labels, quantiles };
    },
    [current, query.join(), whole],
  );
  if (!current) {
    return <Empty title="This atlas holds no distances">{manifest.missing["distances"]}</Empty>;
  }
  return <Ready {...props} loaded={loaded} onWhole={() => setWhole(query[0] ?? null)} />;
}

/** What the rows of other heads need. */
interface Known {
  neighbours: Neighbours;
  known: HeadClass[];
  labels: Labels;
  quantiles: Float32Array | null;
}

interface ReadyProps extends Props {
  loaded: Resource<Known | null>;
  /** Load the rows of the whole layer. */
  onWhole: () => void;
}

/** The row of the viewed head, which waits for nothing, and the others once their distances are loaded. */
function Ready(props: ReadyProps) {
  const { manifest, query, prompts, loaded } = props;
  const place = useRef<HTMLDivElement>(null);
  const known = loaded.value ?? null;
  const neighbours = known?.neighbours ?? null;
  const groups = groupsOf(props, known);
  const names = [...new Set(groups.flatMap((group) => group.heads.map((head) => head.head)))];
  const all = link(
    "compare",
    heads.to(names),
    promptsParam.to(prompts.map(({ prompt }) => shortId(prompt))),
  );
  return (
    <div class="head-rows">
      <div class="toolbar head-rows-bar">
        <a class="button" href={all}>
          Compare all {names.length} heads
        </a>
        {neighbours === null || neighbours.omitted === 0 ? null : (
          <button type="button" onClick={props.onWhole}>
            Percentiles and chance (fetches {(neighbours.omitted / 1e6).toPrecision(2)} MB)
          </button>
        )}
        <ExportMenu
          target={() => place.current}
          name={`${names[0] ?? "head"}-rows`}
          data={
            neighbours === null
              ? []
              : [{ title: "CSV", extension: "csv", type: "text/csv", make: () => table(manifest, neighbours) }]
          }
        />
      </div>
      <div ref={place} class="head-rows-picture">
        {prompts.length === 0 ? (
          <Empty title="No patterns are in this site">{manifest.missing["patterns"]}</Empty>
        ) : null}
        <PatternRows
          groups={groups}
          prompts={prompts}
          size={size.value}
          load={(row, prompt) => loadPattern(manifest, row, prompt)}
          info={(row, group) => (
            <RowInfo
              row={row}
              total={neighbours?.nNearest === null ? neighbours.order.length : manifest.n_heads - query.length}
              byHead={props.byHead}
              first={group.key === "this"}
            />
          )}
        />
        <Loaded resource={loaded} what="the distances" height={500}>
          {() => null}
        </Loaded>
      </div>
    </div>
  );
}

function groupsOf(props: ReadyProps, known: Known | null): RowGroup<InfoRow>[] {
  const { manifest, query, byHead } = props;
  const these = query.map((row) => ({
    row,
    head: headName(manifest, row),
    label: known ? labelText(manifest, known.labels, row) : "",
    distance: 0,
    rank: 0,
    share: 0,
    percentile: null,
    depth: null,
    chance: null,
  }));
  const first = { key: "this", title: query.length > 1 ? "These heads" : "This head", heads: these };
  if (known === null) return [first];
  const { neighbours, labels, quantiles } = known;
  const passes = passing(manifest, {
    models: [...models.value],
    layers: layers.value,
    rows: rowsOfClasses(known.known, classes.value),
  });
  const chosen = chooseRows({
    order: neighbours.order,
    distances: neighbours.distances,
    ranks: neighbours.ranks,
    passes,
    mates: classMates(byHead, query),
    counts: { near: near.value, far: far.value, same: same.value, random: random.value },
    seed: seed.value,
  });
  const chance = neighbours.block
    ? nearByChance(manifest, neighbours.block, query[0] as number, passes, chosen.near.map(({ row }) => row))
    : null;
  const top = Math.max(...neighbours.order.slice(-1).map((row) => neighbours.distances[row] as number), 0);
  const infos = (shown: readonly Shown[]): InfoRow[] =>
    shown.map(({ row, distance, rank }, place) => ({
      row,
      head: headName(manifest, row),
      label: labelText(manifest, labels, row),
      distance,
      rank,
      share: top > 0 ? distance / top : 0,
      percentile: neighbours.block
        ? nullPercentile(manifest, neighbours.block, query[0] as number, row)
        : null,
      depth:
        quantiles && query.length === 1
          ? depthPercentile(manifest, quantiles, query[0] as number, row, distance)
          : null,
      chance: shown === chosen.near ? (chance?.[place] ?? null) : null,
    }));
  const none = "No head matches the filters.";
  // With the nearest heads only, none is far, and a sample of them is not random.
  const nearest = neighbours.nNearest;
  const few = nearest === null ? none : `This atlas has the distances of the nearest ${nearest} heads only.`;
  const groupOf = (n: number, key: string, title: string, help: string, shown: readonly Shown[], empty = none) =>
    n === 0 ? [] : [{ key, title, help, heads: infos(shown), empty }];
  return [
    first,
    ...groupOf(near.value, "near", "Nearest", "", chosen.near),
    ...groupOf(same.value, "same", "Same class", "a random sample", chosen.same, "No other head that matches the filters shares a class with it."),
    ...groupOf(random.value, "random", "Random", "", nearest === null ? chosen.random : [], few),
    ...groupOf(far.value, "far", "Farthest", "", nearest === null ? chosen.far : [], few),
  ];
}

/** Return all heads by distance, as CSV. */
function table(manifest: Manifest, { order, distances, ranks }: Neighbours): string {
  const rows = order.map((row) => [headName(manifest, row), distances[row] ?? null, ranks[row] ?? null]);
  return csv(["head", "distance", "rank"], rows);
}
