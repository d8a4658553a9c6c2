import { useLayoutEffect, useRef } from "preact/hooks";
import type { Feature } from "../../contract/generated";
import { here } from "../../state/url";
import { Select } from "../../views/controls/view";
import { context, feature as featureParam, filter, other, set } from "./params";
import { chosenFeatures, counted } from "./words";
import { featureHelp } from "../../data/terms";

/** The list of features. */
export function FeatureList({ features, shown }: { features: readonly Feature[]; shown: string }) {
  const list = useRef<HTMLUListElement>(null);
  // A link may open a feature far down the list. Scroll the list, not the page.
  useLayoutEffect(() => {
    const box = list.current;
    const item = box?.querySelector<HTMLElement>("[aria-current]")?.parentElement;
    if (!box || !item) return;
    const top = item.getBoundingClientRect().top - box.getBoundingClientRect().top;
    if (top < 0 || top > box.clientHeight - 24) box.scrollTop += top - box.clientHeight / 2;
  }, [shown]);
  const asked = { filter: filter.value, set: set.value, context: context.value };
  const chosen = chosenFeatures(features, asked);
  const inSet = features.filter((feature) => asked.set === "" || feature.set === asked.set);
  return (
    <nav class="features-list" aria-label="Features">
      <input
        type="search"
        aria-label="Search features by name and meaning"
        placeholder="Name or meaning"
        value={asked.filter}
        onInput={(event) => filter.replace(event.currentTarget.value)}
      />
      <div class="toolbar">
        <Select
          label="Set"
          value={asked.set}
          options={counted(features.map((feature) => feature.set))}
          onChange={(next) => set.set(next)}
        />
        <Select
          label="From"
          value={asked.context}
          options={counted(inSet.map((item) => item.context))}
          onChange={(next) => context.set(next)}
        />
      </div>
      <p class="muted" role="status">
        {chosen.length === features.length ? `${features.length} features` : `${chosen.length} of ${features.length}`}
      </p>
      <ul ref={list}>
        {chosen.map((item) => (
          <li key={item.name}>
            <a
              class="mono"
              href={here(featureParam.to(item.name), other.to(""))}
              aria-current={item.name === shown ? "true" : undefined}
              data-help={featureHelp(item)}
            >
              {item.name}
            </a>
            {item.kept ? null : <span class="muted"> constant</span>}
          </li>
        ))}
      </ul>
    </nav>
  );
}
