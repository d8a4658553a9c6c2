// Where the heads are: by a projection of a metric, or by axes of the reader's choice.

import type { Manifest, Projection } from "../../contract/generated";
import { composed } from "../../data/composed";
import { metricOf } from "../../data/distances";
import { bestProjection, findProjection, loadProjection, projectedMetrics, projectionId } from "../../data/projections";
import { metric } from "../../state/params";
import { change } from "../../state/url";
import { Grouped } from "../../views/controls/grouped";
import { Select } from "../../views/controls/view";
import { Fix } from "../../views/states/view";
import type { PointAxis } from "../../views/points-3d/api";
import * as params from "./params";

/** Return the projection in the link; null if the link names axes; the best flat one if it names neither. */
export function projectionNow(manifest: Manifest): Projection | null {
  const asked = params.projection.value;
  if (asked !== "") return findProjection(manifest, asked);
  if (params.x.value !== "" || params.y.value !== "") return null;
  const by = metricOf(manifest, metric.value)?.name ?? "";
  const nComponents = params.dimensions.value === "3" ? 3 : 2;
  return bestProjection(manifest, by, nComponents) ?? bestProjection(manifest, by, 5 - nComponents) ?? null;
}

/** Return whether the picture is flat: so it is without a third dimension of the projection. */
export function isFlat(projection: Projection | null): boolean {
  if (params.dimensions.value !== "auto") return params.dimensions.value === "2";
  return (projection?.n_components ?? 2) === 2;
}

/** Change between two and three dimensions: to the projection of the same kind, if there is one. */
export function setFlat(manifest: Manifest, projection: Projection | null, flat: boolean): void {
  const [wanted, same] = [flat ? 2 : 3, (item: Projection) => projectionId({ ...item, n_components: 0 })];
  const counterpart =
    projection && projection.n_components !== wanted
      ? (manifest.projections.find((item) => item.n_components === wanted && same(item) === same(projection)) ??
        bestProjection(manifest, projection.metric, wanted))
      : undefined;
  const place = counterpart ? [params.projection.to(projectionId(counterpart)), params.view.to("")] : [];
  change([params.dimensions.to(flat ? "2" : "3"), ...place]);
}

/** Load the coordinates of a projection; heads outside of its scope have none. */
export async function projectionAxes(manifest: Manifest, id: string): Promise<PointAxis[]> {
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

/** Choice of the metric, the best first, and of its projections, the most trustworthy first. */
export function PlacingSelects({ manifest, projection }: { manifest: Manifest; projection: Projection | null }) {
  const metrics = projectedMetrics(manifest);
  const by = projection?.metric ?? metrics[0] ?? "";
  const trust = (item: Projection) => item.trustworthiness ?? 0;
  const options = manifest.projections
    .filter((item) => item.metric === by)
    .sort((a, b) => trust(b) - trust(a))
    .map((item) => ({ value: projectionId(item), title: shortTitle(item), group: groupTitle(item) }));
  const groups = [...new Set(options.map((item) => item.group))].sort();
  const anew = [params.view.to(""), params.dimensions.to("auto")];
  const noAxes = [params.x.to(""), params.y.to(""), params.z.to("")];
  return (
    <>
      {metrics.length > 1 ? (
        <Select
          label="Metric"
          value={by}
          options={metrics.map((name, place) => ({ value: name, title: place === 0 ? `${name} (best)` : name, help: titleOfMetric(manifest, name) }))}
          onChange={(next) => change([metric.to(next), params.projection.to(""), ...noAxes, ...anew])}
        />
      ) : null}
      <Grouped
        label="Projection"
        value={projection ? projectionId(projection) : ""}
        options={[
          ...groups.flatMap((group) => options.filter((item) => item.group === group)),
          { value: "", title: "axes of your choice", group: "Without a projection" },
        ]}
        onChange={(next) =>
          change([
            params.projection.to(next),
            ...anew,
            ...(next === "" ? [params.x.to("component 1"), params.y.to("component 2"), params.z.to("component 3")] : noAxes),
          ])
        }
      />
    </>
  );
}

/** A metric of the atlas, which the reader asked for, without projections. */
export function NoProjection({ manifest, shown }: { manifest: Manifest; shown: Projection | null }) {
  const asked = metricOf(manifest, metric.value)?.name;
  if (asked === undefined || params.projection.value !== "" || projectedMetrics(manifest).includes(asked)) return null;
  return (
    <p class="muted">
      This atlas has no projection by {asked}{shown ? composed`; the points are placed by ${shown.metric}` : ""}.{" "}
      <Fix text={manifest.missing["projections"] ?? `Run \`motifs project --metric ${asked}\`, then \`motifs site\``} />
    </p>
  );
}

/** Return the name of a projection in words. */
export function projectionTitle(projection: Projection): string {
  const { scope, metric: by, method, n_neighbors: n, n_components } = projection;
  return composed`${method} ${n_components}-D${n > 0 ? `, ${n} neighbours` : ""}, ${by}, ${scope}`;
}

function shortTitle({ method, n_neighbors: n, trustworthiness: trust }: Projection): string {
  return `${method}${n > 0 ? `, ${n} neighbours` : ""}${trust === null ? "" : ` · trustworthiness ${trust.toFixed(3)}`}`;
}

function groupTitle({ n_components, scope }: Projection): string {
  return composed`${n_components}-D, ${scope === "all" ? "all heads" : `heads of ${scope}`}`;
}

function titleOfMetric(manifest: Manifest, name: string): string {
  return manifest.metrics.find((item) => item.name === name)?.title ?? "";
}
