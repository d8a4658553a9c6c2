import type { Manifest } from "../../contract/generated";
import { feature as featureParam, models as modelsParam } from "../../state/params";
import { Check, Many, NumberField, Select } from "../../views/controls/view";
import { bins, by, nClusters, over, ownScale, panels } from "./params";
import type { Choice } from "./ranked";

/** Controls of the panels. */
export function Controls({ manifest, choice }: { manifest: Manifest; choice: Choice | null }) {
  return (
    <div class="toolbar trend-toolbar">
      <Select
        label="Over"
        value={over.value}
        options={[
          { value: "depth", title: "depth" },
          { value: "feature", title: "a feature" },
          { value: "size", title: "model size" },
        ]}
        onChange={(value) => over.set(value)}
      />
      {over.value === "feature" && choice ? (
        <Select
          label="Feature"
          value={choice.ranked.name}
          options={choice.names.map((value) => ({ value, title: value }))}
          onChange={(value) => featureParam.set(value)}
        />
      ) : null}
      {over.value !== "size" ? (
        <>
          <Select
            label="By"
            value={by.value}
            options={[
              { value: "model", title: "model" },
              { value: "family", title: "family" },
            ]}
            onChange={(value) => by.set(value)}
          />
          <Select
            label="A panel per"
            value={panels.value}
            options={[
              { value: "clusters", title: "cluster" },
              { value: "groups", title: by.value },
            ]}
            onChange={(value) => panels.set(value)}
          />
          <NumberField label="Bins" value={bins.value} low={2} high={24} onChange={(value) => bins.set(value)} />
        </>
      ) : null}
      <NumberField label="Largest clusters" value={nClusters.value} low={1} high={200} onChange={(value) => nClusters.set(value)} />
      <Many
        label="Models"
        values={modelsParam.value}
        options={manifest.models.map((model) => ({ value: model.name, title: model.name }))}
        onChange={(values) => modelsParam.set(values)}
      />
      <Check label="scale each panel" help="The axis of each panel ends at its own largest share" value={ownScale.value} onChange={(value) => ownScale.set(value)} />
    </div>
  );
}
