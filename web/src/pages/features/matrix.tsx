import { interpolateRdBu, interpolateViridis } from "d3-scale-chromatic";
import { useMemo, useRef } from "preact/hooks";
import type { Feature, Manifest } from "../../contract/generated";
import { composed } from "../../data/composed";
import { change } from "../../state/url";
import { figure } from "../../views/chart/scale";
import { Select } from "../../views/controls/view";
import { csv } from "../../views/export-menu/csv";
import { ExportMenu } from "../../views/export-menu/view";
import { Grid } from "./grid";
import { feature as featureParam, matrix, other } from "./params";
import { groupsOf, signedLog } from "./words";

interface Props {
  manifest: Manifest;
  features: readonly Feature[];
  correlation: Float32Array;
  place: number;
}

const KINDS = [
  { value: "correlation", title: "correlation with each other" },
  { value: "covariance", title: "covariance with each other" },
  { value: "importance", title: "importance per component" },
] as const;

/** The matrix of all features, or of features and components. */
export function Matrix({ manifest, features, correlation, place }: Props) {
  const target = useRef<HTMLDivElement>(null);
  const kind = matrix.value;
  const n = features.length;
  const columns = kind === "importance" ? manifest.points.n_components : n;
  const { value, most } = useMemo(() => values(kind, features, correlation), [kind, features, correlation]);
  const columnName = (column: number) =>
    kind === "importance" ? `component ${column + 1}` : (features[column]?.name ?? "");
  const colour = (row: number, column: number) => {
    const number = value(row, column);
    if (!Number.isFinite(number)) return null;
    if (kind === "importance") return interpolateViridis(Math.sqrt(number / most));
    return interpolateRdBu(0.5 - (kind === "covariance" ? signedLog(number, most) : number) / 2);
  };
  const open = (row: number, column: number) =>
    change([
      featureParam.to(features[row]?.name ?? ""),
      other.to(kind === "importance" ? "" : (features[column]?.name ?? "")),
    ]);
  const data = {
    title: "CSV",
    extension: "csv",
    type: "text/csv",
    make: () =>
      csv(
        ["feature", ...Array.from({ length: columns }, (_, i) => columnName(i))],
        features.map((number, i) => [number.name, ...Array.from({ length: columns }, (_, j) => value(i, j))]),
      ),
  };
  return (
    <section aria-label="All features">
      <h2>All features</h2>
      <div class="toolbar">
        <Select label="Show" value={kind} options={KINDS} onChange={(next) => matrix.set(next)} />
        <ExportMenu target={() => target.current} name={`features-${kind}`} data={[data]} />
      </div>
      <div ref={target} class="features-matrix">
        <Grid
          rows={n}
          columns={columns}
          colour={colour}
          keys={[value]}
          describe={(row, column) =>
            composed`${features[row]?.name} · ${columnName(column)}: ${describe(kind, value(row, column))}`
          }
          onOpen={open}
          marked={place}
          groups={groupsOf(features)}
          most={kind === "importance" ? 520 : 720}
          {...(kind === "importance" ? { cell: Math.max(4, Math.min(9, 720 / n)) } : {})}
          label={`${kind} of ${n} features, rows in the order of the list. Arrow keys move, Enter opens the row's feature.`}
        />
        <Key kind={kind} most={most} />
      </div>
    </section>
  );
}

type Kind = (typeof KINDS)[number]["value"];

function values(kind: Kind, features: readonly Feature[], correlation: Float32Array) {
  const n = features.length;
  const value = (row: number, column: number): number => {
    if (kind === "importance") return features[row]?.importance[column] ?? Number.NaN;
    const r = correlation[row * n + column] as number;
    if (kind === "correlation") return r;
    return r * (features[row]?.deviation ?? Number.NaN) * (features[column]?.deviation ?? Number.NaN);
  };
  let most = 0;
  const columns = kind === "importance" ? Math.max(0, ...features.map((feature) => feature.importance.length)) : n;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < columns; j++) {
      const size = Math.abs(value(i, j));
      if (size > most && Number.isFinite(size)) most = size;
    }
  }
  return { value, most: kind === "correlation" ? 1 : most || 1 };
}

function describe(kind: Kind, value: number): string {
  if (Number.isNaN(value)) return kind === "importance" ? "not in the embedding" : "constant, so undefined";
  return kind === "importance" ? `${figure(100 * value)} % of the variance` : figure(value);
}

const EXPLAINED: Record<Kind, string> = {
  correlation: "Pearson's correlation over all patterns. Blank: one of the two does not vary.",
  covariance:
    "Covariance over all patterns, in the features' own units; colours are logarithmic, six powers of ten.",
  importance:
    "Squared loading times the component's share of the variance of all standardised features; colours by square root. The first component is on the left.",
};

function Key({ kind, most }: { kind: Kind; most: number }) {
  const steps = Array.from({ length: 21 }, (_, i) => i / 20);
  const colour = kind === "importance" ? interpolateViridis : (t: number) => interpolateRdBu(1 - t);
  return (
    <div class="features-key">
      <span class="number">{kind === "importance" ? "0" : figure(-most)}</span>
      <span class="features-key-bar" aria-hidden="true">
        {steps.map((t) => (
          <span key={t} style={{ background: colour(t) }} />
        ))}
      </span>
      <span class="number">{kind === "importance" ? `${figure(100 * most)} %` : figure(most)}</span>
      <span class="muted">{EXPLAINED[kind]}</span>
    </div>
  );
}
