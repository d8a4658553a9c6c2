import "./view.css";
import { measureId, rowsOfHead } from "../../data/ablations";
import { head as headParam } from "../../state/params";
import { link } from "../../state/url";
import { figure } from "../chart/scale";
import { Empty } from "../states/view";
import type { HeadEffectsProps } from "./api";
import { EffectInterval } from "./interval";
import { effectDomain, effectRank, effectTitle, measureMeaning, measureTitle } from "./words";

/** What a model loses with one head: a row per measure and method, with intervals and controls. */
export function HeadEffects({ head, rows }: HeadEffectsProps) {
  const own = rowsOfHead(rows, head);
  if (own.length === 0) {
    return <Empty title="This head was not ablated">{`Run \`motifs ablate ${head}\`, then \`motifs site\` again.`}</Empty>;
  }
  return (
    <div class="head-effects">
      <div class="head-effects-scroll" tabIndex={0} role="region" aria-label={`Effects of ablating ${head}`}>
        <table>
          <thead>
            <tr>
              <th scope="col">Without this head</th>
              <th scope="col">Effect</th>
              <th scope="col" />
              <th scope="col">Controls</th>
              <th scope="col">p</th>
              <th scope="col">q</th>
              <th scope="col">By size</th>
            </tr>
          </thead>
          <tbody>
            {own.map((row) => {
              const peers = rows.filter(
                (one) => one.kind === row.kind && one.model === row.model && one.method === row.method && measureId(one) === measureId(row),
              );
              const rank = effectRank(rows, row);
              return (
                <tr key={row.place}>
                  <th scope="row" title={measureMeaning(row)}>
                    {measureTitle(row)} <span class="muted">{row.method}</span>
                  </th>
                  <td>
                    <EffectInterval row={row} domain={effectDomain(peers)} width={130} />
                  </td>
                  <td class="number" title={effectTitle(row)}>
                    {figure(row.effect)}
                  </td>
                  <td class="number">{figure(row.control_effect)}</td>
                  <td class="number">{figure(row.p)}</td>
                  <td class="number">{figure(row.q)}</td>
                  <td class="number">{rank ? `${rank.rank} of ${rank.of}` : "–"}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <p class="muted">
        Dot and line: effect and 95 % interval; grey: random heads of the same layers; filled: q ≤ 0.05
        {own[0]?.n_tested ? ` over ${own[0].n_tested.toLocaleString("en")} tests` : ""}.{" "}
        <a href={link("ablation", headParam.to(head))}>All ablations</a>
      </p>
    </div>
  );
}
