import { head } from "../../state/params";
import { here } from "../../state/url";
import { TERMS } from "../../data/terms";
import { Term } from "../../views/help/view";
import type { BenchRow } from "./rows";

/** Name, label, distance, rank and chance of a head. A click on the name chooses it. */
export function RowWords({ row }: { row: BenchRow }) {
  const { distance, rank, chance } = row;
  return (
    <div class="bench-row">
      {rank === 0 ? (
        <strong>{row.head}</strong>
      ) : (
        <a class="head-link" href={here(head.to(row.head))} data-help="Choose this head.">
          {row.head}
        </a>
      )}
      {row.label === "" ? null : <div>{row.label}</div>}
      {rank === 0 ? null : (
        <div class="muted">
          {distance.toPrecision(3)}, rank {rank}
          {chance === null ? null : (
            <span>, <Term help={TERMS.chance}>p by chance</Term> {chance < 0.001 ? "< 0.001" : chance.toFixed(3)}</span>
          )}
        </div>
      )}
    </div>
  );
}
