import { useRef } from "preact/hooks";
import type { Feature, Manifest } from "../../contract/generated";
import { here } from "../../state/url";
import { Bars, Histogram } from "../../views/chart/view";
import { figure } from "../../views/chart/scale";
import { csv } from "../../views/export-menu/csv";
import { ExportMenu } from "../../views/export-menu/view";
import { Formula } from "../../views/formula/view";
import { Empty } from "../../views/states/view";
import { Examples } from "./examples";
import { feature as featureParam, other } from "./params";
import { mostCorrelated, rangeInWords, totalImportance } from "./words";

interface Props {
  manifest: Manifest;
  features: readonly Feature[];
  correlation: Float32Array;
  place: number;
}

/** One feature: formula, distribution, importance, examples. */
export function Detail({ manifest, features, correlation, place }: Props) {
  const target = useRef<HTMLElement>(null);
  const feature = features[place];
  if (!feature) return null;
  return (
    <article class="features-detail" ref={target} aria-label={feature.name}>
      <div class="features-title">
        <h2 class="mono">{feature.name}</h2>
        <ExportMenu target={() => target.current} name={`feature-${feature.name}`} data={[histogramCsv(feature)]} />
      </div>
      <div class="features-formula">
        <Formula latex={feature.formula} display />
      </div>
      <p>
        <strong>Large when</strong> {feature.large}.
      </p>
      <Facts feature={feature} />
      <div class="features-columns">
        <section>
          <h3>Over all patterns</h3>
          <Values feature={feature} />
        </section>
        <section>
          <h3>Importance per component</h3>
          <Importance feature={feature} manifest={manifest} />
        </section>
      </div>
      <h3>Patterns with low, middle and high values</h3>
      <Examples manifest={manifest} feature={feature} />
      <h3>Most correlated</h3>
      <Correlated features={features} correlation={correlation} place={place} />
    </article>
  );
}

function Facts({ feature }: { feature: Feature }) {
  const facts: [string, string][] = [
    ["Set", feature.set],
    ["Taken from", feature.context],
    ["Range", rangeInWords(feature)],
    ["Cost", feature.cost],
    ["Source", feature.source],
  ];
  return (
    <dl class="features-facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Values({ feature }: { feature: Feature }) {
  const { histogram, histogram_low: low, histogram_high: high } = feature;
  return (
    <>
      <Histogram
        counts={histogram}
        low={low}
        high={high}
        title={feature.name}
        label={`Histogram of ${feature.name}`}
        marks={[{ value: feature.mean, title: "mean" }]}
      />
      <p class="muted">
        Mean {figure(feature.mean)}, standard deviation {figure(feature.deviation)}
        {feature.n_missing > 0 ? `, not finite on ${feature.n_missing} patterns` : ""}. Values outside of the
        axis are counted in its first and last bar.
      </p>
    </>
  );
}

function Importance({ feature, manifest }: { feature: Feature; manifest: Manifest }) {
  if (feature.importance.length === 0 || !feature.kept) {
    return (
      <Empty title="Not in the embedding">
        {feature.kept ? "The embedding was fitted on other feature sets." : "Its value is the same on all patterns."}
      </Empty>
    );
  }
  const bars = feature.importance.map((value, i) => ({
    title: `${i + 1} (${figure(100 * (manifest.points.variance[i] ?? 0))} %)`,
    value,
  }));
  return (
    <>
      <Bars bars={bars} label={`Importance of ${feature.name} per component`} format={(v) => `${figure(100 * v)} %`} />
      <p class="muted">
        {figure(100 * totalImportance(feature))} % of the variance of all features is kept for this feature. In
        brackets: the share of the component.
      </p>
    </>
  );
}

function Correlated(props: { features: readonly Feature[]; correlation: Float32Array; place: number }) {
  const { features, correlation, place } = props;
  const n = features.length;
  const near = mostCorrelated(correlation, n, place, 8);
  const named = features.findIndex((feature) => feature.name === other.value);
  // The feature that was chosen in the matrix is always listed.
  const shown = named >= 0 && named !== place && !near.includes(named) ? [...near, named] : near;
  if (shown.length === 0) return <p class="muted">Its value is the same on all patterns, so it has no correlation.</p>;
  return (
    <ul class="features-correlated">
      {shown.map((i) => (
        <li key={i} aria-current={i === named ? "true" : undefined}>
          <a class="mono" href={here(featureParam.to(features[i]?.name ?? ""), other.to(""))}>
            {features[i]?.name}
          </a>{" "}
          <span class="number">{figure(correlation[place * n + i])}</span>
        </li>
      ))}
    </ul>
  );
}

function histogramCsv(feature: Feature) {
  const { histogram, histogram_low: low, histogram_high: high } = feature;
  const step = (high - low) / Math.max(1, histogram.length);
  return {
    title: "CSV",
    extension: "csv",
    type: "text/csv",
    make: () =>
      csv(
        ["low", "high", "patterns"],
        histogram.map((count, i) => [low + i * step, low + (i + 1) * step, count]),
      ),
  };
}
