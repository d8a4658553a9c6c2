import { useRef } from "preact/hooks";
import type { ClassTag, HeadClass, Manifest, Model } from "../../contract/generated";
import { headName, rowsEnd, type Heads } from "../../data/heads";
import { loadPictures, meanPicture } from "../../data/pictures";
import { classes as classesParam, heads as headsParam, sort } from "../../state/params";
import { useResource } from "../../state/resource";
import { here, link } from "../../state/url";
import { Citation } from "../../views/citation/view";
import { csv } from "../../views/export-menu/csv";
import { ExportMenu } from "../../views/export-menu/view";
import { HeadLink } from "../../views/head-link/view";
import { HeadPicture } from "../../views/head-picture/view";
import { WhenNear } from "../../views/near/view";
import type { TableColumn } from "../../views/table/api";
import { Table } from "../../views/table/view";
import { themed } from "../../views/palette/themed";
import { byScore, scoreOf } from "./choose";

/** Most heads that the link to Compare holds. */
const COMPARED = 24;
const SIZE = 56;

/** A row of the table: one head with its sources. */
interface Entry {
  row: number;
  head: string;
  tags: ClassTag[];
  score: number | null;
}

interface OpenProps {
  manifest: Manifest;
  class: HeadClass;
  tags: readonly ClassTag[];
  models: readonly Model[];
  heads: Heads;
}

/** A class and its heads, those with the highest score first. */
export function OpenClass({ manifest, class: headClass, tags, models, heads }: OpenProps) {
  const target = useRef<HTMLElement>(null);
  const score = scoreOf(headClass, manifest.scores);
  const values = score ? heads.column(score.name)?.values : undefined;
  const entries = byScore(headClass.rows, values ?? null)
    .filter((row) => models.some((model) => isOf(model, row)))
    .map((row): Entry => ({
      row,
      head: headName(manifest, row),
      tags: tags.filter((tag) => tag.row === row && tag.head_class === headClass.name),
      score: values?.[row] ?? null,
    }));
  const columns = columnsOf(manifest, score?.name ?? null, entries);
  const others = classesParam.value.filter((name) => name !== headClass.name);
  const table = () => {
    const written = columns.filter((column) => column.name !== "pattern");
    return csv(
      written.map((column) => column.title),
      entries.map((entry) => written.map((column) => column.value(entry))),
    );
  };
  return (
    <section class="class-open" ref={target} aria-label={headClass.name}>
      <div class="toolbar class-heading">
        <h2>
          <span class="class-card-dot" style={{ background: themed(headClass.colour) }} aria-hidden="true" />
          {headClass.name}
        </h2>
        <a class="button" data-export="no" href={here(classesParam.to(others))}>
          Close
        </a>
        {entries.length > 1 ? (
          <a
            class="button"
            data-export="no"
            href={link("compare", headsParam.to(entries.slice(0, COMPARED).map((entry) => entry.head)))}
          >
            Compare {entries.length > COMPARED ? `the first ${COMPARED}` : "their patterns"}
          </a>
        ) : null}
        <ExportMenu
          target={() => target.current}
          name={`class ${headClass.name}`}
          data={[{ title: "CSV", extension: "csv", type: "text/csv", make: table }]}
        />
      </div>
      <p>
        {headClass.description}. <span class="muted">Group {headClass.group}.</span>
      </p>
      {entries.length > 0 ? (
        <Table
          rows={entries}
          columns={columns}
          rowKey={(entry) => entry.row}
          label={`Heads of the class ${headClass.name}`}
          sort={sort.value}
          onSort={(next) => sort.set(next)}
          most={50}
        />
      ) : (
        <p class="muted">No head of these models is in this class.</p>
      )}
      {headClass.elsewhere.length > 0 ? (
        <details class="class-elsewhere">
          <summary>
            {headClass.elsewhere.length} {headClass.elsewhere.length === 1 ? "head" : "heads"} in models that are not in this atlas
          </summary>
          <p class="mono">{headClass.elsewhere.join(", ")}</p>
        </details>
      ) : null}
    </section>
  );
}

function isOf(model: Model, row: number): boolean {
  return row >= model.first_row && row < rowsEnd(model);
}

function columnsOf(manifest: Manifest, score: string | null, entries: readonly Entry[]): TableColumn<Entry>[] {
  const join = (entry: Entry, part: (tag: ClassTag) => string) =>
    [...new Set(entry.tags.map(part).filter(Boolean))].join("; ");
  const columns: TableColumn<Entry>[] = [
    { name: "head", title: "Head", value: (entry) => entry.head, cell: (entry) => <HeadLink head={entry.head} /> },
  ];
  if (manifest.pictures) {
    columns.unshift({
      name: "pattern",
      title: "Mean pattern",
      help: "Mean of its patterns over the prompts that can be viewed; the strip at the left is the first token",
      value: () => null,
      cell: (entry) => <WhenNear height={SIZE}>{() => <MeanOf manifest={manifest} {...entry} />}</WhenNear>,
    });
  }
  if (score !== null) {
    columns.push({
      name: "score",
      title: `${score} score`,
      numeric: true,
      value: (entry) => entry.score,
      cell: (entry) => entry.score?.toFixed(3) ?? "–",
    });
  }
  if (entries.every((entry) => entry.tags.length === 0)) return columns;
  columns.push(
    {
      name: "paper",
      title: "Source",
      value: (entry) => join(entry, (tag) => tag.paper),
      cell: (entry) => <Sources tags={entry.tags} />,
    },
    { name: "evidence", title: "Evidence", value: (entry) => join(entry, (tag) => tag.evidence) },
    { name: "note", title: "Note", value: (entry) => join(entry, (tag) => tag.note) },
    {
      name: "conflict",
      title: "Conflict",
      value: (entry) => join(entry, (tag) => tag.conflict),
      cell: (entry) => <span class="class-card-conflict">{join(entry, (tag) => tag.conflict)}</span>,
    },
  );
  return columns;
}

/** The picture of a head. It is loaded when it comes near the screen. */
function MeanOf({ manifest, row, head }: Pick<Entry, "row" | "head"> & { manifest: Manifest }) {
  const pictures = useResource(() => loadPictures(manifest, [row]), [manifest, row]).value;
  return <HeadPicture picture={pictures ? meanPicture(pictures, [row]) : null} size={SIZE} label={`Mean pattern of ${head}`} />;
}

function Sources({ tags }: { tags: readonly ClassTag[] }) {
  const papers = new Map(tags.map((tag) => [tag.paper, tag.url]));
  return (
    <>
      {[...papers].map(([title, url], place) => (
        <span key={title}>
          {place > 0 ? "; " : ""}
          <Citation title={title} url={url} />
        </span>
      ))}
    </>
  );
}
