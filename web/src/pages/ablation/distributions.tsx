import type { Manifest } from "../../contract/generated";
import { composed } from "../../data/composed";
import type { AblationRow } from "../../data/ablations";
import type { Loaded as Everything } from "./load";
import { classes as classesParam, head as headParam } from "../../state/params";
import { link } from "../../state/url";
import { figure, Strip } from "../../views/chart/view";
import { effectDomain, effectInWords, effectTitle } from "../../views/head-effects/words";
import { Empty } from "../../views/states/view";
import { headGroups, measuredGroups, setsWithControls, testedGroups } from "./groups";

interface Props {
  manifest: Manifest;
  rows: readonly AblationRow[];
  all: Everything;
  by: string;
  root: boolean;
}

/** Effects of single heads, by class or cluster. */
export function SingleHeads({ manifest, rows, all, by, root }: Props) {
  const single = rows.filter((row) => row.kind === "head");
  const first = single[0];
  if (!first) {
    return (
      <Empty title="No head was ablated alone by this method and measure">
        Run <code>motifs ablate --sweep MODEL</code>, then <code>motifs site</code> again.
      </Empty>
    );
  }
  const severalModels = new Set(single.map((row) => row.model)).size > 1 && by !== "model" && by !== "layer";
  const groups =
    by === "tested" ? testedGroups(rows) : measuredGroups(manifest, headGroups(manifest, by, all.heads, all.classes), rows);
  if (groups.length === 0) return <Empty title="No group was tested by this method and measure" />;
  return (
    <Strip
      label={`${effectTitle(first)} by ${by}`}
      middle="mean"
      axis={{ title: effectTitle(first), domain: effectDomain(single), line: 0, root }}
      groups={groups.map((group) => ({
        name: severalModels ? withModel(group.name, group.model) : group.name,
        note: group.tested?.q == null ? String(group.rows.length) : `${group.rows.length}, q ${figure(group.tested.q)}`,
        ...(by === "class" && group.name !== "no class" ? { href: link("classes", classesParam.to([group.name])) } : {}),
        ...band(group.tested),
        dots: group.rows.map((row) => ({
          value: row.effect as number,
          title: composed`${row.name}: ${effectInWords(row)}`,
          href: link("head", headParam.to(row.name)),
        })),
      }))}
    />
  );
}

/** Sets of heads that were ablated together, with their controls in grey. */
export function Sets({ rows, root }: { rows: readonly AblationRow[]; root: boolean }) {
  const sets = setsWithControls(rows).filter((row) => row.set.effect !== null);
  const first = sets[0];
  if (!first) {
    return (
      <Empty title="No set of heads was ablated together by this method and measure">
        Run <code>motifs ablate --class NAME --model MODEL</code> or <code>motifs ablate --near HEAD</code>, then{" "}
        <code>motifs site</code> again.
      </Empty>
    );
  }
  return (
    <Strip
      label={`${effectTitle(first.set)} of sets and their controls`}
      axis={{
        title: effectTitle(first.set),
        domain: effectDomain(sets.flatMap((set) => [set.set, ...set.controls])),
        line: 0,
        root,
      }}
      groups={sets.map(({ set, controls }) => ({
        name: withModel(set.name, set.model),
        note: set.n_heads === null ? "" : String(set.n_heads),
        ...band(set),
        dots: [
          ...controls
            .filter((item) => item.effect !== null)
            .map((item) => ({ value: item.effect as number, muted: true, title: `control of ${item.n_heads ?? "?"} heads: ${effectInWords(item)}` })),
          { value: set.effect as number, strong: true, title: composed`${set.name}: ${effectInWords(set)}` },
        ],
      }))}
    />
  );
}

/** Names of heads hold their model; names of classes and clusters do not. */
function withModel(name: string, model: string): string {
  return name.includes(`${model}:`) ? name : composed`${name} · ${model}`;
}

function band(row: AblationRow | null): { band?: [number, number] } {
  return row && row.control_low !== null && row.control_high !== null
    ? { band: [row.control_low, row.control_high] }
    : {};
}
