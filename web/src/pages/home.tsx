import "./home/page.css";
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { HeadExplanation, Manifest, Prompt } from "../contract/generated";
import { loadClasses, rowsOfClasses } from "../data/classes";
import { metricOf } from "../data/distances";
import { loadExplanation, loadLabels, type Labels } from "../data/explanations";
import { headName, headRow, passing } from "../data/heads";
import { loadPattern } from "../data/patterns";
import { bestProjection, loadProjection } from "../data/projections";
import { isProbe, loadPrompts, promptsById, shortId, viewablePrompts } from "../data/prompts";
import { classes, head, heads, layers, metric, models, nProbes, nPrompts, prompts as promptsParam, seed, where } from "../state/params";
import { useResource } from "../state/resource";
import { link } from "../state/url";
import { ExportMenu } from "../views/export-menu/view";
import { isInside } from "../views/head-map/place";
import { PatternRows } from "../views/pattern-rows/view";
import { Empty, Loaded } from "../views/states/view";
import { choosePrompts, mostItself } from "./head/choose";
import { Controls } from "./head/controls";
import { beginRows, loadNeighbours } from "./head/load";
import { near } from "./head/params";
import { Answer, Evidence } from "./home/answer";
import { loadTokenTable, translator, type Spot } from "./home/cursor";
import { Map, mapWords } from "./home/map";
import { rectangle, side } from "./home/params";
import { Reading } from "./home/reading";
import { RowWords } from "./home/row";
import { benchRows } from "./home/rows";
import { tellingCell, tellingHead } from "./home/telling";
import type { PageProps } from "./page";

/** The workbench: a map of all heads, one head with its verdict, and its look-alikes on the same prompts. */
export default function Home({ manifest }: PageProps) {
  const known = useResource(async () => {
    const chosen = headRow(manifest, head.peek());
    if (chosen !== null) beginRows(manifest, metricOf(manifest, metric.peek()), chosen);
    const [labels, prompts, classes] = await Promise.all([loadLabels(manifest), loadPrompts(manifest), loadClasses(manifest)]);
    return { labels, prompts, classes };
  }, [manifest]);
  if (manifest.n_heads === 0) return <Empty title="This atlas holds no heads" />;
  return (
    <Loaded resource={known} what="the heads" height={600}>
      {({ labels, prompts, classes: all }) => {
        const passes = passing(manifest, {
          models: [...models.value],
          layers: layers.value,
          rows: rowsOfClasses(all, classes.value),
        });
        const row = headRow(manifest, head.value) ?? tellingHead(manifest, labels);
        return <Bench manifest={manifest} labels={labels} prompts={prompts} passes={passes} row={row} />;
      }}
    </Loaded>
  );
}

interface BenchProps {
  manifest: Manifest;
  labels: Labels;
  prompts: Prompt[];
  passes: Uint8Array;
  row: number;
}

