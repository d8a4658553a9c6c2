import "./pattern/page.css";
import { useSignal } from "@preact/signals";
import type { Manifest, Prompt } from "../contract/generated";
import { headName, headRow, modelOfRow, placeOfRow } from "../data/heads";
import { loadPattern } from "../data/patterns";
import { isProbe, loadPrompts, loadTokens, promptsById, shortId, viewablePrompts } from "../data/prompts";
import { head, prompt as promptParam, where } from "../state/params";
import { useResource } from "../state/resource";
import { here, link } from "../state/url";
import { LabelFilter } from "../views/label-filter/view";
import { HeadLink } from "../views/head-link/view";
import { PatternInspect } from "../views/pattern-inspect/view";
import type { Cell } from "../views/pattern-matrix/api";
import { promptLine } from "../views/prompt-label/view";
import { WhenNear } from "../views/near/view";
import { Empty, Loaded } from "../views/states/view";
import { Suggested } from "./head/suggested";
import { PatternFeatures } from "./pattern/features";
import { Neighbours } from "./pattern/neighbours";
import { NotStored } from "./pattern/not-stored";
import type { PageProps } from "./page";

/** One pattern with its tokens. */
export default function PatternPage({ manifest }: PageProps) {
  const prompts = useResource(() => loadPrompts(manifest), [manifest]);
  return (
    <Loaded resource={prompts} what="the prompts">
      {(all) => <Choose manifest={manifest} prompts={all} />}
    </Loaded>
  );
}

function Choose({ manifest, prompts }: { manifest: Manifest; prompts: Prompt[] }) {
  const row = headRow(manifest, head.value);
  const viewable = viewablePrompts(prompts, where.value);
  const place = promptParam.value === "" ? viewable[0] : promptsById(prompts, [promptParam.value])[0];
  const prompt = place === undefined ? undefined : prompts[place];
  if (row === null) {
    return <Suggested manifest={manifest} />;
  }
  if (place !== undefined && prompt && !prompt.viewable && !isProbe(prompt) && manifest.points.prompts.length > 0) {
    return <NotStored manifest={manifest} row={row} place={place} prompt={prompt} />;
  }
  if (place === undefined || prompt === undefined || !prompt.viewable) {
    return (
      <Empty title="The site has no pattern of this head on that prompt">
        {manifest.missing["patterns"] ?? <>Choose another prompt on the page of <HeadLink head={headName(manifest, row)} />.</>}
      </Empty>
    );
  }
  return <One manifest={manifest} row={row} place={place} prompts={prompts} viewable={viewable} />;
}

interface OneProps {
  manifest: Manifest;
  row: number;
  place: number;
  prompts: Prompt[];
  viewable: readonly number[];
}

function One({ manifest, row, place, prompts, viewable }: OneProps) {
  const model = modelOfRow(manifest, row);
  const name = headName(manifest, row);
  const prompt = prompts[place] as Prompt;
  const cursor = useSignal<Cell | null>(null);
  const loaded = useResource(async () => {
    const [pattern, tokens] = await Promise.all([
      loadPattern(manifest, row, place),
      loadTokens(model, place),
    ]);
    return { pattern, tokens: tokens ?? [] };
  }, [manifest, row, place]);
  document.title = `${name}, a pattern · ${manifest.title}`;
  return (
    <>
      <h1>
        <HeadLink head={name} />
      </h1>
      <p class="muted">Here you can read one pattern: point at a cell, or at a token of the text.</p>
      <p class="pattern-prompt">
        on {isProbe(prompt) ? "the probe " : ""}
        <bdi title={prompt.text.slice(0, 1000)}>“{promptLine(prompt.text, 90)}”</bdi>{" "}
        <span class="muted">
          {prompt.source} · {shortId(prompt)}
        </span>
      </p>
      <Steps manifest={manifest} row={row} place={place} prompts={prompts} viewable={viewable} />
      <Loaded resource={loaded} what="the pattern" height={500}>
        {({ pattern, tokens }) => (
          <PatternInspect
            pattern={pattern}
            tokens={tokens}
            bos={model.bos}
            name={name}
            prompt={promptLine(prompt.text, 90)}
            file={`${name}-${shortId(prompt)}`}
            cursor={cursor}
          />
        )}
      </Loaded>
      {isProbe(prompt) ? (
        <p class="muted">Features and nearest patterns are shown for prompts only.</p>
      ) : (
        <div class="pattern-more">
          <WhenNear height={320} ahead={300}>
            {() => <PatternFeatures manifest={manifest} row={row} prompt={place} isStored />}
          </WhenNear>
          <WhenNear height={320} ahead={300}>
            {() => <Neighbours manifest={manifest} row={row} prompt={place} promptId={shortId(prompt)} />}
          </WhenNear>
        </div>
      )}
    </>
  );
}

/** Links to other prompts of the head and to other heads on the prompt. */
function Steps({ manifest, row, place, prompts, viewable }: OneProps) {
  const model = modelOfRow(manifest, row);
  const { layer, index } = placeOfRow(model, row);
  const at = viewable.indexOf(place);
  const onPrompt = (target: number | undefined) => {
    const onto = target === undefined ? undefined : prompts[target];
    return onto ? here(promptParam.to(shortId(onto))) : null;
  };
  const inModel = model.layers.indexOf(layer);
  const [above, below] = [model.layers[inModel - 1], model.layers[inModel + 1]];
  const ofHead = (otherLayer: number | undefined, otherIndex: number) =>
    otherLayer === undefined || otherIndex < 0 || otherIndex >= model.n_heads
      ? null
      : here(head.to(`${model.name}:L${otherLayer}:H${otherIndex}`));
  const steps: [string, string | null][] = [
    ["← prompt", onPrompt(viewable[at - 1])],
    ["prompt →", onPrompt(viewable[at + 1])],
    [`← H${index - 1}`, ofHead(layer, index - 1)],
    [`H${index + 1} →`, ofHead(layer, index + 1)],
    [`↑ L${above}`, ofHead(above, index)],
    [`↓ L${below}`, ofHead(below, index)],
  ];
  return (
    <nav class="toolbar pattern-steps" aria-label="Other patterns">
      {steps.map(([title, to]) => (to === null ? null : <a key={title} href={to}>{title}</a>))}
      <a href={link("head", head.to(headName(manifest, row)))}>all prompts of this head</a>
      <LabelFilter prompts={prompts.filter((item) => item.viewable)} where={where.value} onChange={where.set} />
    </nav>
  );
}
