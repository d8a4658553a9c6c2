import "./view.css";
import { measureId, referenceOf, rowsOfHead, type AblationRow } from "../../data/ablations";
import { head as headParam } from "../../state/params";
import { link } from "../../state/url";
import { figure } from "../chart/scale";
import { Empty } from "../states/view";
import type { HeadEffectsProps } from "./api";
import { EffectInterval } from "./interval";
import { effectDomain, effectInWords, effectRank, effectTitle, measureMeaning, measureTitle } from "./words";

/** Effects of ablating one head, with intervals and controls. */
export function HeadEffects({ head, rows }: HeadEffectsProps) {
  const ofHead = rowsOfHead(rows, head);
  if (ofHead.length === 0) {
    return (
      <Empty title="This head was not ablated">
        {`Run \`motifs ablate ${head}\`, then \`motifs site\` again.`}
      </Empty>
    );
  }
  return (
    <div class="head-effects">
      <ul aria-label={`Effects of ablating ${head}`}>
        {ofHead.map((row) => (
          <Effect key={row.place} row={row} rows={rows} />
        ))}
      </ul>
      <p class="muted">
        Dot and line: change and its 95 % interval; grey: random heads of the same layers; filled: q ≤ 0.05
        over all tests of the same kind of question.{" "}
        <a href={link("ablation", headParam.to(head))}>All ablations</a>
      </p>
    </div>
  );
}

/** One measure, on the axis of all heads of the model. */
function Effect({ row, rows }: { row: AblationRow; rows: readonly AblationRow[] }) {
  const peers = rows.filter(
    (item) =>
      item.kind === row.kind &&
      item.model === row.model &&
      item.method === row.method &&
      measureId(item) === measureId(row),
  );
  const rank = effectRank(peers, row);
  return (
    <li>
      <span class="term" tabIndex={0} data-help={measureMeaning(row)}>
        {measureTitle(row)} <span class="muted">(replaced by: {referenceOf(row)})</span>
      </span>
      <span class="head-effects-figures">
        <EffectInterval row={row} domain={effectDomain(peers)} width={120} />
        <strong class="number" title={`${effectTitle(row)}: ${effectInWords(row)}`}>
          {figure(row.effect)}
        </strong>
        <span class="muted">
          q {figure(row.q)}
          {rank ? `, rank ${rank.rank} of ${rank.of}` : ""}
        </span>
      </span>
    </li>
  );
}
