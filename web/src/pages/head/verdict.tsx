import "./verdict.css";
import type { HeadExplanation, Manifest, Prompt } from "../../contract/generated";
import { composed } from "../../data/composed";
import { loadExplanation, loadLabels, type Labels } from "../../data/explanations";
import { headName } from "../../data/heads";
import { shortId } from "../../data/prompts";
import { head, prompt as promptParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { Bars } from "../../views/chart/view";
import { Citation } from "../../views/citation/view";
import { HeadLink } from "../../views/head-link/view";
import { MotifBar } from "../../views/motif-bar/view";
import { PromptLabel } from "../../views/prompt-label/view";
import { Fix, Loaded } from "../../views/states/view";
import { chanceText, verdictLine, verdictSentence } from "./verdict-words";
import { TERMS } from "../../data/terms";
import { Term } from "../../views/help/view";

interface Props {
  manifest: Manifest;
  row: number;
  prompts: readonly Prompt[];
}

/** What the head does: its verdict in words, and the evidence. */
export function Verdict({ manifest, row, prompts }: Props) {
  const loaded = useResource(async () => {
    const [explanation, labels] = await Promise.all([loadExplanation(manifest, row), loadLabels(manifest)]);
    return { explanation, labels };
  }, [manifest, row]);
  return (
    <Loaded resource={loaded} what="the verdict" height={220}>
      {({ explanation, labels }) =>
        explanation ? (
          <Answer manifest={manifest} row={row} prompts={prompts} found={explanation} labels={labels} />
        ) : (
          <p class="muted">
            No verdict: <Fix text={manifest.missing["explanations"] ?? ""} />
          </p>
        )
      }
    </Loaded>
  );
}

interface AnswerProps extends Props {
  found: HeadExplanation;
  labels: Labels;
}

/** The loaded explanation. */
export function Answer({ manifest, row, prompts, found, labels }: AnswerProps) {
  const name = headName(manifest, row);
  return (
    <section class="verdict" aria-label="What this head does">
      <div class="verdict-answer">
        <p class="verdict-name">{verdictLine(found)}</p>
        <p>{verdictSentence(manifest, found, labels, row)}</p>
      </div>
      <div>
        <h2>What its attention is made of</h2>
        <MotifShares manifest={manifest} row={row} found={found} />
        <h2>Labelled heads nearest to it</h2>
        <Nearest manifest={manifest} found={found} />
      </div>
      <div>
        <ProbableClasses found={found} />
        <p class="muted">
          {chanceText(found)} {found.would_change}
        </p>
        <Writes found={found} />
        <div class="verdict-prompt-lists">
          <Prompts title="Most itself on" items={found.typical} prompts={prompts} head={name} />
          <Prompts title="Departs most on" items={found.departs} prompts={prompts} head={name} />
        </div>
      </div>
    </section>
  );
}

interface FoundProps {
  manifest: Manifest;
  row: number;
  found: HeadExplanation;
}

/** The shares of the motifs in the attention of a head. */
export function MotifShares({ manifest, row, found }: FoundProps) {
  return (
    <MotifBar
      motifs={manifest.motifs}
      shares={found.shares}
      spreads={found.spreads}
      label={composed`Shares of the attention of ${headName(manifest, row)}`}
    />
  );
}

/** The most probable classes of a head; nothing if none was learnt. */
export function ProbableClasses({ found }: Pick<FoundProps, "found">) {
  const candidates = found.classes.slice(0, 4);
  if (candidates.length === 0) return null;
  return (
    <>
      <h2>
        <Term help={TERMS.probable}>Probable classes</Term>
      </h2>
      <Bars
        bars={candidates.map((item) => ({ title: item.name, value: item.probability }))}
        label="Probability of each class"
        most={1}
        format={(value) => value.toFixed(2)}
      />
    </>
  );
}

function Nearest({ manifest, found }: { manifest: Manifest; found: HeadExplanation }) {
  if (found.nearest.length === 0) return <p class="muted">No head of this atlas is labelled.</p>;
  return (
    <table class="verdict-near">
      <thead>
        <tr>
          <th scope="col">Head</th>
          <th scope="col">Distance by {manifest.explained_by}</th>
          <th scope="col">Class</th>
          <th scope="col">Source</th>
        </tr>
      </thead>
      <tbody>
        {found.nearest.map((near) => (
          <tr key={near.row}>
            <td>
              <HeadLink head={headName(manifest, near.row)} />
            </td>
            <td>{near.distance.toPrecision(3)}</td>
            <td>{near.classes.join(", ")}</td>
            <td>
              <Source text={near.source} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Papers and scores; addresses are links. */
function Source({ text }: { text: string }) {
  return (
    <>
      {text.split(/(https?:\/\/[^\s;]+)/).map((part, place) =>
        place % 2 === 1 ? (
          <Citation key={place} title={part.replace(/^https?:\/\/(www\.)?/, "")} url={part} />
        ) : (
          <bdi key={place}>{part}</bdi>
        ),
      )}
    </>
  );
}

function Writes({ found }: { found: HeadExplanation }) {
  const written = Object.entries(found.writes);
  if (written.length === 0) return null;
  return (
    <>
      <h2>What it writes</h2>
      <p>{written.map(([name, value]) => `${name} ${value.toPrecision(3)}`).join("; ")}</p>
    </>
  );
}

interface PromptsProps {
  title: string;
  items: HeadExplanation["typical"];
  prompts: readonly Prompt[];
  head: string;
}

function Prompts({ title, items, prompts, head: name }: PromptsProps) {
  if (items.length === 0) return null;
  return (
    <div>
      <h2>{title}</h2>
      <ul class="verdict-prompts">
        {items.map((item) => {
          const prompt = prompts[item.prompt];
          if (!prompt) return null;
          return (
            <li key={item.prompt}>
              <PromptLabel prompt={prompt} length={36} />{" "}
              <span class="muted">
                {item.motif} {(100 * item.share).toFixed(0)} %
              </span>
              {prompt.viewable ? (
                <>
                  {" "}
                  <a href={link("pattern", head.to(name), promptParam.to(shortId(prompt)))}>pattern</a>
                </>
              ) : null}
            </li>
          );
        })}
      </ul>
    </div>
  );
}
