import { useRef } from "preact/hooks";
import type { Manifest } from "../../contract/generated";
import type { AblationRow } from "../../data/ablations";
import { loadDistances, metricOf } from "../../data/distances";
import { headRow, modelOfRow } from "../../data/heads";
import { head as headParam, metric as metricParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { extent, figure, Scatter } from "../../views/chart/view";
import { Select } from "../../views/controls/view";
import { csv } from "../../views/export-menu/csv";
import { ExportMenu } from "../../views/export-menu/view";
import { effectDomain, effectInWords, effectTitle } from "../../views/head-effects/words";
import { HeadLink } from "../../views/head-link/view";
import { HeadSearch } from "../../views/head-search/view";
import { Empty, Loaded } from "../../views/states/view";
import { firstAnchor } from "./groups";
import type { Loaded as Everything } from "./load";

interface Props {
  manifest: Manifest;
  rows: readonly AblationRow[];
  all: Everything;
}

/** Does distance to a head predict what ablation does? */
export function DistanceAgainstEffect({ manifest, rows, all }: Props) {
  const target = useRef<HTMLDivElement>(null);
  const metric = metricOf(manifest, metricParam.value);
  const anchor = headParam.value || firstAnchor(rows);
  const row = headRow(manifest, anchor);
  const distances = useResource(
    async () => (metric && row !== null ? loadDistances(manifest, metric, row) : null),
    [manifest, metric, row],
  );
  if (!metric) return <Empty title="This atlas holds no distances">Run <code>motifs distances</code>.</Empty>;
  if (row === null) {
    return <Empty title={anchor === "" ? "No head was ablated alone" : `This atlas holds no head ${anchor}`} />;
  }
  const model = modelOfRow(manifest, row).name;
  const single = rows.filter((one) => one.kind === "head" && one.model === model && one.effect !== null && one.name !== anchor);
  const tested = rows.find((one) => one.kind === "distance" && one.anchor === anchor && one.metric === metric.name);
  const first = single[0];
  return (
    <section aria-labelledby="distance-title">
      <h2 id="distance-title">Distance against effect</h2>
      <p class="muted">If heads that look alike do the same job, the effect depends on the distance to the anchor.</p>
      <div class="toolbar">
        <Select
          label="Metric"
          value={metric.name}
          options={manifest.metrics.map((one) => ({ value: one.name, title: one.name, help: one.title }))}
          onChange={(next) => metricParam.set(next)}
        />
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
                  Anchor <HeadLink head={anchor} />. {spearman(tested)}
                </p>
                <Scatter {...scatter(manifest, single, values, metric.name, anchor)} />
              </div>
              <ExportMenu target={() => target.current} name={`ablation-${anchor}-${metric.name}`} data={[data(manifest, single, values)]} />
            </>
          )
        }
      </Loaded>
    </section>
  );
}

function spearman(row: AblationRow | undefined): string {
  if (!row) return "The rank correlation was not tested for this anchor and metric.";
  return (
    `Spearman's rank correlation ${effectInWords(row)} over ${row.n_heads ?? "?"} heads, ` +
    `against ${figure(row.control_effect)} when effects are permuted within layers: p ${figure(row.p)}, ` +
    `q ${figure(row.q)} over ${row.n_tested?.toLocaleString("en") ?? "?"} tests${row.test ? ` (${row.test})` : ""}.`
  );
}

/** Finite distances only. */
function pairs(manifest: Manifest, rows: readonly AblationRow[], distances: Float32Array) {
  return rows.flatMap((row) => {
    const place = headRow(manifest, row.name);
    const distance = place === null ? Number.NaN : (distances[place] as number);
    return Number.isFinite(distance) ? [{ row, distance }] : [];
  });
}

function scatter(manifest: Manifest, rows: readonly AblationRow[], distances: Float32Array, metric: string, anchor: string) {
  const found = pairs(manifest, rows, distances);
  const y = effectTitle(rows[0] as AblationRow);
  return {
    label: `Distance to ${anchor} against ${y}`,
    x: { title: `distance to the anchor, ${metric}`, domain: extent(found.map((one) => one.distance)) },
    y: { title: y, domain: effectDomain(rows.map((row) => ({ ...row, ci_low: null, ci_high: null, control_low: null, control_high: null }))), line: 0 },
    dots: found.map(({ row, distance }) => ({
      x: distance,
      y: row.effect as number,
      title: `${row.name}: distance ${figure(distance)}, effect ${effectInWords(row)}`,
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
