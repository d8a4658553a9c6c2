import { useMemo } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { composed } from "../data/composed";
import { headName, headRow } from "../data/heads";
import { findProjection, loadProjection, mostTrustworthy, projectionId } from "../data/projections";
import { classes, colour, head as headParam, heads as headsParam, layers, models } from "../state/params";
import { useResource } from "../state/resource";
import { change, go, link } from "../state/url";
import { Select } from "../views/controls/view";
import type { PointAxis } from "../views/points-3d/api";
import { Empty, Loaded } from "../views/states/view";
import { filteredHeads, loadBase, type Base } from "./points/base";
import { AxisSelects, Bar, ColumnSelect, FlatCheck, HeadFilters, PointStyling } from "./points/bar";
import { colourColumn, headColumns } from "./points/columns";
import { chosenAxes, loadAxes } from "./points/axes";
import { useColouring } from "./points/colouring";
import * as params from "./points/params";
import { Plot } from "./points/plot";
import { HeadPreview } from "./points/preview";
import type { PageProps } from "./page";

/** Every head as a point. */
export default function Heads3d({ manifest }: PageProps) {
  const base = useResource(() => loadBase(manifest), [manifest]);
  return (
    <>
      <h1>Heads in 3-D</h1>
      <Loaded resource={base} what="the heads" height={500}>
        {(loaded) => <Body manifest={manifest} base={loaded} />}
      </Loaded>
    </>
  );
}

/** The projection in the link; null if the link names axes; the most trustworthy 3-D one if it names neither. */
function projectionNow(manifest: Manifest) {
  const asked = params.projection.value;
  if (asked !== "") return findProjection(manifest, asked);
  if (params.x.value !== "" || params.y.value !== "") return null;
  const ofAll = manifest.projections.filter((projection) => projection.scope === "all");
  return mostTrustworthy(ofAll.filter((projection) => projection.n_components === 3)) ?? mostTrustworthy(ofAll) ?? null;
}

async function projectionAxes(manifest: Manifest, id: string): Promise<PointAxis[]> {
  const projection = findProjection(manifest, id);
  if (!projection) throw new Error(`This atlas has no projection ${id}.`);
  const placed = await loadProjection(manifest, projection);
  return [placed.x, placed.y, placed.z].flatMap((column, k) => {
    if (!column) return [];
    const values = new Float32Array(manifest.n_heads).fill(Number.NaN);
    values.set(column, placed.firstRow);
    return [{ title: `${projection.method} ${k + 1}`, values, unit: "projection" }];
  });
}

function Body({ manifest, base }: { manifest: Manifest; base: Base }) {
  const columns = useMemo(() => headColumns(manifest, base.heads), [manifest, base]);
  const projection = projectionNow(manifest);
  const id = projection ? projectionId(projection) : "";
  const unknown = params.projection.value !== "" && !projection;
  const ids = chosenAxes(columns, "component");
  const colourId = colourColumn(columns, colour.value, true);
  const axes = useResource(
    () => (id === "" ? loadAxes(columns, ids) : projectionAxes(manifest, id)),
    [columns, id, ids.join()],
    { keep: true },
  );
  const colouring = useColouring(columns, colourId);
  const filter = { models: models.value, layers: layers.value, classes: classes.value };
  const passing = useMemo(() => filteredHeads(manifest, base, filter), [manifest, base, JSON.stringify(filter)]);
  const named = [headParam.value, ...headsParam.value].filter(Boolean);
  const labels = useMemo(
    () =>
      [...new Set(named)].flatMap((name) => {
        const row = headRow(manifest, name);
        return row === null ? [] : [{ point: row, label: headName(manifest, row) }];
      }),
    [manifest, named.join("\n")],
  );
  if (columns.length === 0) return <Empty title="This atlas holds no heads" />;
  const open = (row: number) => go(link("head", headParam.to(headName(manifest, row))));
  return (
    <>
      <p class="muted">
        Here you can explore all heads. Each point is a head; near points have similar patterns. Hover to see
        patterns, click to open the head.{" "}
        <a href={link("projections")}>All projections</a>
      </p>
      {unknown ? <p role="alert">This atlas has no projection “{params.projection.value}”. The points are placed by the axes below.</p> : null}
      <Bar>
        <Select
          label="Place by"
          value={id}
          options={[{ value: "", title: "axes of your choice" }, ...manifest.projections.map((projection) => ({ value: projectionId(projection), title: titleOf(projection) }))]}
          onChange={(next) =>
            change([
              params.projection.to(next),
              params.view.to(""),
              ...(next === "" ? [params.x.to("component 1"), params.y.to("component 2"), params.z.to("component 3")] : [params.x.to(""), params.y.to(""), params.z.to("")]),
            ])
          }
        />
        {id === "" ? <AxisSelects columns={columns} ids={ids} /> : null}
        <ColumnSelect label="Colour" value={colourId} columns={columns} onChange={(next) => params.colourBy(next)} />
        <HeadFilters manifest={manifest} base={base} />
        <FlatCheck />
        <PointStyling />
        <a href={link("heads-3d", ...params.unfiltered())}>Reset all</a>
      </Bar>
      {projection?.note ? <p class="muted">{projection.note}</p> : null}
      <Loaded resource={axes} what="the positions of the heads" height={500}>
        {(placed) => (
          <Loaded resource={colouring} what="the colours" height={500}>
            {(coloured) => (
              <Plot
                n={manifest.n_heads}
                axes={placed}
                colouring={coloured.colouring}
                colourId={coloured.id}
                columns={columns}
                passing={passing}
                labels={labels}
                label={projection ? `Heads, ${titleOf(projection)}` : "Heads"}
                fileName="heads"
                preview={(row, colourText) => <HeadPreview manifest={manifest} base={base} colourText={colourText} row={row} />}
                onOpen={open}
                onClick={open}
                naming={{ titles: ["head"], of: (row) => [headName(manifest, row)] }}
                actions={(rows) => <Actions manifest={manifest} rows={rows} />}
              />
            )}
          </Loaded>
        )}
      </Loaded>
    </>
  );
}

function titleOf(projection: Manifest["projections"][number]): string {
  const neighbours = projection.n_neighbors > 0 ? `, ${projection.n_neighbors} neighbours` : "";
  return composed`${projection.method} ${projection.n_components}-D${neighbours}, ${projection.metric}, ${projection.scope}`;
}

/** Links for the selected heads. */
function Actions({ manifest, rows }: { manifest: Manifest; rows: Uint32Array }) {
  const names = [...rows].map((row) => headName(manifest, row));
  return (
    <>
      <a href={link("compare", headsParam.to(names))}>Compare them</a>
      {names.length === 1 ? <a href={link("head", headParam.to(names[0] as string))}>Open the head</a> : null}
    </>
  );
}
