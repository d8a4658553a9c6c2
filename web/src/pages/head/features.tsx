import { useState } from "preact/hooks";
import type { Manifest } from "../../contract/generated";
import { featuresOfHead, loadFeatures, loadHeadMeans } from "../../data/features";
import { feature as featureParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { Loaded } from "../../views/states/view";

const FEW = 8;

/** The features by which a head differs most from all heads. */
export function Features({ manifest, row }: { manifest: Manifest; row: number }) {
  const [all, setAll] = useState(false);
  const loaded = useResource(async () => {
    const [{ features }, means] = await Promise.all([loadFeatures(manifest), loadHeadMeans(manifest)]);
    return { features, means };
  }, [manifest]);
  return (
    <section>
      <h2>What makes it unusual</h2>
      <Loaded resource={loaded} what="the features" height={200}>
        {({ features, means }) => {
          const found = featuresOfHead([...features], means, row);
          return (
            <>
              <table class="head-features">
                <thead>
                  <tr>
                    <th>feature, mean over the prompts</th>
                    <th class="number" title="Standard deviations of the heads from their mean">
                      z
                    </th>
                    <th class="number" title="Share of heads with a smaller mean">
                      above
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {found.slice(0, all ? found.length : FEW).map((one) => (
                    <tr key={`${one.feature.set} ${one.feature.name}`}>
                      <td>
                        <a
                          class="mono"
                          href={link("features", featureParam.to(one.feature.name))}
                          title={`Large: ${one.feature.large}`}
                        >
                          {one.feature.name}
                        </a>
                        <div class="muted">
                          {one.z > 0 ? "large" : "small"}: {one.mean.toPrecision(3)}
                        </div>
                      </td>
                      <td class="number">{`${one.z > 0 ? "+" : "−"}${Math.abs(one.z).toFixed(1)}`}</td>
                      <td class="number">{one.percentile.toFixed(0)} %</td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {found.length > FEW ? (
                <button type="button" onClick={() => setAll(!all)}>
                  {all ? "Fewer" : `All ${found.length} features`}
                </button>
              ) : null}
            </>
          );
        }}
      </Loaded>
    </section>
  );
}
