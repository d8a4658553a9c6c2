import type { EvaluationRow } from "../../contract/generated";
import { filter, sort } from "../../state/params";
import { figure } from "../../views/chart/view";
import type { TableColumn } from "../../views/table/api";
import { Table } from "../../views/table/view";
import { Beside, Chance, Difference, Name } from "./cells";
import { chance, decimals, questions, STATISTICS, verdict, type Question } from "./rows";

type Domains = ReadonlyMap<string, readonly [number, number]>;
type Asked = Pick<EvaluationRow, "model" | "name" | "kind" | "statistic" | "n_queries" | "n_heads">;

const UNIT = [0, 1] as const;

const STATISTICS_HELP = Object.entries(STATISTICS).map(([name, meaning]) => `${name}: ${meaning}`).join("\n");

/** The first columns, which a narrow screen shows. */
function asked<Row extends Asked>(): TableColumn<Row>[] {
  return [
    {
      name: "name",
      title: "What",
      value: (row) => row.name,
      cell: (row) => (
        <span class="evaluation-name">
          <Name row={row} />
        </span>
      ),
    },
    {
      name: "statistic",
      title: "Statistic",
      // Each row has its sentence on hover; a stop of Tab per row would be too many.
      help: STATISTICS_HELP,
      value: (row) => row.statistic,
      cell: (row) => <span class="evaluation-statistic" data-help={STATISTICS[row.statistic]}>{row.statistic}</span>,
    },
  ];
}

/** The column of the model. */
function ofModel<Row extends Asked>(): TableColumn<Row> {
  return {
    name: "model",
    title: "Model",
    value: (row) => row.model,
    cell: (row) => <ModelCell model={row.model} />,
  };
}

/** A model, or a pair of models on two lines. */
function ModelCell({ model }: { model: string }) {
  const [from = "", ...to] = model.split(" -> ");
  return (
    <span class="evaluation-model">
      <span>{from}</span>
      {to.length > 0 ? <span>{`-> ${to.join(" -> ")}`}</span> : null}
    </span>
  );
}

/** The columns of counts and kind. */
function counts<Row extends Asked>(): TableColumn<Row>[] {
  return [
    { name: "queries", title: "Queries", numeric: true, value: (row) => row.n_queries, cell: (row) => figure(row.n_queries), help: "number of query heads (or patterns, or pairs)" },
    { name: "heads", title: "Heads", numeric: true, value: (row) => row.n_heads, help: "number of heads that are ranked" },
    { name: "kind", title: "Kind", value: (row) => row.kind },
  ];
}

/** The table of one metric. */
export function OneMetric({ rows, domains }: { rows: readonly EvaluationRow[]; domains: Domains }) {
  const number = (name: keyof EvaluationRow & string, title: string, help: string): TableColumn<EvaluationRow> => ({
    name,
    title,
    help,
    numeric: true,
    value: (row) => row[name] as number | null,
    cell: (row) =>
      name === "p" || name === "p_groups" || name === "q" ? (
        <Chance value={row[name]} row={row} />
      ) : name === "p_floor" ? (
        chance(row[name])
      ) : name === "spread" ? (
        figure(row[name])
      ) : (
        decimals(row[name] as number | null)
      ),
  });
  const columns: TableColumn<EvaluationRow>[] = [
    ...asked<EvaluationRow>(),
    {
      name: "excess",
      title: "Against the null",
      help: "Dot and whisker: value and 95 % interval. Grey tick and band: mean and 95 % point of the null. Sorted by value minus null mean.",
      value: (row) => (row.value === null || row.null_mean === null ? null : row.value - row.null_mean),
      cell: (row) => <Beside row={row} domain={domains.get(row.statistic) ?? UNIT} />,
    },
    number("value", "Value", "the statistic"),
    {
      name: "difference",
      title: "Difference",
      help: "value less that of the reference metric, with its 95 % interval on the same resamples",
      numeric: true,
      value: (row) => row.difference,
      cell: (row) => <Difference row={row} />,
    },
    { name: "verdict", title: "Verdict", value: verdict, cell: (row) => <span class="muted">{verdict(row)}</span> },
    ofModel(),
    number("null_mean", "Null mean", "mean over random heads of the same layers; plain chance where there is no test"),
    number("null_95", "Null 95 %", "95 % of the draws are at most this large"),
    number("exact", "Exact score", "the same of a metric that knows the score exactly"),
    number("detector", "Detector", "the same of a perfect detector of the behaviour on the atlas's own prompts"),
    number("p", "p", "one-sided p-value against random heads of the same layers"),
    number("p_groups", "p, key groups kept", "the same against permutations that keep heads with shared keys together"),
    number("q", "q", "larger p, corrected for the rows of the same metric, setting, kind and statistic"),
    number("p_floor", "p floor", "smallest p that can be expected"),
    number("spread", "Spread", "standard deviation over random splits"),
    ...counts<EvaluationRow>(),
  ];
  return (
    <Table
      rows={rows}
      columns={columns}
      rowKey={(row) => JSON.stringify([row.model, row.name, row.kind, row.statistic])}
      label="rows of the evaluation"
      sort={sort.value}
      onSort={(next) => sort.set(next)}
      filter={filter.value}
      onFilter={(next) => filter.replace(next)}
    />
  );
}

interface BesideProps {
  rows: readonly EvaluationRow[];
  metrics: readonly string[];
  domains: Domains;
}

/** The table of all metrics, a column per metric. */
export function MetricsBeside({ rows, metrics, domains }: BesideProps) {
  const columns: TableColumn<Question>[] = [
    ...asked<Question>(),
    ofModel(),
    ...metrics.map((metric): TableColumn<Question> => ({
      name: `value ${metric}`,
      title: metric,
      help: `value by ${metric}, with mean and 95 % of its null; q in brackets`,
      numeric: true,
      value: (item) => item.by.get(metric)?.value ?? null,
      cell: (item) => {
        const row = item.by.get(metric);
        if (!row || row.value === null) return <span class="muted">–</span>;
        return (
          <span class="evaluation-beside">
            <Beside row={row} domain={domains.get(row.statistic) ?? UNIT} />
            <span class={best(item, metrics) === metric ? "evaluation-best" : undefined}>{decimals(row.value)}</span>
            <span class="muted">{row.q === null ? "" : `(${chance(row.q)})`}</span>
          </span>
        );
      },
    })),
    ...counts<Question>(),
  ];
  return (
    <Table
      rows={questions(rows)}
      columns={columns}
      rowKey={(item) => item.key}
      label="evaluation of all metrics"
      sort={sort.value}
      onSort={(next) => sort.set(next)}
      filter={filter.value}
      onFilter={(next) => filter.replace(next)}
    />
  );
}

/** Return the metric with the largest value; empty if only one was evaluated. */
function best(question: Question, metrics: readonly string[]): string {
  let winner = "";
  let top = Number.NEGATIVE_INFINITY;
  for (const metric of question.by.size > 1 ? metrics : []) {
    const value = question.by.get(metric)?.value ?? Number.NEGATIVE_INFINITY;
    if (value > top) {
      top = value;
      winner = metric;
    }
  }
  return winner;
}
