import { useMemo, useRef } from "preact/hooks";
import type { Manifest } from "../../contract/generated";
import type { Labels } from "../../data/explanations";
import { filter, sort } from "../../state/params";
import { csv } from "../../views/export-menu/csv";
import { ExportMenu } from "../../views/export-menu/view";
import type { TableColumn } from "../../views/table/api";
import { Table } from "../../views/table/view";
import { textRows, type TextRow } from "./rows";
import { shown, type Answered } from "./state";
import { Patterns } from "./patterns";

/** What was compared, the table of heads, and the patterns of the one that is chosen. */
export function TextHeads({ manifest, labels, answer }: { manifest: Manifest; labels: Labels; answer: Answered }) {
  const place = useRef<HTMLDivElement>(null);
  const { result } = answer;
  const rows = useMemo(() => textRows(manifest, labels, result), [manifest, labels, result]);
  const columns = useMemo(() => columnsOf(rows), [rows]);
  const chosen = rows.find((row) => row.head === shown.value) ?? rows[0];
  if (!chosen) return null;
  return (
    <>
      <div ref={place}>
        <h2>{result.differences.length > 0 ? "Heads that differ most on the two texts" : "Most unusual heads"}</h2>
        {result.readings.map((reading) => (
          <p class="muted" key={`${reading.model} ${reading.text}`}>
            {reading.model}
            {result.differences.length > 0 ? `, ${reading.text === 0 ? "first" : "second"} text` : ""}:{" "}
            {reading.tokens.length} tokens{reading.is_cut ? " (the rest is cut)" : ""}. {reading.sentence}
          </p>
        ))}
        <div class="toolbar" data-export="no">
          <ExportMenu
            target={() => place.current}
            name="your-text"
            data={[{ title: "CSV", extension: "csv", type: "text/csv", make: () => asCsv(rows, columns) }]}
          />
        </div>
        <Table
          rows={rows}
          columns={columns}
          rowKey={(row) => row.head}
          label="heads on your text"
          sort={sort.value}
          onSort={(next) => sort.set(next)}
          filter={filter.value}
          onFilter={(next) => filter.replace(next)}
          selected={(row) => row === chosen}
          most={10}
        />
      </div>
      <Patterns answer={answer} rows={rows} chosen={chosen} />
    </>
  );
}

function columnsOf(rows: readonly TextRow[]): TableColumn<TextRow>[] {
  const all: TableColumn<TextRow>[] = [
    {
      name: "head",
      title: "Head",
      value: (row) => row.head,
      cell: (row) => (
        <button type="button" class="text-pick" onClick={() => (shown.value = row.head)}>
          {row.head}
        </button>
      ),
    },
    numeric("moved", "Moved", "share of its attention that goes to other tokens on the second text", (x) => `${(100 * x).toFixed(0)} %`),
    numeric("between", "Between", "distance of its two patterns, in units of the usual distance from its mean", (x) => x.toFixed(2)),
    numeric(
      "unusual",
      "Unusual",
      "how much farther than usual its pattern is from the mean of its patterns in the atlas, in standard deviations",
      (x) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(1)} σ`,
    ),
    numeric("distance", "Distance", "distance from this mean, divided by the usual distance", (x) => `${x.toFixed(2)} ×`),
    numeric("share", "Prompts as far", "share of the prompts of the atlas that are at least as far from it", (x) => `${(100 * x).toFixed(0)} %`),
    { name: "known", title: "Known as", help: "measured class, class of the literature, or verdict", value: (row) => row.known || null },
  ];
  return all.filter((column) => rows.some((row) => column.value(row) !== null));
}

function numeric(
  name: "moved" | "between" | "unusual" | "distance" | "share",
  title: string,
  help: string,
  show: (value: number) => string,
): TableColumn<TextRow> {
  const value = (row: TextRow) => row[name];
  return { name, title, help, numeric: true, value, cell: (row) => (row[name] === null ? "–" : show(row[name])) };
}

function asCsv(rows: readonly TextRow[], columns: readonly TableColumn<TextRow>[]): string {
  return csv(
    columns.map((column) => column.name),
    rows.map((row) => columns.map((column) => column.value(row))),
  );
}
