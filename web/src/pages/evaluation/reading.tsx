import { STATISTICS } from "./rows";

/** How to read the table. */
export function Reading() {
  return (
    <details class="evaluation-reading panel">
      <summary>How to read this</summary>
      <p>
        Labels are scores of every head on input that no metric has seen: random tokens that repeat, unseen texts said
        twice, and unseen texts. Heads of neighbouring layers are alike anyway, so that each row is compared with
        permutations of the scores <em>within layers</em>.
      </p>
      <ol>
        <li>
          Compare the value (dot) with the mean of the null (grey tick), not with 0.5 or 0. The grey band ends at the
          95 % point of the permutations. The difference is what the metric adds to the layers.
        </li>
        <li>
          Compare it with the ceilings: a metric that knows the score exactly (exact score), and a perfect detector of
          the behaviour on the atlas's own prompts (detector). More than the detector is more than these prompts show.
        </li>
        <li>
          The whisker is a 95 % interval over prompts by source, label sequences and query heads. Two metrics are
          compared by the column Difference: its interval is of the same resamples.
        </li>
        <li>
          A filled dot has q ≤ 0.05. q is p corrected after Benjamini and Hochberg (1995) within one family: the rows
          of one metric, setting, kind and statistic. Where heads share keys, both p count.
        </li>
        <li>
          A star marks a class that is too small for a p below 0.05 (column p floor). This is not a failure of the
          metric.
        </li>
        <li>
          <code>A -&gt; B</code> takes heads of A as queries and ranks the heads of B. <code>B (fitted on A)</code> is B
          alone, in the space that was fitted on A.
        </li>
      </ol>
      <dl class="evaluation-statistics">
        {Object.entries(STATISTICS).map(([name, meaning]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
