import { referenceOf, type AblationRow } from "../../data/ablations";
import { filter, head as headParam, metric as metricParam, sort } from "../../state/params";
import { here } from "../../state/url";
import { figure } from "../../views/chart/view";
import { EffectInterval } from "../../views/head-effects/interval";
import { effectDomain } from "../../views/head-effects/words";
import { HeadLink } from "../../views/head-link/view";
import type { TableColumn } from "../../views/table/api";
import { Table } from "../../views/table/view";

/** Kinds of rows, and their titles. */
export const KINDS = [
  { value: "head", title: "single heads" },
  { value: "set", title: "sets ablated together" },
  { value: "group", title: "means over groups" },
  { value: "distance", title: "distance against effect" },
  { value: "control", title: "controls" },
] as const;

/** All rows of one method and measure, with intervals and tests. */
export function AblationTable({ rows }: { rows: readonly AblationRow[] }) {
  return (
    <Table
      rows={rows}
      columns={columns(rows)}
      rowKey={(row) => row.place}
      label="ablations"
      // The largest effects come first by default.
      sort={sort.value || "-size"}
      onSort={(next) => sort.set(next)}
      filter={filter.value}
      onFilter={(next) => filter.replace(next)}
      most={100}
    />
  );
}

function columns(rows: readonly AblationRow[]): TableColumn<AblationRow>[] {
  // Correlations, single heads and sets differ in scale by orders of magnitude.
  const domains = new Map(
    KINDS.map(({ value }) => {
      const axis = value === "control" ? "set" : value;
      const kin = rows.filter((row) => row.kind === axis || (axis === "set" && row.kind === "control"));
      return [value as string, axis === "distance" ? ([-1, 1] as [number, number]) : effectDomain(kin)];
    }),
  );
  const number = (name: keyof AblationRow & string, title: string, help: string): TableColumn<AblationRow> => ({
    name,
    title,
    help,
    numeric: true,
    value: (row) => row[name] as number | null,
    cell: (row) => figure(row[name] as number | null),
  });
  const interval = (name: string, title: string, low: "ci_low" | "excess_low", high: "ci_high" | "excess_high"): TableColumn<AblationRow> => ({
    name,
    title,
    help: "95 % interval, from bootstrap draws of the sequences",
    value: (row) => row[low],
    cell: (row) => (row[low] === null || row[high] === null ? "–" : `${figure(row[low])} to ${figure(row[high])}`),
  });
  return [
    { name: "name", title: "Ablated", value: (row) => row.name, cell: (row) => <Name row={row} /> },
    {
      name: "size",
      title: "Effect",
      help: "Dot and line: effect and 95 % interval. Grey: controls. Filled dot: q is at most 0.05. Sorted by size.",
      value: (row) => (row.effect === null ? null : Math.abs(row.effect)),
      cell: (row) => <EffectInterval row={row} domain={domains.get(row.kind) ?? [-1, 1]} width={130} />,
    },
    number("effect", "Value", "the measure with the ablation minus the measure without; for distances, Spearman's rho"),
    interval("ci", "95 %", "ci_low", "ci_high"),
    number("others_effect", "Non-members", "mean effect without the ablated heads: of other heads of the same layers, or of random sets that hold none of them"),
    number("others_excess", "Size", "effect minus the effect of the non-members"),
    number("control_effect", "Controls", "mean effect of random heads of the same layers, or of the permutations"),
    number("excess", "Excess", "effect minus the mean effect of the controls"),
    interval("excess_ci", "95 % of the excess", "excess_low", "excess_high"),
    number("standardised", "In SD", "excess divided by the standard deviation of the controls"),
    number("p", "p", "p-value of the test; controls are not tested"),
    number("q", "q", "p corrected over all tests of the family (Benjamini and Hochberg)"),
    number("p_floor", "p floor", "smallest p that this test can give"),
    number("n_tested", "Tests", "number of p-values that q corrects for"),
    { name: "family", title: "Family", help: "kind of question; q corrects over its tests", value: (row) => row.family },
    { name: "reference", title: "Output replaced by", value: (row) => referenceOf(row) },
    { name: "kind", title: "Kind", value: (row) => row.kind },
    { name: "model", title: "Model", value: (row) => row.model },
    number("n_heads", "Heads", "number of heads that were ablated, averaged or correlated"),
    number("n_controls", "Controls", "number of controls or of permutations"),
    number("n_sequences", "Sequences", "number of sequences"),
    { name: "test", title: "Test", value: (row) => row.test },
    { name: "experiment", title: "Experiment", value: (row) => row.experiment },
  ];
}

function Name({ row }: { row: AblationRow }) {
  if (row.kind === "head") return <HeadLink head={row.name} />;
  if (row.kind === "distance") {
    return (
      <a href={here(headParam.to(row.anchor), metricParam.to(row.metric))}>
        {row.metric} distance to {row.anchor}
      </a>
    );
  }
  return (
    <span title={row.heads.join(", ")}>
      {row.kind === "control" ? <span class="muted">control of </span> : null}
      <bdi>{row.name}</bdi>
    </span>
  );
}
