import "./heads/page.css";
import { useMemo, useRef } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { loadLabels, loadMotifShares } from "../data/explanations";
import { loadHeads } from "../data/heads";
import { filter, models, sort } from "../state/params";
import { useResource } from "../state/resource";
import { Many, NumberField, Select } from "../views/controls/view";
import { csv } from "../views/export-menu/csv";
import { ExportMenu } from "../views/export-menu/view";
import { HeadLink } from "../views/head-link/view";
import { Fix, Loaded } from "../views/states/view";
import type { TableColumn } from "../views/table/api";
import { Table } from "../views/table/view";
import { least, motif, verdicts } from "./heads/params";
import { filterRows, headRows, numberColumns, type HeadRow } from "./heads/rows";
import type { PageProps } from "./page";

/** The table of all heads: verdicts, motif shares, scores. */
export default function HeadsPage({ manifest }: PageProps) {
  const loaded = useResource(async () => {
    const [heads, labels, shares] = await Promise.all([loadHeads(manifest), loadLabels(manifest), loadMotifShares(manifest)]);
    return headRows(manifest, heads, labels, shares);
  }, [manifest]);
  return (
    <>
      <h1>All heads</h1>
      <p>
        Here you can find heads by what they do: choose a verdict or a motif, and sort by any column. A motif share is
        the part of a head's attention that goes to one kind of tokens; the shares of a head sum to 100 %.
      </p>
      {manifest.missing["explanations"] ? (
        <p class="muted">
          Verdicts and motif shares are missing: <Fix text={manifest.missing["explanations"]} />
        </p>
      ) : null}
      <Loaded resource={loaded} what="the heads" height={400}>
        {(rows) => <Heads manifest={manifest} rows={rows} />}
      </Loaded>
    </>
  );
}

function Heads({ manifest, rows }: { manifest: Manifest; rows: HeadRow[] }) {
  const place = useRef<HTMLDivElement>(null);
  const columns = useMemo(() => [...textColumns(), ...numberColumns(manifest)], [manifest]);
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row.verdict, (counts.get(row.verdict) ?? 0) + 1);
  const names = manifest.motifs.map((item) => item.name);
  const shown = filterRows(rows, {
    models: models.value,
    verdicts: verdicts.value,
    motif: names.indexOf(motif.value),
    least: least.value / 100,
  });
  return (
    <div class="heads-table" ref={place}>
      <div class="toolbar">
        <Many
          label="Models"
          values={models.value}
          options={manifest.models.map((model) => ({ value: model.name, title: model.name }))}
          onChange={(values) => models.set(values)}
        />
        <Many
          label="Verdicts"
          values={verdicts.value}
          options={[...counts].filter(([name]) => name !== "").map(([name, count]) => ({ value: name, title: name, count }))}
          onChange={(values) => verdicts.set(values)}
        />
        {names.length > 0 ? (
          <Select
            label="Motif"
            value={names.includes(motif.value) ? motif.value : ""}
            options={[{ value: "", title: "any" }, ...names.map((name) => ({ value: name, title: name }))]}
            onChange={(value) => motif.set(value)}
          />
        ) : null}
        {names.includes(motif.value) ? (
          <NumberField label="At least, %" value={least.value} low={0} high={100} onChange={(value) => least.set(value)} />
        ) : null}
        <ExportMenu
          target={() => place.current}
          name="heads"
          data={[{ title: "CSV", extension: "csv", type: "text/csv", make: () => asCsv(shown, columns) }]}
        />
      </div>
      <Table
        rows={shown}
        columns={columns}
        rowKey={(row) => row.row}
        label="heads"
        sort={sort.value}
        onSort={(next) => sort.set(next)}
        filter={filter.value}
        onFilter={(next) => filter.replace(next)}
        most={100}
      />
    </div>
  );
}

function textColumns(): TableColumn<HeadRow>[] {
  return [
    { name: "head", title: "Head", value: (row) => row.head, cell: (row) => <HeadLink head={row.head} /> },
    {
      name: "known",
      title: "Known as",
      help: "classes by measured scores and by the literature",
      value: (row) => row.known || null,
    },
    {
      name: "verdict",
      title: "Verdict",
      help: "most probable class, learnt from the labelled heads of other models",
      value: (row) => row.verdict || null,
    },
  ];
}

function asCsv(rows: readonly HeadRow[], columns: readonly TableColumn<HeadRow>[]): string {
  return csv(
    columns.map((column) => column.name),
    rows.map((row) => columns.map((column) => column.value(row))),
  );
}
