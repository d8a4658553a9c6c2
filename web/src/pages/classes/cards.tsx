import type { ClassTag, HeadClass, Manifest } from "../../contract/generated";
import { composed } from "../../data/composed";
import { headName, type Heads } from "../../data/heads";
import type { Pattern } from "../../data/patterns";
import { classes as classesParam } from "../../state/params";
import { here } from "../../state/url";
import { Citation } from "../../views/citation/view";
import { HeadLink } from "../../views/head-link/view";
import { HeadPicture } from "../../views/head-picture/view";
import { byScore, conflictsOf, scoreOf } from "./choose";
import { themed } from "../../views/palette/themed";

const SIZE = 72;

interface CardsProps {
  manifest: Manifest;
  classes: readonly HeadClass[];
  tags: readonly ClassTag[];
  papers: ReadonlyMap<string, ReadonlyMap<string, string>>;
  heads: Heads;
  /** Mean picture of each class, by its name. */
  pictures: ReadonlyMap<string, Pattern> | null;
}

/** One card per class, with the mean pattern of its heads and the best of them; it opens the class. */
export function Cards({ manifest, classes, tags, papers, heads, pictures }: CardsProps) {
  const open = classesParam.value;
  return (
    <ul class="class-cards">
      {classes.map((headClass) => (
        <li key={headClass.name} class="panel class-card" data-open={open.includes(headClass.name)}>
          {pictures && headClass.rows.length > 0 ? (
            <HeadPicture
              picture={pictures.get(headClass.name) ?? null}
              size={SIZE}
              label={composed`Mean pattern of the class ${headClass.name}`}
            />
          ) : null}
          <h3>
            <span class="class-card-dot" style={{ background: themed(headClass.colour) }} aria-hidden="true" />
            <a href={here(classesParam.to([headClass.name]))}>{headClass.name}</a>
          </h3>
          <p>{headClass.description}</p>
          <p class="muted class-card-facts">
            {counted(headClass)} · group {headClass.group} · {headClass.kind === "computed" ? "computed from a score" : "from the literature"}
          </p>
          <Best manifest={manifest} class={headClass} heads={heads} />
          <Papers papers={papers.get(headClass.name)} />
          <Conflicts n={conflictsOf(tags, headClass.name).length} />
        </li>
      ))}
    </ul>
  );
}

/** The head with the highest score of the class. */
function Best({ manifest, class: headClass, heads }: { manifest: Manifest; class: HeadClass; heads: Heads }) {
  const score = scoreOf(headClass, manifest.scores);
  const values = score && heads.column(score.name)?.values;
  const [row] = byScore(headClass.rows, values ?? null);
  if (row === undefined || !values || !Number.isFinite(values[row])) return null;
  return (
    <p class="class-card-facts">
      Highest score: <HeadLink head={headName(manifest, row)} /> {(values[row] as number).toFixed(2)}
    </p>
  );
}

function counted({ rows, elsewhere }: HeadClass): string {
  const here = rows.length === 1 ? "1 head" : `${rows.length} heads`;
  return elsewhere.length === 0 ? here : `${here} here, ${elsewhere.length} in other models`;
}

function Papers({ papers }: { papers: ReadonlyMap<string, string> | undefined }) {
  if (!papers || papers.size === 0) return null;
  return (
    <ul class="class-card-papers">
      {[...papers].map(([title, url]) => (
        <li key={title}>
          <Citation title={title} url={url} />
        </li>
      ))}
    </ul>
  );
}

function Conflicts({ n }: { n: number }) {
  if (n === 0) return null;
  return (
    <p class="class-card-conflict">
      Sources disagree on {n} {n === 1 ? "head" : "heads"}.
    </p>
  );
}
