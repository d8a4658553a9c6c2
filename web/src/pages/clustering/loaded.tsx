import type { ComponentChildren } from "preact";
import type { Manifest } from "../../contract/generated";
import type { Resource } from "../../state/resource";
import { Empty, Loaded } from "../../views/states/view";
import type { CutClustering } from "./cut";

interface LoadedClustersProps {
  manifest: Manifest;
  resource: Resource<CutClustering | null>;
  height: number;
  children: (clusters: CutClustering) => ComponentChildren;
}

/** The clusters once they are loaded, or a sentence where the atlas holds none. */
export function LoadedClusters({ manifest, resource, height, children }: LoadedClustersProps) {
  return (
    <Loaded resource={resource} what="the clusters" height={height}>
      {(clusters) =>
        clusters ? (
          children(clusters)
        ) : (
          <Empty title="This atlas holds no clusters">
            {manifest.missing["clusterings"] ?? "Run `motifs cluster`, then `motifs site` again."}
          </Empty>
        )
      }
    </Loaded>
  );
}
