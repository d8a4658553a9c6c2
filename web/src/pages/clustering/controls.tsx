import "./controls.css";
import type { Manifest } from "../../contract/generated";
import { clusteringId } from "../../data/clusters";
import { TERMS } from "../../data/terms";
import { heightOf, heightOfCut, leavesOf, type Cut } from "../../data/tree";
import { change, type Setting } from "../../state/url";
import { NumberField, Select } from "../../views/controls/view";
import { clustering, cut, minSize, storedCut, type CutClustering } from "./cut";

/** Methods that make a tree, by their linkage. */
const LINKAGES = new Set(["average", "complete", "single", "ward"]);

interface Props {
  manifest: Manifest;
  clusters: CutClustering;
  /** Parameters to change with the clusters: a selection by their numbers. */
  also?: readonly Setting[];
}

/** Controls of the clustering and of the cut of its tree. */
export function CutControls({ manifest, clusters, also = [] }: Props) {
  const { clustering: chosen, linkage, labels, stored } = clusters;
  const nClusters = labels.reduce((most, label) => Math.max(most, label), -1) + 1;
  const how = cut.value ?? storedCut(chosen, labels);
  const set = (next: Cut, push = true) => change([cut.to(next), ...also], push ? "push" : "replace");
  return (
    <>
      <Select
        label="Clustering"
        value={clusteringId(chosen)}
        options={manifest.clusterings.map((clustering) => ({
          value: clusteringId(clustering),
          title: `${clustering.method} (${clustering.metric})`,
          ...(LINKAGES.has(clustering.method) ? { help: TERMS.linkage } : {}),
        }))}
        onChange={(value) => change([clustering.to(value), cut.to(null), minSize.to(0), ...also])}
      />
      {linkage && linkage.length > 0 ? (
        <>
          <NumberField
            label="Clusters"
            value={how.by === "number" ? how.value : nClusters}
            low={1}
            high={leavesOf(linkage)}
            onChange={(value) => set({ by: "number", value })}
          />
          <HeightSlider linkage={linkage} how={how} onChange={(value) => set({ by: "height", value }, false)} />
          <NumberField
            label="Smallest"
            value={Math.max(1, minSize.value)}
            low={1}
            high={labels.length}
            onChange={(value) => change([minSize.to(value === 1 ? 0 : value), ...also])}
          />
          <button
            type="button"
            disabled={stored && cut.value === null && minSize.value === 0}
            onClick={() => change([cut.to(null), minSize.to(0), ...also])}
          >
            Stored cut
          </button>
        </>
      ) : (
        <span class="muted">{chosen.method} has no tree to cut</span>
      )}
    </>
  );
}

function HeightSlider(props: { linkage: Float32Array; how: Cut; onChange: (height: number) => void }) {
  const { linkage, how, onChange } = props;
  const most = heightOf(linkage, linkage.length / 4 - 1);
  const height = heightOfCut(linkage, how);
  return (
    <label class="control cut-height">
      <span>Height</span>
      <input
        type="range"
        min={0}
        max={most}
        step={most / 500 || 1}
        value={Math.min(most, height)}
        aria-valuetext={height.toPrecision(3)}
        onInput={(event) => onChange(Number(event.currentTarget.value))}
      />
      <output>{Number(height.toPrecision(3))}</output>
    </label>
  );
}
