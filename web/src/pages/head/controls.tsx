import type { Manifest, Prompt } from "../../contract/generated";
import { loadClasses } from "../../data/classes";
import { metricOf } from "../../data/distances";
import { choiceTitle, isProbe, shortId } from "../../data/prompts";
import {
  classes,
  layers,
  metric,
  models,
  nProbes,
  nPrompts,
  prompts as promptsParam,
  seed,
  where,
} from "../../state/params";
import { useResource } from "../../state/resource";
import { change, type Param } from "../../state/url";
import { Many, NumberField, Select } from "../../views/controls/view";
import { LabelFilter } from "../../views/label-filter/view";
import { PatternStyleControls } from "../../views/pattern-style/view";
import { promptLine } from "../../views/prompt-label/view";
import { far, near, random, same } from "./params";

interface Props {
  manifest: Manifest;
  prompts: readonly Prompt[];
  viewable: readonly number[];
  /** Whether they are unfolded at first (default: on a wide screen). */
  open?: boolean;
  /** Whether the only rows are those of the nearest heads. */
  nearestOnly?: boolean;
  /** Side of a pattern, in pixels. */
  size: Param<number>;
}

/** Controls: metric, number of heads of each kind, filters, prompts. */
export function Controls({ manifest, prompts, viewable, open = window.innerWidth > 640, nearestOnly = false, size }: Props) {
  const known = useResource(() => loadClasses(manifest), [manifest]);
  const deepest = Math.max(0, ...manifest.models.map((model) => model.n_layers - 1));
  const [low, high] = layers.value ?? [0, deepest];
  const setLayers = (a: number, b: number) =>
    layers.set(a <= 0 && b >= deepest ? null : [Math.min(a, b), Math.max(a, b)]);
  const current = metricOf(manifest, metric.value)?.name ?? "";
  const nViewProbes = prompts.filter((prompt) => prompt.viewable && isProbe(prompt)).length;
  return (
    <details class="panel" open={open}>
      <summary>Heads and prompts shown</summary>
      <div class="head-controls">
      <div class="toolbar">
        <Select
          label="Distance"
          value={current}
          options={manifest.metrics.map((metric) => ({ value: metric.name, title: metric.title || metric.name }))}
          onChange={(value) => metric.set(value)}
        />
        <NumberField label="Nearest" value={near.value} low={0} high={200} onChange={near.set} />
        {nearestOnly ? null : (
          <>
            <NumberField label="Farthest" value={far.value} low={0} high={200} onChange={far.set} />
            <NumberField label="Same class" value={same.value} low={0} high={200} onChange={same.set} />
            <NumberField label="Random" value={random.value} low={0} high={200} onChange={random.set} />
          </>
        )}
      </div>
      <div class="toolbar">
        <Many
          label="Models"
          values={models.value}
          options={manifest.models.map((model) => ({ value: model.name, title: model.name }))}
          onChange={models.set}
        />
        <NumberField label="Layers" value={low} low={0} high={deepest} onChange={(item) => setLayers(item, high)} />
        <NumberField label="to" value={high} low={0} high={deepest} onChange={(item) => setLayers(low, item)} />
        <Many
          label="Classes"
          values={classes.value}
          options={(known.value ?? [])
            .filter((item) => item.rows.length > 0)
            .map((item) => ({ value: item.name, title: item.name, count: item.rows.length }))}
          onChange={classes.set}
        />
      </div>
      <div class="toolbar">
        <NumberField
          label="Prompts"
          value={promptsParam.value.length || nPrompts.value}
          low={1}
          high={Math.min(50, Math.max(1, viewable.length - nViewProbes))}
          onChange={(n) => change([nPrompts.to(n), promptsParam.to([])])}
        />
        {nViewProbes === 0 ? null : (
          <NumberField
            label="Probes"
            value={Math.min(nProbes.value, nViewProbes)}
            low={0}
            high={nViewProbes}
            onChange={(n) => change([nProbes.to(n), promptsParam.to([])])}
          />
        )}
        <button
          type="button"
          onClick={() =>
            change([seed.to(1 + Math.floor(Math.random() * 999_998)), promptsParam.to([])])
          }
        >
          Shuffle
        </button>
        <Many
          label="Choose prompts"
          none="any"
          values={promptsParam.value}
          options={viewable.flatMap((place) => {
            const prompt = prompts[place];
            return prompt ? [{ value: shortId(prompt), title: choiceTitle(prompt, promptLine(prompt.text, 80)) }] : [];
          })}
          onChange={promptsParam.set}
        />
        <LabelFilter prompts={prompts.filter((prompt) => prompt.viewable)} where={where.value} onChange={where.set} />
        <NumberField label="Size" value={size.value} low={24} high={512} step={8} onChange={size.set} />
        <PatternStyleControls />
      </div>
      </div>
    </details>
  );
}
