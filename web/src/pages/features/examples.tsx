import type { Feature, Manifest } from "../../contract/generated";
import { headName } from "../../data/heads";
import { loadPattern } from "../../data/patterns";
import { loadPrompts, shortId } from "../../data/prompts";
import { useResource } from "../../state/resource";
import { figure } from "../../views/chart/scale";
import { HeadLink } from "../../views/head-link/view";
import { PatternCell } from "../../views/pattern-cell/view";
import { Empty, Loaded } from "../../views/states/view";

const LEVELS = ["low", "middle", "high"] as const;

/** Patterns that the site holds, by how large the feature is on them. */
export function Examples({ manifest, feature }: { manifest: Manifest; feature: Feature }) {
  const prompts = useResource(() => loadPrompts(manifest), [manifest]);
  if (feature.examples.length === 0) {
    return <Empty title="No patterns to show">{manifest.missing["patterns"] ?? "Its values are all missing."}</Empty>;
  }
  return (
    <Loaded resource={prompts} what="the prompts" height={190}>
      {(all) => (
        <div class="features-examples">
          {LEVELS.map((level) => (
            <section key={level} aria-label={`${level} values`}>
              <h4>{level}</h4>
              <div class="features-row">
                {feature.examples
                  .filter((one) => one.level === level)
                  .map(({ row, prompt, value }) => (
                    <figure key={`${row} ${prompt}`}>
                      <PatternCell
                        head={headName(manifest, row)}
                        row={row}
                        prompt={prompt}
                        promptId={all[prompt] ? shortId(all[prompt]) : ""}
                        size={104}
                        load={(head, which) => loadPattern(manifest, head, which)}
                      />
                      <figcaption>
                        <strong class="number">{figure(value)}</strong>
                        <HeadLink head={headName(manifest, row)} />
                      </figcaption>
                    </figure>
                  ))}
              </div>
            </section>
          ))}
        </div>
      )}
    </Loaded>
  );
}
