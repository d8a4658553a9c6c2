import { useRef } from "preact/hooks";
import type { Manifest } from "../../contract/generated";
import { composed } from "../../data/composed";
import type { AblationRow } from "../../data/ablations";
import { loadDistances, metricOf } from "../../data/distances";
import { headRow, modelOfRow } from "../../data/heads";
import { head as headParam, metric as metricParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { here, link } from "../../state/url";
import { extent, figure, Scatter } from "../../views/chart/view";
import { Select } from "../../views/controls/view";
import { csv } from "../../views/export-menu/csv";
import { ExportMenu } from "../../views/export-menu/view";
import { effectDomain, effectInWords, effectTitle } from "../../views/head-effects/words";
import { HeadLink } from "../../views/head-link/view";
import { HeadSearch } from "../../views/head-search/view";
import { Empty, Loaded } from "../../views/states/view";
import { firstAnchor, testedAnchors } from "./groups";
import type { Loaded as Everything } from "./load";
import { TERMS } from "../../data/terms";
import { Term } from "../../views/help/view";

interface Props {
  manifest: Manifest;
  rows: readonly AblationRow[];
  all: Everything;
  root: boolean;
}

/** Distance to one head, the anchor, against the effect of ablating each head. */
export function DistanceAgainstEffect({ manifest, rows, all, root }: Props) {
  const target = useRef<HTMLDivElement>(null);
  const metric = metricOf(manifest, metricParam.value);
  const tested = testedAnchors(rows);
  const anchor = headParam.value || firstAnchor(rows);
  const row = headRow(manifest, anchor);
  const distances = useResource(
    async () => (metric && row !== null ? loadDistances(manifest, metric, row) : null),
    [manifest, metric, row],
  );
  if (!metric) return <Empty title="This atlas holds no distances">Run <code>motifs distances</code>.</Empty>;
  if (row === null) {
    return <Empty title={anchor === "" ? "No head was ablated on its own" : `This atlas holds no head ${anchor}`} />;
  }
  const model = modelOfRow(manifest, row).name;
  const single = rows.filter((row) => row.kind === "head" && row.model === model && row.effect !== null && row.name !== anchor);
  const correlations = rows.filter((row) => row.kind === "distance" && row.anchor === anchor);
  const first = single[0];
  return (
    <section aria-labelledby="distance-title">
      <h2 id="distance-title">Distance against effect</h2>
      <p class="muted">If heads with similar patterns do the same job, heads near the anchor have effects like its own.</p>
      <div class="toolbar">
        <Select
          label="Metric"
          value={metric.name}
          options={manifest.metrics.map((metric) => ({ value: metric.name, title: metric.name, help: metric.title }))}
          onChange={(next) => metricParam.set(next)}
        />
        {tested.length > 0 ? (
          <Select
            label="Anchor"
            value={anchor}
            options={(tested.includes(anchor) ? tested : [anchor, ...tested]).map((item) => ({ value: item, title: item }))}
            onChange={(next) => headParam.set(next)}
          />
        ) : null}
        <div class="ablation-anchor">
          <HeadSearch
            manifest={manifest}
            data={all}
            label="Another anchor"
            placeholder="Another anchor"
            onPick={(name) => headParam.set(name)}
          />
        </div>
      </div>
      <Loaded resource={distances} what="the distances" height={340}>
        {(values) =>
          !first || values === null ? (
            <Empty title={`No head of ${model} was ablated alone by this method and measure`}>
              Run <code>{`motifs ablate --sweep ${model}`}</code>, then <code>motifs site</code> again.
            </Empty>
          ) : (
            <>
              <div ref={target} class="ablation-scatter">
                <p>
                  Anchor <HeadLink head={anchor} />.
                </p>
                <Correlations rows={correlations} chosen={metric.name} />
                <Scatter {...scatter(manifest, single, values, metric.name, anchor, root)} />
              </div>
              <ExportMenu target={() => target.current} name={`ablation-${anchor}-${metric.name}`} data={[data(manifest, single, values)]} />
            </>
          )
        }
      </Loaded>
    </section>
  );
}

/** The rank correlation by every metric, so that metrics can be compared. */
function Correlations({ rows, chosen }: { rows: readonly AblationRow[]; chosen: string }) {
  const first = rows[0];
  if (!first) return <p class="muted">No rank correlation was computed for this anchor.</p>;
  return (
    <>
      <div class="ablation-scroll" tabIndex={0} role="region" aria-label="rank correlations">
        <table class="ablation-correlations">
          <thead>
            <tr>
              <th>Distance</th>
              <th class="number">Spearman's ρ (95 %)</th>
              <th class="number">
                <Term help={TERMS.permuted}>permuted within layers</Term>
              </th>
              <th class="number">p</th>
              <th class="number">q</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.metric} aria-current={row.metric === chosen ? "true" : undefined}>
                <td>
                  <a href={here(metricParam.to(row.metric))}>{row.metric}</a>
                </td>
                <td class="number">{effectInWords(row)}</td>
                <td class="number">{figure(row.control_effect)}</td>
                <td class="number">{figure(row.p)}</td>
                <td class="number">{figure(row.q)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="muted">
        Over {first.n_heads ?? "?"} heads; {first.test}. q corrects for {first.n_tested?.toLocaleString("en") ?? "?"} tests.
      </p>
    </>
  );
}

/** Rows whose distance is finite. */
function pairs(manifest: Manifest, rows: readonly AblationRow[], distances: Float32Array) {
  return rows.flatMap((row) => {
    const place = headRow(manifest, row.name);
    const distance = place === null ? Number.NaN : (distances[place] as number);
    return Number.isFinite(distance) ? [{ row, distance }] : [];
  });
}

function scatter(manifest: Manifest, rows: readonly AblationRow[], distances: Float32Array, metric: string, anchor: string, root: boolean) {
  const placed = pairs(manifest, rows, distances);
  const y = effectTitle(rows[0] as AblationRow);
  return {
    label: `Distance to ${anchor} against ${y}`,
    x: { title: `distance to the anchor, ${metric}`, domain: extent(placed.map((item) => item.distance)) },
    y: { title: y, domain: effectDomain(rows.map((row) => ({ ...row, ci_low: null, ci_high: null, control_low: null, control_high: null }))), line: 0, root },
    dots: placed.map(({ row, distance }) => ({
      x: distance,
      y: row.effect as number,
      title: composed`${row.name}: distance ${figure(distance)}, effect ${effectInWords(row)}`,
      href: link("head", headParam.to(row.name)),
    })),
  };
}

function data(manifest: Manifest, rows: readonly AblationRow[], distances: Float32Array) {
  return {
    title: "CSV",
    extension: "csv",
    type: "text/csv",
    make: () =>
      csv(
        ["head", "distance", "effect", "ci_low", "ci_high"],
        pairs(manifest, rows, distances).map(({ row, distance }) => [row.name, distance, row.effect, row.ci_low, row.ci_high]),
      ),
  };
}
