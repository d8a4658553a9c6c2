import { useMemo } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { headName, headNames, headRow } from "../data/heads";
import { isLive } from "../data/live";
import { ofPoint, pointOf } from "../data/points";
import { hasLabels, promptsById, shortId } from "../data/prompts";
import { classes, colour, head as headParam, layers, models, prompt as promptParam, where } from "../state/params";
import { useResource } from "../state/resource";
import { go, link } from "../state/url";
import { Check } from "../views/controls/view";
import { LabelFilter } from "../views/label-filter/view";
import { Empty, Loaded } from "../views/states/view";
import { chosenAxes, loadAxes } from "./points/axes";
import { both, filteredHeads, loadBase, perPattern, perPrompt, type Base } from "./points/base";
import { AxisSelects, Bar, ColumnSelect, FlatCheck, HeadFilters, PointStyling } from "./points/bar";
import { colourColumn, patternColumns } from "./points/columns";
import { useColouring } from "./points/colouring";
import * as params from "./points/params";
import { isFlat } from "./points/placing";
import { Plot } from "./points/plot";
import { patternLink, PatternPreview } from "./points/preview";
import type { PageProps } from "./page";

/** Every pattern as a point. */
export default function Patterns3d({ manifest }: PageProps) {
  const base = useResource(() => loadBase(manifest), [manifest]);
  return (
    <>
      <h1>Cloud of patterns</h1>
      <Loaded resource={base} what="the patterns" height={500}>
        {(loaded) => <Body manifest={manifest} base={loaded} />}
      </Loaded>
    </>
  );
}

function Body({ manifest, base }: { manifest: Manifest; base: Base }) {
  const columns = useMemo(() => patternColumns(manifest, base.heads, base.prompts), [manifest, base]);
  const n = manifest.points.n_prompts * manifest.n_heads;
  const ids = chosenAxes(columns, "component");
  const colourId = colourColumn(columns, colour.value);
  const flat = isFlat(null);
  const turn = (next: boolean) => params.dimensions.set(next ? "2" : "3");
  const axes = useResource(() => loadAxes(columns, ids), [columns, ids.join()], { keep: true });
  const colouring = useColouring(columns, colourId);
  const filter = { models: models.value, layers: layers.value, classes: classes.value };
  const passing = useMemo(
    () =>
      both(
        perPattern(filteredHeads(manifest, base, filter), manifest.points.n_prompts),
        params.kept.value || where.value.length > 0
          ? perPrompt(
              base.prompts,
              manifest.n_heads,
              (prompt) => (prompt.viewable || !params.kept.value) && hasLabels(prompt, where.value),
            )
          : null,
      ),
    [manifest, base, JSON.stringify(filter), params.kept.value, where.value],
  );
  const labels = useMemo(
    () => namedPatterns(manifest, base, headParam.value, promptParam.value),
    [manifest, base, headParam.value, promptParam.value],
  );
  if (n === 0 || manifest.points.components.length < 2) {
    return <Empty title="This atlas holds no embedded patterns">{manifest.missing["points"]}</Empty>;
  }
  return (
    <>
      <p class="muted">
        Here you can explore all patterns. Each point is the pattern of one head on one prompt. Hover to see it, click to pin it, right-click or press Enter to open it.{" "}
        {viewableWords(base, manifest.points.n_prompts, n)}
      </p>
      <Bar>
        <AxisSelects columns={columns} ids={ids} />
        <ColumnSelect label="Colour" value={colourId} columns={columns} onChange={(next) => params.colourBy(next)} />
        <HeadFilters manifest={manifest} base={base} />
        <LabelFilter prompts={base.prompts} where={where.value} onChange={where.set} />
        <FlatCheck flat={flat} onChange={turn} />
        <Check label="With picture" help="Show only patterns that can be viewed" value={params.kept.value} onChange={params.kept.set} />
        <PointStyling n={n} />
        <a href={link("patterns-3d", ...params.unfiltered())}>Reset all</a>
      </Bar>
      <Loaded resource={axes} what="the positions of the patterns" height={500}>
        {(placed) => (
          <Loaded resource={colouring} what="the colours" height={500}>
            {(coloured) => (
              <Plot
                n={n}
                axes={placed}
                colouring={coloured.colouring}
                colourId={coloured.id}
                columns={columns}
                flat={flat}
                onFlat={turn}
                passing={passing}
                labels={labels}
                label="Attention patterns"
                fileName="patterns"
                preview={(point, colourText) => <PatternPreview manifest={manifest} base={base} colourText={colourText} point={point} />}
                onOpen={(point) => {
                  const { head, prompt } = ofPoint(manifest, point);
                  go(patternLink(manifest, base, head, prompt));
                }}
                naming={() => [
                  { title: "head", every: 1, labels: headNames(manifest) },
                  { title: "prompt", every: manifest.n_heads, labels: base.prompts.slice(0, manifest.points.n_prompts).map(({ id }) => id) },
                ]}
              />
            )}
          </Loaded>
        )}
      </Loaded>
    </>
  );
}

/** Return how many points are stored patterns, and what the others show. */
function viewableWords(base: Base, nPrompts: number, n: number): string {
  const viewable = base.prompts.slice(0, nPrompts).filter((prompt) => prompt.viewable).length;
  const count = (viewable * n) / nPrompts;
  if (count === n) return "All points can be viewed as patterns.";
  const rest = isLive() ? "the patterns of the others are computed when opened." : "the others show features, nearest patterns and text.";
  return `${count.toLocaleString("en")} of ${n.toLocaleString("en")} points (${Math.round((100 * count) / n)} %) can be viewed as patterns; ${rest}`;
}

/** Return the pattern in the link; without a prompt, all patterns of the head. */
function namedPatterns(manifest: Manifest, base: Base, name: string, id: string) {
  const row = name === "" ? null : headRow(manifest, name);
  if (row === null) return [];
  const [only] = promptsById(base.prompts, [id]);
  const prompts = only === undefined ? base.prompts.map((_, i) => i) : [only];
  return prompts.map((prompt, i) => ({
    point: pointOf(manifest, row, prompt),
    // Only the first is named: the names would cover each other.
    label: i > 0 ? "" : only === undefined || !base.prompts[only] ? headName(manifest, row) : `${headName(manifest, row)} on ${shortId(base.prompts[only])}`,
  }));
}
