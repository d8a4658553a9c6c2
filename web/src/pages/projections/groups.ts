// The stored projections as tables: one per scope, with a row per method, metric and dimension, and a
// column per number of neighbours.

import type { Projection } from "../../contract/generated";

export interface ProjectionRow {
  method: string;
  metric: string;
  dimensions: number;
  /** In the order of `ProjectionTable.neighbours`; null where there is none. */
  cells: (Projection | null)[];
}

export interface ProjectionTable {
  scope: string;
  /** Numbers of neighbours of the columns; empty if no method has neighbours. */
  neighbours: number[];
  rows: ProjectionRow[];
}

/** Filters; an empty list passes all. */
export interface ProjectionFilter {
  scope: string;
  methods: readonly string[];
  metrics: readonly string[];
  dimensions: number | null;
}

/** The scope that stands for all scopes. */
export const EVERY = "every scope";

/** Return whether a projection passes the filters. */
export function projectionPasses(projection: Projection, filter: ProjectionFilter): boolean {
  return (
    (filter.scope === EVERY || projection.scope === filter.scope) &&
    (filter.methods.length === 0 || filter.methods.includes(projection.method)) &&
    (filter.metrics.length === 0 || filter.metrics.includes(projection.metric)) &&
    (filter.dimensions === null || projection.n_components === filter.dimensions)
  );
}

/** Arrange projections in tables. Methods without neighbours (0) have the first column, so that none is empty. */
export function projectionTables(projections: readonly Projection[]): ProjectionTable[] {
  const scopes = [...new Set(projections.map((projection) => projection.scope))];
  return scopes.map((scope) => {
    const within = projections.filter((projection) => projection.scope === scope);
    const neighbours = [...new Set(within.map((projection) => projection.n_neighbors))].filter((n) => n > 0).sort((a, b) => a - b);
    const rows = new Map<string, ProjectionRow>();
    for (const projection of within) {
      const key = [projection.method, projection.metric, projection.n_components].join("\n");
      let row = rows.get(key);
      if (!row) {
        row = { method: projection.method, metric: projection.metric, dimensions: projection.n_components, cells: (neighbours.length === 0 ? [0] : neighbours).map(() => null) };
        rows.set(key, row);
      }
      row.cells[Math.max(0, neighbours.indexOf(projection.n_neighbors))] = projection;
    }
    return { scope, neighbours, rows: [...rows.values()] };
  });
}

/** Return the best projections for each number of dimensions; all of them on a tie. */
export function best(projections: readonly Projection[], measure: "trustworthiness" | "continuity"): Set<Projection> {
  const leading = new Set<Projection>();
  for (const dimensions of new Set(projections.map((projection) => projection.n_components))) {
    const same = projections.filter((projection) => projection.n_components === dimensions);
    const top = Math.max(...same.map((projection) => projection[measure] ?? Number.NEGATIVE_INFINITY));
    for (const projection of same) if (projection[measure] === top) leading.add(projection);
  }
  return leading;
}
