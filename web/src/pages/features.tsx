import "./features/features.css";
import { loadCorrelation, loadFeatures } from "../data/features";
import { useResource } from "../state/resource";
import { Empty, Loaded } from "../views/states/view";
import { Detail } from "./features/detail";
import { FeatureList } from "./features/list";
import { Matrix } from "./features/matrix";
import { feature as featureParam } from "./features/params";
import type { PageProps } from "./page";

/** The features of patterns, and their distributions in this atlas. */
export default function FeaturesPage({ manifest }: PageProps) {
  const data = useResource(async () => {
    const [{ features }, correlation] = await Promise.all([loadFeatures(manifest), loadCorrelation(manifest)]);
    return { features, correlation };
  }, [manifest]);
  return (
    <>
      <h1>Features</h1>
      <p class="muted">
        Here you can look up each number that describes a pattern, with its formula and example patterns. Distances are computed from the principal components of these numbers.
      </p>
      <Loaded resource={data} what="the features" height={600}>
        {({ features, correlation }) => {
          if (features.length === 0) return <Empty title="This atlas holds no features" />;
          const named = features.findIndex((feature) => feature.name === featureParam.value);
          const place = Math.max(0, named);
          const all = { manifest, features, correlation, place };
          return (
            <>
              {named < 0 && featureParam.value !== "" ? (
                <p role="alert">
                  This atlas has no feature named <bdi>{featureParam.value}</bdi>; the first one is shown.
                </p>
              ) : null}
              <div class="features-page">
                <FeatureList features={features} shown={features[place]?.name ?? ""} />
                <Detail {...all} />
              </div>
              <Matrix {...all} />
            </>
          );
        }}
      </Loaded>
    </>
  );
}
