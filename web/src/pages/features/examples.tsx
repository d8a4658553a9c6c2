import type { Feature, FeatureExample, Manifest, Prompt } from "../../contract/generated";
import { composed } from "../../data/composed";
import { headName } from "../../data/heads";
import { loadPattern } from "../../data/patterns";
import { loadPrompts, shortId } from "../../data/prompts";
import { head as headParam, prompt as promptParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { figure } from "../../views/chart/scale";
import { HeadLink } from "../../views/head-link/view";
import { PatternCanvas } from "../../views/pattern-canvas/view";
import { Empty, Loaded } from "../../views/states/view";

/** Side of a pattern in pixels. */
const SIZE = 104;
const LEVELS = ["low", "middle", "high"] as const;

/** Patterns of the site with low, middle and high values of a feature. */
export function Examples({ manifest, feature }: { manifest: Manifest; feature: Feature }) {
  const prompts = useResource(() => loadPrompts(manifest), [manifest]);
  if (feature.examples.length === 0) {
    return <Empty title="No patterns to show">{why(manifest, feature)}</Empty>;
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
                  .filter((item) => item.level === level)
                  .map((item) => (
                    <Example
                      key={`${item.row} ${item.prompt}`}
                      manifest={manifest}
                      example={item}
                      promptId={idOf(all[item.prompt])}
                    />
                  ))}
              </div>
            </section>
          ))}
        </div>
      )}
    </Loaded>
  );
}

function why(manifest: Manifest, feature: Feature): string {
  if (manifest.missing["patterns"] !== undefined) return manifest.missing["patterns"];
  return feature.kept ? "Its values are all missing." : "Its value is the same on all patterns.";
}

function idOf(prompt: Prompt | undefined): string {
  return prompt ? shortId(prompt) : "";
}

/** Drawn also outside of the screen, so that a saved picture holds it. */
function Example(props: { manifest: Manifest; example: FeatureExample; promptId: string }) {
  const { manifest, example, promptId } = props;
  const { row, prompt, value } = example;
  const head = headName(manifest, row);
  const pattern = useResource(() => loadPattern(manifest, row, prompt), [manifest, row, prompt]);
  return (
    <figure>
      <a
        class="features-pattern"
        href={link("pattern", headParam.to(head), promptParam.to(promptId))}
        aria-label={composed`Pattern of ${head} on prompt ${promptId}`}
      >
        {pattern.status === "ready" ? (
          <PatternCanvas pattern={pattern.value} size={SIZE} label={composed`Attention of ${head} on prompt ${promptId}`} />
        ) : pattern.status === "failed" ? (
          <span class="muted">{pattern.error.message}</span>
        ) : null}
      </a>
      <figcaption>
        <strong class="number">{figure(value)}</strong>
        <HeadLink head={head} />
      </figcaption>
    </figure>
  );
}
