import { useState } from "preact/hooks";
import type { Manifest } from "../../contract/generated";
import { loadFeatures, loadFeaturesOfHead, loadFeaturesOfPattern } from "../../data/features";
import { loadPointFeature, pointOf } from "../../data/points";
import { histogramPercentile } from "../../data/summary";
import { feature as featureParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { Loaded } from "../../views/states/view";

/** Features shown at first. */
const FEW = 8;

interface Props {
  manifest: Manifest;
  row: number;
  prompt: number;
  /** Whether the site holds this pattern; of others the first features alone are loaded, each from the file of all patterns. */
  isStored: boolean;
}

/** Features of this pattern, compared with all patterns. */
export function PatternFeatures({ manifest, row, prompt, isStored }: Props) {
  const [all, setAll] = useState(false);
  const loaded = useResource(async () => {
    const [{ features }, unusual] = await Promise.all([loadFeatures(manifest), loadFeaturesOfHead(manifest, row)]);
    if (isStored) {
      const ofPattern = await loadFeaturesOfPattern(manifest, row, prompt);
      return unusual.map(({ feature }) => ({ feature, value: ofPattern[features.indexOf(feature)] ?? Number.NaN }));
    }
    const point = pointOf(manifest, row, prompt);
    return Promise.all(
      unusual.slice(0, FEW).map(async ({ feature }) => ({
        feature,
        value: (await loadPointFeature(manifest, feature.name))[point] ?? Number.NaN,
      })),
    );
  }, [manifest, row, prompt, isStored]);
  return (
    <section>
      <h2>Features of this pattern</h2>
      <p class="muted">The features in which the head is most unusual, and their values on this pattern.</p>
      <Loaded resource={loaded} what="the features" height={180}>
        {(values) => (
          <>
            <ul class="pattern-features">
              {values.slice(0, all ? values.length : FEW).map(({ feature, value }) => (
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
            {values.length > FEW ? (
              <button type="button" onClick={() => setAll(!all)}>
                {all ? "Fewer" : `All ${values.length} features`}
              </button>
            ) : null}
          </>
        )}
      </Loaded>
    </section>
  );
}
