import "./evaluation/evaluation.css";
import { useRef } from "preact/hooks";
import type { Evaluation, EvaluationRow } from "../contract/generated";
import { loadEvaluation } from "../data/evaluation";
import { filter, metric, models } from "../state/params";
import { useResource } from "../state/resource";
import { Many, Select } from "../views/controls/view";
import { csv } from "../views/export-menu/csv";
import { ExportMenu } from "../views/export-menu/view";
import { Empty, Loaded } from "../views/states/view";
import { Headline } from "./evaluation/headline";
import { kinds, layout, statistics } from "./evaluation/params";
import { Reading } from "./evaluation/reading";
import { choices, domains, KINDS, filteredRows } from "./evaluation/rows";
import { MetricsBeside, OneMetric } from "./evaluation/tables";
import type { PageProps } from "./page";

/** Quality of the distances between heads: the table of `motifs evaluate`. */
export default function EvaluationPage({ manifest }: PageProps) {
  const evaluation = useResource(() => loadEvaluation(manifest), [manifest]);
  return (
    <>
      <h1>Evaluation</h1>
      <p class="muted">
        Here you can see which metric brings heads that do the same near each other, and what none of them does.
      </p>
      <Loaded resource={evaluation} what="the evaluation" height={400}>
        {(all) =>
          all === null ? (
            <Empty title="This atlas was not evaluated">
              {manifest.missing["evaluation"] ?? "Run `motifs evaluate`, then export the site again."}
            </Empty>
          ) : (
            <Answered evaluation={all} />
          )
        }
      </Loaded>
    </>
  );
}

function Answered({ evaluation }: { evaluation: Evaluation }) {
  return (
    <>
      <Headline evaluation={evaluation} />
      <h2>All rows</h2>
      {evaluation.rows.length === 0 ? (
        <Empty title="There was nothing to evaluate" />
      ) : (
        <Rows rows={evaluation.rows} fallback={evaluation.reference} />
      )}
    </>
  );
}

function Rows({ rows, fallback }: { rows: readonly EvaluationRow[]; fallback: string }) {
  const target = useRef<HTMLDivElement>(null);
  const metrics = choices(rows.map((row) => row.metric)).map((item) => item.value);
  const evaluated = (name: string) => metrics.includes(name);
  const shown = [metric.value, fallback].find(evaluated) ?? (metrics[0] as string);
  const beside = layout.value === "beside";
  const asked = { models: models.value, kinds: kinds.value, statistics: statistics.value };
  const ofMetric = beside ? rows : rows.filter((row) => row.metric === shown);
  const chosen = filteredRows(ofMetric, asked);
  const axes = domains(rows);
  const data = { title: "CSV", extension: "csv", type: "text/csv", make: () => table(chosen) };
  return (
    <>
      <Reading />
      <div class="toolbar evaluation-controls">
        <Select
          label="Metric"
          value={beside ? "" : shown}
          options={[
            ...metrics.map((name) => ({ value: name, title: name })),
            ...(metrics.length > 1 ? [{ value: "", title: "all, next to each other" }] : []),
          ]}
          onChange={(next) => {
            if (next === "") return layout.set("beside");
            layout.replace("one");
            metric.set(next);
          }}
        />
        <Many label="Model" values={models.value} options={choices(ofMetric.map((row) => row.model))} onChange={(next) => models.set(next)} />
        <Many
          label="Kind"
          values={kinds.value}
          options={choices(ofMetric.map((row) => row.kind)).map((item) => ({ ...item, title: KINDS[item.value] ?? item.value }))}
          onChange={(next) => kinds.set(next)}
        />
        <Many label="Statistic" values={statistics.value} options={choices(ofMetric.map((row) => row.statistic))} onChange={(next) => statistics.set(next)} />
        <ExportMenu target={() => target.current} name={`evaluation-${beside ? "all" : shown}`} data={[data]} />
      </div>
      {evaluated(metric.value) || metric.value === "" ? null : (
        <p role="status">
          <bdi>{metric.value}</bdi> was not evaluated; {shown} is shown.
        </p>
      )}
      <div ref={target} class="evaluation-table">
        {chosen.length === 0 ? (
          <Empty title="No row matches the filters">
            <button
              type="button"
              onClick={() => {
                for (const parameter of [models, kinds, statistics]) parameter.replace([]);
                filter.replace("");
              }}
            >
              Show all
            </button>
          </Empty>
        ) : beside ? (
          <MetricsBeside rows={chosen} metrics={metrics} domains={axes} />
        ) : (
          <OneMetric rows={chosen} domains={axes} />
        )}
      </div>
    </>
  );
}

function table(rows: readonly EvaluationRow[]): string {
  const titles = [
    "metric", "model", "setting", "name", "kind", "statistic", "n_queries", "n_heads", "value", "low", "high",
    "null_mean", "null_95", "p", "p_groups", "p_floor", "q", "family", "difference", "difference_low",
    "difference_high", "detector", "exact", "spread",
  ] as const;
  return csv(
    titles,
    rows.map((row) => titles.map((name) => row[name])),
  );
}
