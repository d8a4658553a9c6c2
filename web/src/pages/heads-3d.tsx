import { useMemo } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { headName, headNames, headRow } from "../data/heads";
import { projectionId } from "../data/projections";
import { classes, colour, head as headParam, heads as headsParam, layers, models } from "../state/params";
import { useResource } from "../state/resource";
import { go, link } from "../state/url";
import { Empty, Loaded } from "../views/states/view";
import { filteredHeads, loadBase, type Base } from "./points/base";
import { AxisSelects, Bar, ColumnSelect, FlatCheck, HeadFilters, PointStyling } from "./points/bar";
import { colourColumn, headColumns } from "./points/columns";
import { chosenAxes, loadAxes } from "./points/axes";
import { useColouring } from "./points/colouring";
import * as params from "./points/params";
import { isFlat, NoProjection, PlacingSelects, projectionAxes, projectionNow, projectionTitle, setFlat } from "./points/placing";
import { Plot } from "./points/plot";
import { HeadPreview } from "./points/preview";
import type { PageProps } from "./page";

/** Every head as a point. */
export default function Heads3d({ manifest }: PageProps) {
  const base = useResource(() => loadBase(manifest), [manifest]);
  return (
    <>
      <h1>Cloud of heads</h1>
      <Loaded resource={base} what="the heads" height={500}>
        {(loaded) => <Body manifest={manifest} base={loaded} />}
      </Loaded>
    </>
  );
}

function Body({ manifest, base }: { manifest: Manifest; base: Base }) {
  const columns = useMemo(() => headColumns(manifest, base.heads), [manifest, base]);
  const projection = projectionNow(manifest);
  const id = projection ? projectionId(projection) : "";
  const unknown = params.projection.value !== "" && !projection;
  const flat = isFlat(projection);
  const turn = (next: boolean) => setFlat(manifest, projection, next);
  const ids = chosenAxes(columns, "component");
  const colourId = colourColumn(columns, colour.value);
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
        <PlacingSelects manifest={manifest} projection={projection} />
        {id === "" ? <AxisSelects columns={columns} ids={ids} /> : null}
        <ColumnSelect label="Colour" value={colourId} columns={columns} onChange={(next) => params.colourBy(next)} />
        <HeadFilters manifest={manifest} base={base} />
        <FlatCheck flat={flat} onChange={turn} />
        <PointStyling n={manifest.n_heads} />
        <a href={link("heads-3d", ...params.unfiltered())}>Reset all</a>
      </Bar>
      <NoProjection manifest={manifest} shown={projection} />
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
                flat={flat}
                onFlat={turn}
                passing={passing}
                labels={labels}
                label={projection ? `Heads, ${projectionTitle(projection)}` : "Heads"}
                fileName="heads"
                preview={(row, colourText) => <HeadPreview manifest={manifest} base={base} colourText={colourText} row={row} />}
                onOpen={open}
                onClick={open}
                naming={() => [{ title: "head", every: 1, labels: headNames(manifest) }]}
                actions={(rows) => <Actions manifest={manifest} rows={rows} />}
              />
            )}
          </Loaded>
        )}
      </Loaded>
    </>
  );
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
