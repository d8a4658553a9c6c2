import type { ClassTag, HeadClass } from "../../contract/generated";
import { classes as classesParam } from "../../state/params";
import { here } from "../../state/url";
import { Citation } from "../../views/citation/view";
import { conflictsOf } from "./choose";
import { themed } from "../../views/palette/themed";

interface CardsProps {
  classes: readonly HeadClass[];
  tags: readonly ClassTag[];
  papers: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** One card per class; it opens the heads of the class. */
export function Cards({ classes, tags, papers }: CardsProps) {
  const open = classesParam.value;
  return (
    <ul class="class-cards">
      {classes.map((headClass) => (
        <li key={headClass.name} class="panel class-card" data-open={open.includes(headClass.name)}>
          <h3>
            <span class="class-card-dot" style={{ background: themed(headClass.colour) }} aria-hidden="true" />
            <a href={here(classesParam.to([headClass.name]))}>{headClass.name}</a>
          </h3>
          <p>{headClass.description}</p>
          <p class="muted class-card-facts">
            {heads(headClass)} · group {headClass.group} · {headClass.kind === "computed" ? "computed from a score" : "from the literature"}
          </p>
          <Papers papers={papers.get(headClass.name)} />
          <Conflicts n={conflictsOf(tags, headClass.name).length} />
        </li>
      ))}
    </ul>
  );
}

function heads({ rows, elsewhere }: HeadClass): string {
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
