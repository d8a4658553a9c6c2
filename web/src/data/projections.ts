// Projections of the heads to two or three dimensions.

import type { Manifest, Projection } from "../contract/generated";
import { headCount } from "./heads";
import { floats } from "./source";

/** A projection with its coordinates. */
export interface Placed {
  projection: Projection;
  /** Row of the first coordinate. */
  firstRow: number;
  n: number;
  x: Float32Array;
  y: Float32Array;
  /** Null in two dimensions. */
  z: Float32Array | null;
}

/** Return the id of a projection in links. */
export function projectionId(projection: Projection): string {
  const { scope, metric, method, n_neighbors, n_components } = projection;
  return [method, metric, n_neighbors, `${n_components}d`, scope].join(",");
}

/** Return the projection with an id. */
export function findProjection(manifest: Manifest, id: string): Projection | null {
  return manifest.projections.find((projection) => projectionId(projection) === id) ?? null;
}

/** Return the projection with the highest trustworthiness; undefined if there are none. */
export function mostTrustworthy(projections: readonly Projection[]): Projection | undefined {
  const trust = (projection: Projection) => projection.trustworthiness ?? 0;
  return [...projections].sort((a, b) => trust(b) - trust(a))[0];
}

/** Return the metrics that have projections: in the order of the atlas, whose best metric is the first. */
export function projectedMetrics(manifest: Manifest): string[] {
  const projected = new Set(manifest.projections.map((projection) => projection.metric));
  const known = manifest.metrics.map((metric) => metric.name).filter((name) => projected.has(name));
  return [...new Set([...known, ...projected])];
}

/** Return the most trustworthy projection of all heads by a metric; by the best metric that has one if it has none. */
export function bestProjection(manifest: Manifest, metric: string, nComponents: number): Projection | undefined {
  const all = manifest.projections.filter((item) => item.scope === "all" && item.n_components === nComponents);
  const by = [metric, ...projectedMetrics(manifest)].find((name) => all.some((item) => item.metric === name));
  return mostTrustworthy(all.filter((item) => item.metric === by));
}

/** Load the coordinates of a projection. */
export async function loadProjection(manifest: Manifest, projection: Projection): Promise<Placed> {
  const model = manifest.models.find((model) => model.name === projection.scope);
  const n = model ? headCount(model) : manifest.n_heads;
  const all = await floats(projection.file, n * projection.n_components);
  return {
    projection,
    firstRow: model?.first_row ?? 0,
    n,
    x: all.subarray(0, n),
    y: all.subarray(n, 2 * n),
    z: projection.n_components > 2 ? all.subarray(2 * n, 3 * n) : null,
  };
}
