import { useMemo, useRef, useState } from "preact/hooks";
import type { ClassTag, HeadExplanation, Prompt } from "../../contract/generated";
import type { Values } from "../../contract/columns";
import { composed } from "../../data/composed";
import { loadExplanation } from "../../data/explanations";
import { loadPictures, meanPicture, spaced } from "../../data/pictures";
import { shortId } from "../../data/prompts";
import { heads as headsParam, prompts as promptsParam } from "../../state/params";
import { useResource } from "../../state/resource";
import { here, link } from "../../state/url";
import { Citation } from "../../views/citation/view";
import { HeadPicture } from "../../views/head-picture/view";
import { useNear } from "../../views/near/view";
import { promptLine } from "../../views/prompt-label/view";
import type { ClusterParts } from "./composition";
import type { View } from "./model";
import { picked } from "./params";
import { bestPrompts, depthCounts, motifsOf, namingClass, papersOf, plainName } from "./portrait";
import { toggled } from "./selection";

/** Cards shown at first; a button shows as many more. */
const MOST = 12;
const SIZE = 96;
/** Heads of a cluster whose explanations choose its prompts, and heads in the link to Compare. */
const SAMPLE = 6;
/** Prompts, papers and motifs of a card. */
const LISTED = 2;

interface Props {
  view: View;
  /** Mean share of each motif, per head; empty without motif shares. */
  shares: readonly Values[];
  tags: readonly ClassTag[];
  prompts: readonly Prompt[];
}

/** A card per cluster, largest first. */
export function ClusterCards(props: Props) {
  const [most, setMost] = useState(MOST);
  const parts = props.view.parts.filter((part) => part.cluster >= 0);
  return (
    <section>
      <h2 class="visually-hidden">Clusters, largest first</h2>
      <ul class="cluster-cards">
        {parts.slice(0, most).map((part) => (
          <Card key={part.cluster} {...props} part={part} />
        ))}
      </ul>
      {parts.length > most ? (
        <button type="button" data-export="no" onClick={() => setMost(most + MOST)}>
          Show {Math.min(MOST, parts.length - most)} more of {parts.length} clusters
        </button>
      ) : null}
    </section>
  );
}

function Card({ view, shares, tags, prompts, part }: Props & { part: ClusterParts }) {
  const place = useRef<HTMLLIElement>(null);
  const near = useNear(place, 200);
  const { manifest, heads } = view;
  const motifs = useMemo(() => motifsOf(part.rows, manifest.motifs, shares), [part, shares]);
  const loaded = useResource(async () => (near ? loadCard(view, part) : null), [near, part], { keep: true });
  const title = view.title(part.cluster);
  const plain = plainName(part, motifs);
  const chosen = picked.value.some((item) => item.kind === "cluster" && item.number === part.cluster);
  return (
    <li ref={place} class="panel cluster-card" data-selected={chosen}>
      <HeadPicture picture={loaded.value?.picture ?? null} size={SIZE} label={composed`Mean pattern of ${title}`} />
      <div class="cluster-card-words">
        <h3>
          <span class="cluster-colour" style={{ background: view.colour(part.cluster) }} aria-hidden="true" />
          <a href={here(picked.to(toggled(picked.value, { kind: "cluster", number: part.cluster })))}>{title}</a>
        </h3>
        {plain === "" ? null : <strong>{plain}</strong>}
        <p>{evidence(part)}</p>
        {motifs.length > 0 ? (
          <p class="muted">
            {motifs
              .slice(0, LISTED)
              .map(({ motif, share, overall }) => `${motif.name} ${percent(share)} (all heads ${percent(overall)})`)
              .join(", ")}
          </p>
        ) : null}
        <Depth counts={depthCounts(part.rows, heads.depth)} />
        <BestPrompts view={view} rows={part.rows} prompts={prompts} explanations={loaded.value?.explanations ?? []} />
        <Papers rows={part.rows} tags={tags} />
      </div>
    </li>
  );
}

/** Load the mean pattern of a cluster, and the explanations of a few of its heads. */
async function loadCard({ manifest }: View, { rows }: ClusterParts) {
  const [pictures, ...explanations] = await Promise.all([
    loadPictures(manifest, rows),
    ...spaced(rows, SAMPLE).map((row) => loadExplanation(manifest, row)),
  ]);
  return {
    picture: pictures && meanPicture(pictures, rows),
    explanations: explanations.filter((item): item is HeadExplanation => item !== null),
  };
}

function evidence(part: ClusterParts): string {
  const size = `${part.rows.length} ${part.rows.length === 1 ? "head" : "heads"}`;
  const named = namingClass(part);
  if (!named) return size;
  return `${size}, ${named.heads} of them in the class ${named.name} (${named.lift.toFixed(1)} times more than in a random draw)`;
}

const BAR = 9;
const TALL = 22;

/** Bars of the number of heads at each depth. */
function Depth({ counts }: { counts: readonly number[] }) {
  const top = Math.max(...counts, 1);
  const label = `Heads from the first layer to the last, in ${counts.length} equal steps of depth: ${counts.join(", ")}`;
  return (
    <div class="cluster-card-depth muted">
      first layer
      <svg width={counts.length * (BAR + 1)} height={TALL} role="img" aria-label={label}>
        {counts.map((count, bin) => {
          const height = count === 0 ? 1 : Math.max(2, (TALL * count) / top);
          return <rect key={bin} x={bin * (BAR + 1)} y={TALL - height} width={BAR} height={height} />;
        })}
      </svg>
      last
    </div>
  );
}

function BestPrompts(props: { view: View; rows: readonly number[]; prompts: readonly Prompt[]; explanations: readonly HeadExplanation[] }) {
  const { view, rows, prompts, explanations } = props;
  const best = bestPrompts(explanations).flatMap((place) => (prompts[place]?.viewable ? [prompts[place]] : []));
  if (best.length === 0) return null;
  const compared = headsParam.to(spaced(rows, SAMPLE).map((row) => view.names[row] as string));
  return (
    <p>
      Most itself on:{" "}
      {best.slice(0, LISTED).map((prompt, place) => (
        <span key={prompt.id}>
          {place > 0 ? "; " : ""}
          <a href={link("compare", compared, promptsParam.to([shortId(prompt)]))}>
            <bdi>{promptLine(prompt.text, 36)}</bdi>
          </a>
        </span>
      ))}
    </p>
  );
}

function Papers({ rows, tags }: { rows: readonly number[]; tags: readonly ClassTag[] }) {
  const papers = papersOf(rows, tags);
  if (papers.length === 0) return null;
  return (
    <p>
      Known from:{" "}
      {papers.slice(0, LISTED).map(({ paper, url, heads }, place) => (
        <span key={paper}>
          {place > 0 ? "; " : ""}
          <Citation title={paper} url={url} /> ({heads} {heads === 1 ? "head" : "heads"})
        </span>
      ))}
    </p>
  );
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
