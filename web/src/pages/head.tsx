import "./head/page.css";
import { useRef } from "preact/hooks";
import { loadClassesByHead } from "../data/classes";
import { loadExplanation } from "../data/explanations";
import { metricOf } from "../data/distances";
import { headName, headRow, modelOfRow, placeOfRow } from "../data/heads";
import { isProbe, loadPrompts, promptsById, viewablePrompts } from "../data/prompts";
import { head, metric, nProbes, nPrompts, prompts as promptsParam, seed, size, where } from "../state/params";
import { useResource } from "../state/resource";
import { go, here, link } from "../state/url";
import { ExportMenu } from "../views/export-menu/view";
import { WhenNear } from "../views/near/view";
import { Loaded } from "../views/states/view";
import { choosePrompts, mostItself } from "./head/choose";
import { ClassList } from "./head/class-list";
import { Controls } from "./head/controls";
import { Effects } from "./head/effects";
import { Features } from "./head/features";
import { beginPatterns, beginRows } from "./head/load";
import { like } from "./head/params";
import { Place } from "./head/place";
import { Rows } from "./head/rows";
import { Scores } from "./head/scores";
import { Suggested } from "./head/suggested";
import { Verdict } from "./head/verdict";
import type { PageProps } from "./page";
import type { HeadExplanation, Manifest, Prompt } from "../contract/generated";

/** One head: its patterns next to those of other heads, and its profile. */
export default function HeadPage({ manifest }: PageProps) {
  const row = headRow(manifest, head.value);
  if (row === null) return <Suggested manifest={manifest} />;
  return <OneHead manifest={manifest} row={row} />;
}

function OneHead({ manifest, row }: { manifest: Manifest; row: number }) {
  const side = useRef<HTMLElement>(null);
  const known = useResource(async () => {
    beginRows(manifest, metricOf(manifest, metric.value), row);
    const [prompts, byHead, found] = await Promise.all([
      loadPrompts(manifest),
      loadClassesByHead(manifest),
      loadExplanation(manifest, row),
    ]);
    beginPatterns(manifest, row, shownPrompts(prompts, found));
    return { prompts, byHead, found };
  }, [manifest, row]);
  const others = like.value.flatMap((name) => headRow(manifest, name) ?? []);
  const query = [row, ...others.filter((item) => item !== row)];
  const name = headName(manifest, row);
  document.title = `${name} · ${manifest.title}`;
  return (
    <>
      <Title manifest={manifest} row={row} />
      <Loaded resource={known} what="prompts and classes">
        {({ prompts, byHead, found }) => {
          const viewable = viewablePrompts(prompts, where.value);
          const chosen = shownPrompts(prompts, found);
          return (
            <>
              <Verdict manifest={manifest} row={row} prompts={prompts} />
              <ClassList tagged={byHead.get(row) ?? []} />
              <Alike manifest={manifest} query={query} />
              <Controls manifest={manifest} prompts={prompts} viewable={viewable} size={size} />
              <div class="head-page">
                <Rows
                  manifest={manifest}
                  query={query}
                  byHead={byHead}
                  prompts={chosen.flatMap((place) => {
                    const prompt = prompts[place];
                    return prompt ? [{ place, prompt }] : [];
                  })}
                />
                <aside class="head-side" ref={side} aria-label="Profile of this head">
                  <ExportMenu target={() => side.current} name={`${name}-profile`} />
                  <Scores manifest={manifest} row={row} />
                  <Effects manifest={manifest} row={row} />
                  <WhenNear height={320}>{() => <Place manifest={manifest} row={row} />}</WhenNear>
                  <WhenNear height={400}>{() => <Features manifest={manifest} row={row} />}</WhenNear>
                  <p class="muted" data-export="no">
                    To save this page as one file: <code>motifs export {name} --html</code>
                  </p>
                </aside>
              </div>
            </>
          );
        }}
      </Loaded>
    </>
  );
}

/** Return the chosen prompts, or those on which the head is most itself, and probes. */
function shownPrompts(prompts: Prompt[], found: HeadExplanation | null): number[] {
  const viewable = viewablePrompts(prompts, where.value);
  const ofGroup = (probes: boolean) => viewable.filter((place) => isProbe(prompts[place] as Prompt) === probes);
  return choosePrompts(
    promptsById(prompts, promptsParam.value).filter((item) => viewable.includes(item)),
    mostItself(ofGroup(false), found),
    nPrompts.value,
    seed.value,
    ofGroup(true).slice(0, nProbes.value),
  );
}

/** The name of the head, its place, and links to heads next to it. */
function Title({ manifest, row }: { manifest: Manifest; row: number }) {
  const model = modelOfRow(manifest, row);
  const { layer, index } = placeOfRow(model, row);
  const to = (otherLayer: number, otherIndex: number) =>
    here(head.to(`${model.name}:L${otherLayer}:H${otherIndex}`));
  const at = model.layers.indexOf(layer);
  const [above, below] = [model.layers[at - 1], model.layers[at + 1]];
  return (
    <div class="head-title">
      <h1>{headName(manifest, row)}</h1>
      <p class="muted">
        Here you can see the evidence on one head, and the heads nearest to it. Layer {layer} of {model.n_layers}, head {index} of {model.n_heads}, counted from 0 ·{" "}
        {model.architecture}
        {model.bos ? ", prompts begin with BOS" : ", prompts have no BOS"}
        {model.added ? " · added later to the saved embedding" : ""}
        <nav class="head-steps" aria-label="Neighbouring heads" data-export="no">
          {above === undefined ? null : <a href={to(above, index)}>↑ L{above}</a>}
          {below === undefined ? null : <a href={to(below, index)}>↓ L{below}</a>}
          {index > 0 ? <a href={to(layer, index - 1)}>← H{index - 1}</a> : null}
          {index + 1 < model.n_heads ? <a href={to(layer, index + 1)}>→ H{index + 1}</a> : null}
        </nav>
      </p>
    </div>
  );
}

/** The heads that other heads are compared with, if there are several. */
function Alike({ manifest, query }: { manifest: Manifest; query: readonly number[] }) {
  if (query.length < 2) return null;
  const names = query.map((row) => headName(manifest, row));
  return (
    <div class="panel head-alike" role="status">
      <strong>Heads like these {query.length}</strong>
      <span class="muted">by mean distance:</span>
      {names.map((member, place) => (
        <span key={member} class="head-chip">
          <a href={link("head", head.to(member))}>{member}</a>
          {place === 0 ? null : (
            <button
              type="button"
              class="quiet"
              aria-label={`Remove ${member}`}
              onClick={() => like.set(like.value.filter((name) => name !== member))}
            >
              ×
            </button>
          )}
        </span>
      ))}
      <button type="button" onClick={() => go(here(like.to([])))}>
        Only {names[0]}
      </button>
    </div>
  );
}
