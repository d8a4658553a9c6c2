import "./projections/projections.css";
import { useMemo, useRef } from "preact/hooks";
import type { Manifest, Projection } from "../contract/generated";
import { loadHeads, type Heads } from "../data/heads";
import { choice, list, text } from "../state/codecs";
import { colour } from "../state/params";
import { useResource } from "../state/resource";
import { dark } from "../state/theme";
import { param } from "../state/url";
import { useWidth } from "../state/width";
import { Many, Select } from "../views/controls/view";
import { csv } from "../views/export-menu/csv";
import { ExportMenu } from "../views/export-menu/view";
import { colourPoints, countCategories, type Colouring } from "../views/points-3d/colours";
import { short } from "../views/points-3d/legend";
import { Empty, Loaded } from "../views/states/view";
import type { PageProps } from "./page";
import { ColumnSelect } from "./points/bar";
import { useColouring } from "./points/colouring";
import { colourColumn, headColumns } from "./points/columns";
import { ProjectionCard } from "./projections/card";
import { best, EVERY, projectionPasses, projectionTables, type ProjectionTable } from "./projections/groups";
import { TERMS } from "../data/terms";
import { Term } from "../views/help/view";

/** Scope of the projections: all models or one; empty is the first in the atlas. */
const scope = param("scope", text, "");
const methods = param("methods", list(text), []);
const metrics = param("metrics", list(text), []);
const dimensions = param("dims", choice("all", "2", "3"), "all");

/** Every stored projection as a small picture. */
export default function Projections({ manifest }: PageProps) {
  const heads = useResource(() => loadHeads(manifest), [manifest]);
  return (
    <>
      <h1>Projections</h1>
      {manifest.projections.length === 0 ? (
        <Empty title="This atlas holds no projections">{manifest.missing["projections"]}</Empty>
      ) : (
        <Loaded resource={heads} what="the heads" height={400}>
          {(loaded) => <Body manifest={manifest} heads={loaded} />}
        </Loaded>
      )}
    </>
  );
}

function Body({ manifest, heads }: { manifest: Manifest; heads: Heads }) {
  const frame = useRef<HTMLDivElement>(null);
  const all = manifest.projections;
  const columns = useMemo(() => headColumns(manifest, heads), [manifest, heads]);
  const colourId = colourColumn(columns, colour.value);
  const coloured = useColouring(columns, colourId);
  const scopes = [...new Set(all.map((item) => item.scope))];
  const scopeNow = scope.value === EVERY || scopes.includes(scope.value) ? scope.value : (scopes[0] ?? "");
  const filter = {
    scope: scopeNow,
    methods: methods.value,
    metrics: metrics.value,
    dimensions: dimensions.value === "all" ? null : Number(dimensions.value),
  };
  const shown = all.filter((item) => projectionPasses(item, filter));
  const names = (of: (projection: Projection) => string) => [...new Set(all.map(of))].map((value) => ({ value, title: value }));
  return (
    <>
      <p class="muted">
        Here you can compare the projections; click one to open it. T is <Term help={TERMS.trustworthiness}>trustworthiness</Term>, C is{" "}
        <Term help={TERMS.continuity}>continuity</Term>; the best for each number of dimensions is bold.
      </p>
      <div class="toolbar">
        <Select
          label="Heads of"
          value={scopeNow}
          options={[...scopes.map((value) => ({ value, title: value === "all" ? "all models" : value })), { value: EVERY, title: EVERY }]}
          onChange={(value) => scope.set(value === scopes[0] ? "" : value)}
        />
        <Many label="Methods" values={methods.value} options={names((item) => item.method)} onChange={methods.set} />
        {names((item) => item.metric).length > 1 ? (
          <Many label="Metrics" values={metrics.value} options={names((item) => item.metric)} onChange={metrics.set} />
        ) : null}
        <Select
          label="Dimensions"
          value={dimensions.value}
          options={[
            { value: "all", title: "2 and 3" },
            { value: "2", title: "2" },
            { value: "3", title: "3" },
          ]}
          onChange={dimensions.set}
        />
        <ColumnSelect label="Colour" value={colourId} columns={columns} onChange={colour.set} />
        <ExportMenu target={() => frame.current} name="projections" data={[{ title: "CSV", extension: "csv", type: "text/csv", make: () => asCsv(shown) }]} />
      </div>
      {shown.length === 0 ? (
        <Empty title="No projection matches the filters" />
      ) : (
        <Loaded resource={coloured} what="the colours" height={400}>
          {({ colouring }) => {
            const bytes = colourPoints(colouring, manifest.n_heads, dark.value);
            return (
              <div ref={frame}>
                <Key colouring={colouring} n={manifest.n_heads} />
                {projectionTables(shown).map((table) => (
                  <Table key={table.scope} manifest={manifest} table={table} colours={bytes} colourId={colourId} />
                ))}
              </div>
            );
          }}
        </Loaded>
      )}
    </>
  );
}

