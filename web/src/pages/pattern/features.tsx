import { useState } from "preact/hooks";
import type { Manifest } from "../../contract/generated";
import { featuresOfHead, loadFeatures, loadHeadMeans } from "../../data/features";
import { loadPointFeature, pointOf } from "../../data/points";
import { histogramPercentile } from "../../data/summary";
import { feature as featureParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { Loaded } from "../../views/states/view";

/** Features shown at first: each is a file. */
const FEW = 8;

interface Props {
  manifest: Manifest;
  row: number;
  prompt: number;
}

/** Features of this pattern, compared with all patterns. */
export function PatternFeatures({ manifest, row, prompt }: Props) {
  const [all, setAll] = useState(false);
  const loaded = useResource(
    async () => {
      const [{ features }, means] = await Promise.all([loadFeatures(manifest), loadHeadMeans(manifest)]);
      const stored = new Set(manifest.points.features.map((feature) => feature.name));
      const unusual = featuresOfHead([...features], means, row).filter((item) => stored.has(item.feature.name));
      const listed = unusual.slice(0, all ? unusual.length : FEW);
      const columns = await Promise.all(listed.map((item) => loadPointFeature(manifest, item.feature.name)));
      const point = pointOf(manifest, row, prompt);
      const values = listed.map(({ feature }, place) => ({ feature, value: columns[place]?.[point] ?? Number.NaN }));
      return { values, total: unusual.length };
    },
    [manifest, row, prompt, all],
    { keep: all },
  );
  return (
    <section>
      <h2>Features of this pattern</h2>
      <p class="muted">The features in which the head is most unusual, and their values on this pattern.</p>
      <Loaded resource={loaded} what="the features" height={180}>
        {({ values, total }) => (
          <>
            <ul class="pattern-features">
              {values.map(({ feature, value }) => (
                <li key={feature.name}>
                  <a class="mono" href={link("features", featureParam.to(feature.name))}>
                    {feature.name}
                  </a>{" "}
                  {Number.isFinite(value) ? (
                    <>
                      <strong>{value.toPrecision(3)}</strong>, above{" "}
                      {histogramPercentile(
                        feature.histogram,
                        feature.histogram_low,
                        feature.histogram_high,
                        value,
                      ).toFixed(0)}{" "}
                      % of all patterns.
                    </>
                  ) : (
                    "is not finite."
                  )}{" "}
                  <span class="muted">Large: {feature.large}.</span>
                </li>
              ))}
            </ul>
            {total > FEW ? (
              <button type="button" onClick={() => setAll(!all)}>
                {all ? "Fewer" : `All ${total} features (fetches ${size(manifest, total)})`}
              </button>
            ) : null}
          </>
        )}
      </Loaded>
    </section>
  );
}

function size(manifest: Manifest, columns: number): string {
  const megabytes = (2 * columns * manifest.points.n_prompts * manifest.n_heads) / 1e6;
  return `up to ${megabytes.toPrecision(2)} MB`;
}
