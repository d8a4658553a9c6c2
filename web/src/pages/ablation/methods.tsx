import { byMethod, type AblationRow } from "../../data/ablations";
import { figure } from "../../views/chart/view";
import { effectInWords, effectTitle } from "../../views/head-effects/words";
import { HeadLink } from "../../views/head-link/view";

/** Number of targets listed: all sets and groups, then heads by the size of their effect. */
const MOST = 30;

/** Effects of the same heads by every method; nothing if there is one method only. */
export function Methods({ rows }: { rows: readonly AblationRow[] }) {
  const shown = rows.filter((row) => row.effect !== null && ["head", "set", "group"].includes(row.kind));
  const { references, targets } = byMethod(shown);
  const first = shown[0];
  if (references.length < 2 || !first) return null;
  const size = (effects: readonly (AblationRow | null)[]) =>
    Math.max(...effects.map((row) => Math.abs(row?.effect ?? 0)));
  const kind = (row: AblationRow) => (row.kind === "head" ? 1 : 0);
  const sorted = [...targets].sort(
    (a, b) => kind(a.target) - kind(b.target) || size(b.effects) - size(a.effects),
  );
  return (
    <section aria-labelledby="methods-title">
      <h2 id="methods-title">All methods together</h2>
      <p class="muted">
        The effect depends on what replaces the output of a head. An effect that only one method shows is
        weak evidence. Cells hold the {effectTitle(first)}.
      </p>
      <div class="ablation-scroll" tabIndex={0} role="region" aria-label="effects by method">
        <table class="ablation-correlations">
          <thead>
            <tr>
              <th>Ablated</th>
              {references.map((reference) => (
                <th key={reference} class="number">
                  {reference}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, MOST).map(({ target, effects }) => (
              <tr key={target.place}>
                <td title={target.heads.join(", ")}>
                  {target.kind === "head" ? <HeadLink head={target.name} /> : <bdi>{target.name}</bdi>}
                </td>
                {effects.map((row, place) => (
                  <td key={references[place]} class="number" title={row ? effectInWords(row) : ""}>
                    {row ? figure(row.effect) : "–"}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {sorted.length > MOST ? (
        <p class="muted">
          The first {MOST} of {sorted.length}; the table below lists all by one method.
        </p>
      ) : null}
    </section>
  );
}
