import "./ablation/ablation.css";
import { useRef } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { measureId, referenceOf, type AblationRow } from "../data/ablations";
import { models } from "../state/params";
import { useResource } from "../state/resource";
import { Many, Select } from "../views/controls/view";
import { csv } from "../views/export-menu/csv";
import { ExportMenu } from "../views/export-menu/view";
import { measureMeaning, measureTitle } from "../views/head-effects/words";
import { Empty, Loaded } from "../views/states/view";
import { DistanceAgainstEffect } from "./ablation/distance";
import { Sets, SingleHeads } from "./ablation/distributions";
import { loadAll, type Loaded as Everything } from "./ablation/load";
import { group, kinds, measure, method, scale } from "./ablation/params";
import { Methods } from "./ablation/methods";
import { AblationTable, KINDS } from "./ablation/table";
import type { PageProps } from "./page";

/** Effects of ablating heads: the table of `motifs ablate`. */
export default function AblationPage({ manifest }: PageProps) {
  const data = useResource(() => loadAll(manifest), [manifest]);
  return (
    <>
      <h1>Ablation</h1>
      <p class="muted">
        Here you can see how much a model needs each head. The head's output is replaced, and the change of
        the model is compared with that of random heads of the same layers.
      </p>
      <Loaded resource={data} what="the ablations" height={400}>
        {(all) =>
          all.rows === null || all.rows.length === 0 ? (
            <Empty title="This atlas has no ablations">
              {manifest.missing["ablations"] ?? "Run `motifs ablate --sweep MODEL`, then `motifs site` again."}
            </Empty>
          ) : (
            <Ablation manifest={manifest} all={all} rows={all.rows} />
          )
        }
      </Loaded>
    </>
  );
}

/** A few heads have effects ten times as large as the others'. */
const SCALES = [
  { value: "root", title: "square root" },
  { value: "linear", title: "linear" },
];

interface Props {
  manifest: Manifest;
  all: Everything;
  rows: readonly AblationRow[];
}

function Ablation({ manifest, all, rows }: Props) {
  const single = useRef<HTMLDivElement>(null);
  const sets = useRef<HTMLDivElement>(null);
  const table = useRef<HTMLDivElement>(null);
  const methods = unique(rows.map((row) => row.method));
  const by = method.value !== "" && methods.includes(method.value) ? method.value : (methods[0] as string);
  const ofMethod = rows.filter((row) => row.method === by);
  const measures = new Map(ofMethod.map((row) => [measureId(row), row]));
  const what = measures.has(measure.value) ? measure.value : ([...measures.keys()][0] as string);
  const chosen = ofMethod.filter(
    (row) => measureId(row) === what && (models.value.length === 0 || models.value.includes(row.model)),
  );
  const groups = [
    ...["class", "model", "layer"].map((name) => ({ value: name, title: name })),
    { value: "tested", title: "tested group" },
    ...manifest.clusterings.map((clustering) => ({ value: clustering.method, title: `cluster (${clustering.method})` })),
  ];
  const grouped = groups.some((item) => item.value === group.value) ? group.value : "class";
  const listed = chosen.filter((row) => (kinds.value.length === 0 ? row.kind !== "control" : kinds.value.includes(row.kind)));
  const root = scale.value !== "linear";
  const name = `ablation-${by}-${what}`;
  return (
    <>
      <div class="toolbar ablation-controls">
        <Select label="Output replaced by" value={by} options={methods.map(option)} onChange={(next) => method.set(next)} />
        <Select
          label="Measure"
          value={what}
          options={[...measures].map(([id, row]) => ({ value: id, title: measureTitle(row), help: measureMeaning(row) }))}
          onChange={(next) => measure.set(next)}
        />
        <Many label="Model" values={models.value} options={unique(ofMethod.map((row) => row.model)).map(option)} onChange={(next) => models.set(next)} />
        <Select label="Scale" value={root ? "root" : "linear"} options={SCALES} onChange={(next) => scale.set(next)} />
      </div>
      <p class="muted">
        {measureMeaning(measures.get(what) as AblationRow)} The output of a head is replaced by:{" "}
        {unique(chosen.map(referenceOf)).join("; ")}. {familiesTested(chosen)}
      </p>
      <div ref={single}>
        <h2>Heads ablated alone</h2>
        <div class="toolbar">
          <Select label="By" value={grouped} options={groups} onChange={(next) => group.set(next)} />
          <ExportMenu target={() => single.current} name={`${name}-by-${grouped}`} />
        </div>
        <p class="muted">
          One dot per head; the line is the mean. The grey band holds 95 % of the means of as many random heads
          of the same layers. It is drawn for groups that were tested.
        </p>
        <SingleHeads manifest={manifest} rows={chosen} all={all} by={grouped} root={root} />
      </div>
      <div ref={sets}>
        <h2>Sets ablated together</h2>
        <div class="toolbar">
          <ExportMenu target={() => sets.current} name={`${name}-sets`} />
        </div>
        <p class="muted">In colour: the set. In grey: its controls, which are as many random heads of the same layers.</p>
        <Sets rows={chosen} root={root} />
      </div>
      <Methods rows={rows.filter((row) => measureId(row) === what && (models.value.length === 0 || models.value.includes(row.model)))} />
      <DistanceAgainstEffect manifest={manifest} rows={chosen} all={all} root={root} />
      <div ref={table} class="ablation-table">
        <h2>All effects</h2>
        <div class="toolbar">
          <Many label="Rows" values={kinds.value} options={[...KINDS]} none="all but controls" onChange={(next) => kinds.set(next)} />
          <ExportMenu target={() => table.current} name={name} data={[{ title: "CSV", extension: "csv", type: "text/csv", make: () => toCsv(listed) }]} />
        </div>
        <AblationTable rows={listed} />
      </div>
    </>
  );
}

/** The families of the rows shown, and how many tests q corrects for in each. */
function familiesTested(rows: readonly AblationRow[]): string {
  const families = new Map(
    rows.filter((row) => row.p !== null).map((row) => [row.family === "" ? "all tests of the atlas" : row.family, row.n_tested]),
  );
  if (families.size === 0) return "";
  const listed = [...families].map(([family, tests]) => `${family} (${tests?.toLocaleString("en") ?? "?"})`);
  return `q is p corrected over one kind of question (Benjamini and Hochberg); families and their tests: ${listed.join("; ")}.`;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

function option(value: string) {
  return { value, title: value };
}

function toCsv(rows: readonly AblationRow[]): string {
  const names = Object.keys(rows[0] ?? {}).filter((name) => name !== "place" && name !== "heads") as (keyof AblationRow)[];
  return csv(
    [...names, "heads"],
    rows.map((row) => [...names.map((name) => row[name] as string | number | null), row.heads.join(" ")]),
  );
}
