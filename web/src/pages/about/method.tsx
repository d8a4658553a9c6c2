import type { Manifest } from "../../contract/generated";
import { metricOf } from "../../data/distances";
import { link } from "../../state/url";
import { Formula } from "../../views/formula/view";
import { DIFFERENCES } from "./differences";

/** The method in short. */
export function Method({ manifest }: { manifest: Manifest }) {
  const { n_components, n_prompts, variance } = manifest.points;
  const kept = Math.round(100 * variance.reduce((sum, share) => sum + share, 0));
  const standard = metricOf(manifest, "");
  return (
    <section aria-labelledby="method">
      <h2 id="method">Method</h2>
      <h3>Patterns</h3>
      <p>
        A head <Formula latex="h" /> given a prompt <Formula latex="s" /> of <Formula latex="n" /> tokens
        produces a pattern <Formula latex="A\in[0,1]^{n\times n}" />: rows are queries, columns are keys,
        and nothing is above the diagonal. Rows sum to 1, or to less in models whose softmax has a sink of
        its own. Here: {manifest.n_heads.toLocaleString("en")} heads on {n_prompts.toLocaleString("en")} prompts.
      </p>
      <h3>Features</h3>
      <p>
        Each pattern is described by numbers: statistics of its diagonal, of its first column, of the entries
        of its Gram matrices, and others. The page <a href={link("features")}>Features</a> lists them with
        their formulas.
      </p>
      <h3>Embedding</h3>
      <p>
        Features that do not vary are dropped, the others are standardised over all patterns of the atlas,
        and the first {n_components} principal components are kept:{" "}
        <Formula latex={`E(A)\\in\\mathbb{R}^{${n_components}}`} />, here {kept} % of the variance. Values
        that are not finite are replaced by the mean of their feature and counted.
      </p>
      <h3>Distance of heads</h3>
      <p>Equation 3 of the paper: the mean over the prompts that both heads were run on.</p>
      <Formula
        display
        latex="D_{ij}=\frac{1}{|\mathcal{D}|}\sum_{s}\lVert E(h_i(s))-E(h_j(s))\rVert_2"
      />
      {manifest.metrics.map((metric) => (
        <p key={metric.name}>
          <a href={link("distances", ["metric", metric.name])}>
            <code>{metric.name}</code>
          </a>
          {metric.name === standard?.name ? " (shown first)" : ""}: {metric.title}. It does not see{" "}
          {metric.blind.replace(/\.$/, "")}.
        </p>
      ))}
      <h3>Limits</h3>
      <p>
        The method compares patterns only: two heads with equal patterns can write different things into the
        residual stream. The <a href={link("ablation")}>ablation</a> page shows what a model loses without a
        head. Distances of two atlases cannot be compared: prompts, number of tokens and embedding have to be
        the same. The <a href={link("evaluation")}>evaluation</a> page shows how good the distances are.
      </p>
    </section>
  );
}

/** Differences between this software and the paper. */
export function Differences() {
  return (
    <section aria-labelledby="differences">
      <h2 id="differences">Differences from the paper</h2>
      <div class="about-scroll" tabIndex={0} role="region" aria-label="Table of the differences">
        <table class="about-table">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">The paper</th>
              <th scope="col">Here</th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {DIFFERENCES.map(([what, paper, here, why]) => (
              <tr key={what}>
                <th scope="row">{what}</th>
                <td>{paper}</td>
                <td>{here}</td>
                <td class="muted">{why}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
