import "./features/features.css";
import { loadCorrelation, loadFeatures } from "../data/features";
import { useResource } from "../state/resource";
import { Empty, Loaded } from "../views/states/view";
import { Detail } from "./features/detail";
import { FeatureList } from "./features/list";
import { Matrix } from "./features/matrix";
import { feature as featureParam } from "./features/params";
import type { PageProps } from "./page";

/** What is measured on a pattern, and what it is like over the patterns of this atlas. */
export default function FeaturesPage({ manifest }: PageProps) {
  const data = useResource(async () => {
    const [{ features }, correlation] = await Promise.all([loadFeatures(manifest), loadCorrelation(manifest)]);
    return { features, correlation };
  }, [manifest]);
  return (
    <>
      <h1>Features</h1>
      <p class="muted">
        The numbers that stand for a pattern. Distances are taken between their principal components.
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
                  This atlas has no feature called <bdi>{featureParam.value}</bdi>; the first one is shown.
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