function Table({ manifest, table, colours, colourId }: { manifest: Manifest; table: ProjectionTable; colours: Uint8Array; colourId: string }) {
  // The best of the whole scope, whatever the filters.
  const within = manifest.projections.filter((projection) => projection.scope === table.scope);
  const [trusted, continuous] = [best(within, "trustworthiness"), best(within, "continuity")];
  const several = new Set(table.rows.map((row) => row.metric)).size > 1;
  const { ref, width } = useWidth<HTMLElement>();
  const size = cardSize(width, table.neighbours.length);
  return (
    <section ref={ref}>
      <h2>{table.scope === "all" ? "Heads of all models" : table.scope}</h2>
      <div class="projection-scroll">
        <table class="projection-table">
          <thead>
            <tr>
              <th>method</th>
              {table.neighbours.map((n) => (
                <th key={n} scope="col">
                  {n} neighbours
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.rows.map((row) => (
              <tr key={`${row.method} ${row.metric} ${row.dimensions}`}>
                <th scope="row">
                  {row.method} {row.dimensions}-D{several ? <small>{row.metric}</small> : null}
                  {row.cells.some((cell) => cell?.n_neighbors === 0) ? <small>no neighbours</small> : null}
                </th>
                {row.cells.map((projection, i) => (
                  <td key={i}>
                    {projection ? (
                      <ProjectionCard
                        manifest={manifest}
                        projection={projection}
                        colours={colours}
                        colourId={colourId}
                        size={size}
                        mostTrustworthy={trusted.has(projection)}
                        mostContinuous={continuous.has(projection)}
                      />
                    ) : null}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Width of the first column with the space between columns, and bounds of the side of a picture. */
const NAMES = 150;
const GAP = 10;
const SIDES = [120, 300] as const;

/** Return the side of the pictures of a table, so that its columns fill the width. */
export function cardSize(width: number, columns: number): number {
  const side = Math.floor((width - NAMES) / Math.max(1, columns)) - GAP;
  return Math.min(SIDES[1], Math.max(SIDES[0], side));
}

/** Most categories in the key. */
const CATEGORIES = 20;

/** The key of the colours, without empty categories. */
function Key({ colouring, n }: { colouring: Colouring; n: number }) {
  if (colouring.kind === "amounts") {
    return (
      <p class="muted">
        {colouring.title} from {short(colouring.low)} (dark) to {short(colouring.high)} (light)
      </p>
    );
  }
  const counts = countCategories(colouring, null, n);
  const present = colouring.labels.flatMap((label, i) => (counts[i] ? [{ label, colour: colouring.colours[i] ?? "" }] : []));
  return (
    <div class="projection-key">
      {present.slice(0, CATEGORIES).map(({ label, colour: shade }) => (
        <span key={label}>
          <i style={{ background: shade }} aria-hidden="true" />
          <bdi>{label}</bdi>
        </span>
      ))}
      {present.length > CATEGORIES ? <span class="muted">and {present.length - CATEGORIES} more</span> : null}
    </div>
  );
}

function asCsv(projections: readonly Projection[]): string {
  return csv(
    ["scope", "metric", "method", "neighbours", "dimensions", "trustworthiness", "continuity", "pieces", "note"],
    projections.map((projection) => [projection.scope, projection.metric, projection.method, projection.n_neighbors, projection.n_components, projection.trustworthiness, projection.continuity, projection.n_pieces, projection.note]),
  );
}
