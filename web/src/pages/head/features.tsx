import { useState } from "preact/hooks";
import type { Manifest } from "../../contract/generated";
import { loadFeaturesOfHead } from "../../data/features";
import { feature as featureParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { Loaded } from "../../views/states/view";
import { featureHelp, TERMS } from "../../data/terms";
import { Term } from "../../views/help/view";

const FEW = 8;

/** The features in which a head differs most from the other heads. */
export function Features({ manifest, row }: { manifest: Manifest; row: number }) {
  const [all, setAll] = useState(false);
  const loaded = useResource(() => loadFeaturesOfHead(manifest, row), [manifest, row]);
  return (
    <section>
      <h2>Most unusual features</h2>
      <Loaded resource={loaded} what="the features" height={200}>
        {(unusual) => (
            <>
              <table class="head-features">
                <thead>
                  <tr>
                    <th>feature, mean over the prompts</th>
                    <th class="number">
                      <Term help={TERMS.z}>z</Term>
                    </th>
                    <th class="number">
                      <Term help={TERMS.below}>heads below</Term>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {unusual.slice(0, all ? unusual.length : FEW).map((item) => (
                    <tr key={`${item.feature.set} ${item.feature.name}`}>
                      <td>
                        <a
                          class="mono"
                          href={link("features", featureParam.to(item.feature.name))}
                          data-help={featureHelp(item.feature)}
                        >
                          {item.feature.name}
                        </a>
                        <div class="muted">
                          {item.z > 0 ? "large" : "small"}: {item.mean.toPrecision(3)}
                        </div>
                      </td>
                      <td class="number">{`${item.z > 0 ? "+" : "−"}${Math.abs(item.z).toFixed(1)}`}</td>
                      <td class="number">{item.percentile.toFixed(0)} %</td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {unusual.length > FEW ? (
                <button type="button" onClick={() => setAll(!all)}>
                  {all ? "Fewer" : `All ${unusual.length} features`}
                </button>
              ) : null}
            </>
        )}
      </Loaded>
    </section>
  );
}