function Bench({ manifest, labels, prompts, passes, row }: BenchProps) {
  const picture = useRef<HTMLDivElement>(null);
  const spot = useSignal<Spot | null>(null);
  const pointed = useSignal<number | null>(null);
  const current = metricOf(manifest, metric.value);
  const projection = bestProjection(manifest, current?.name ?? "", 2);
  const placed = useResource(async () => (projection ? loadProjection(manifest, projection) : null), [projection]);
  const neighbours = useResource(
    async () => (current ? loadNeighbours(manifest, current, [row]) : null),
    [manifest, current, row],
  );
  const explanation = useResource(() => loadExplanation(manifest, row), [manifest, row]);
  const isExplained = explanation.status !== "loading";
  const shown = useShownPrompts(prompts, isExplained ? (explanation.value ?? null) : undefined);
  const within = useMemo(() => {
    const [map, area] = [placed.value, rectangle.value];
    return map && area ? Uint8Array.from(map.x, (x, i) => Number(isInside(x, map.y[i] as number, area))) : null;
  }, [placed.value, rectangle.value]);
  const groups = benchRows({
    manifest, labels, row, metric: current, neighbours: neighbours.value ?? null, passes, within, n: near.value,
  });
  const rows = groups.flatMap((group) => group.heads.map((item) => item.row));
  const table = useResource(() => loadTokenTable(manifest, rows), [manifest, rows.join()], { keep: true });
  const translate = useMemo(
    () => translator(manifest, prompts, table.value ?? new globalThis.Map()),
    [manifest, prompts, table.value],
  );
  const first = shown[0]?.place;
  useEffect(() => {
    let isCurrent = true;
    spot.value = null;
    if (first === undefined) return undefined;
    loadPattern(manifest, row, first).then(
      (pattern) => {
        const cell = tellingCell(pattern);
        if (isCurrent && cell && spot.value === null) spot.value = { row, prompt: first, cell };
      },
      () => undefined, // the pattern in the row shows the failure
    );
    return () => {
      isCurrent = false;
    };
  }, [manifest, row, first]);
  const name = headName(manifest, row);
  return (
    <div class="bench">
      <Answer manifest={manifest} labels={labels} row={row}>
        <a href={link("head", head.to(name))}>All evidence and scores</a>
        <a
          href={link(
            "compare",
            head.to(name),
            heads.to(groups.flatMap((group) => group.heads.map((item) => item.head))),
            promptsParam.to(shown.map(({ prompt }) => shortId(prompt))),
          )}
        >
          Compare these heads
        </a>
        {rectangle.value === null ? null : (
          <button type="button" onClick={() => rectangle.set(null)}>
            Clear the rectangle
          </button>
        )}
        <ExportMenu target={() => picture.current} name={`${name}-look-alikes`} />
      </Answer>
      <aside class="bench-side" aria-label="Map and evidence">
        <p class="muted">
          Here you can see what a head does, and which heads do the same.{" "}
          {manifest.n_heads.toLocaleString("en")} heads of {manifest.models.length}{" "}
          {manifest.models.length === 1 ? "model" : "models"}. Click a head to choose it; drag a rectangle to see its
          heads in the rows; zoom in to see mean patterns. {projection ? mapWords(projection, current?.name ?? "") : ""}
        </p>
        <Loaded resource={placed} what="the map" height={290}>
          {(map) =>
            map ? (
              <Map manifest={manifest} labels={labels} placed={map} row={row} shown={rows} pointed={pointed} />
            ) : (
              <Empty title="No map">{manifest.missing["projections"]}</Empty>
            )
          }
        </Loaded>
        <Evidence manifest={manifest} row={row} />
      </aside>
      <div class="bench-rows">
        <Controls manifest={manifest} prompts={prompts} viewable={viewablePrompts(prompts, where.value)} open={false} nearestOnly size={side} />
        <div ref={picture}>
          {isExplained && shown.length === 0 ? <Empty title={where.value.length > 0 ? "No prompt here has these labels" : "No patterns are in this site"}>{manifest.missing["patterns"]}</Empty> : null}
          {current ? null : <Empty title="This atlas holds no distances">{manifest.missing["metrics"]}</Empty>}
          <PatternRows
            groups={groups}
            prompts={shown}
            size={side.value}
            load={(item, prompt) => loadPattern(manifest, item, prompt)}
            info={(item) => <RowWords row={item} />}
            cursor={{
              at: (item, prompt) => (spot.value ? translate(spot.value, item, prompt) : null),
              onMove: (pattern, cell) => (spot.value = { row: pattern.head, prompt: pattern.prompt, cell }),
            }}
            onRow={(item) => (pointed.value = item)}
            marked={pointed.value}
          />
          {neighbours.status === "loading" ? <p class="muted state-loading" aria-busy="true">Loading the distances</p> : null}
          {neighbours.status === "failed" ? (
            <p role="alert">
              {neighbours.error.message} <button type="button" onClick={neighbours.retry}>Try again</button>
            </p>
          ) : null}
        </div>
        {table.value ? <Reading manifest={manifest} prompts={prompts} table={table.value} spot={spot} /> : null}
      </div>
    </div>
  );
}

/** The chosen prompts, or those on which the head is most itself, and probes; none until that is known. */
function useShownPrompts(
  prompts: readonly Prompt[],
  found: HeadExplanation | null | undefined,
): { place: number; prompt: Prompt }[] {
  const asked = [promptsParam.value, nPrompts.value, nProbes.value, seed.value, where.value] as const;
  return useMemo(() => {
    if (found === undefined) return [];
    const viewable = viewablePrompts(prompts, asked[4]);
    const ofGroup = (probes: boolean) => viewable.filter((place) => isProbe(prompts[place] as Prompt) === probes);
    const chosen = promptsById([...prompts], [...asked[0]]).filter((place) => viewable.includes(place));
    return choosePrompts(chosen, mostItself(ofGroup(false), found), asked[1], asked[3], ofGroup(true).slice(0, asked[2])).map((place) => ({
      place,
      prompt: prompts[place] as Prompt,
    }));
  }, [prompts, found, JSON.stringify(asked)]);
}
