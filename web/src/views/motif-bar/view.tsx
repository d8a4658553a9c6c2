import "./view.css";
import type { MotifBarProps } from "./api";
import { capital, Term } from "../help/view";

/** Least share that the list names. */
const LEAST = 0.005;

/** A stacked bar, with name, share and spread of each part below it. */
export function MotifBar({ motifs, shares, spreads, label }: MotifBarProps) {
  const total = shares.reduce((sum, share) => sum + share, 0) || 1;
  let from = 0;
  const parts = motifs.map((motif, place) => {
    const share = (shares[place] ?? 0) / total;
    const part = { motif, share, from, spread: spreads[place] ?? 0 };
    from += share;
    return part;
  });
  const listed = parts.filter(({ share }) => share >= LEAST).sort((a, b) => b.share - a.share);
  return (
    <div class="motif-bar">
      <svg viewBox="0 0 1000 18" preserveAspectRatio="none" role="img" aria-label={label}>
        {parts.map(({ motif, share, from }) =>
          share > 0 ? (
            // The gap keeps parts apart whose colours are alike.
            <rect key={motif.name} x={1000 * from} y={0} width={Math.max(1000 * share - 2, 0.5)} height={18} fill={motif.colour}>
              <title>{`${motif.name}: ${percent(share)}`}</title>
            </rect>
          ) : null,
        )}
      </svg>
      <ul>
        {listed.map(({ motif, share, spread }) => (
          <li key={motif.name}>
            <span class="motif-bar-key" style={{ background: motif.colour }} aria-hidden="true" />
            <Term help={`${capital(motif.meaning)}.`}>{motif.name}</Term>
            <span class="number">
              {percent(share)} <span class="muted">± {(100 * spread).toFixed(0)}</span>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
