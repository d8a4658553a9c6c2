import type { Manifest } from "../../contract/generated";
import { sizeText } from "../../data/heads";
import { fileUrl } from "../../data/source";
import { byteSize } from "../../views/chart/view";
import { Fix } from "../../views/states/view";

/** The settings of this atlas, and what it does not hold. */
export function Atlas({ manifest }: { manifest: Manifest }) {
  const facts: [string, string][] = [
    ...Object.entries(manifest.settings).map(([name, value]): [string, string] => [name, String(value ?? "–")]),
    ["schema of the site's data", String(manifest.schema)],
    ["digest of the site's data", manifest.version],
  ];
  const missing = Object.entries(manifest.missing);
  return (
    <section aria-labelledby="atlas">
      <h2 id="atlas">This atlas</h2>
      <dl class="about-facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <bdi>{value}</bdi>
            </dd>
          </div>
        ))}
      </dl>
      {missing.length > 0 ? (
        <>
          <h3>Not in this atlas</h3>
          <dl class="about-facts">
            {missing.map(([name, fix]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>
                  <Fix text={fix} />
                </dd>
              </div>
            ))}
          </dl>
        </>
      ) : null}
    </section>
  );
}

/** The models with their licences and sources. */
export function Models({ manifest }: { manifest: Manifest }) {
  return (
    <section aria-labelledby="models">
      <h2 id="models">Models and their licences</h2>
      <p>This software is under the MIT licence. Each model has its own:</p>
      <div class="about-scroll" tabIndex={0} role="region" aria-label="Table of the models">
        <table class="about-table">
          <thead>
            <tr>
              <th scope="col">Model</th>
              <th scope="col">Licence</th>
              <th scope="col">Architecture</th>
              <th scope="col">Layers × heads</th>
              <th scope="col">Parameters</th>
              <th scope="col">BOS</th>
              <th scope="col">From</th>
              <th scope="col">SHA-256 of the weights</th>
            </tr>
          </thead>
          <tbody>
            {manifest.models.map((model) => (
              <tr key={model.name}>
                <th scope="row">
                  <bdi>{model.name}</bdi>
                  {model.added ? <span class="muted"> (added later)</span> : null}
                </th>
                <td>{model.licence || "not stated"}</td>
                <td>
                  {model.architecture}, {model.dtype}
                </td>
                <td>
                  {sizeText(model)}
                </td>
                <td>{model.n_parameters.toLocaleString("en")}</td>
                <td>{model.bos ? "yes" : "no"}</td>
                <td class="about-source">
                  <bdi>
                    {model.source}
                    {model.revision ? ` @ ${model.revision}` : ""}
                  </bdi>
                </td>
                <td>
                  <code title={model.weights_sha256}>{model.weights_sha256.slice(0, 12)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** Files for other programs. */
export function Downloads({ manifest }: { manifest: Manifest }) {
  if (manifest.downloads.length === 0) return null;
  return (
    <section aria-labelledby="downloads">
      <h2 id="downloads">Downloads</h2>
      <ul class="about-downloads">
        {manifest.downloads.map((item) => (
          <li key={item.file}>
            <a href={fileUrl(item.file)} download="">
              {item.title}
            </a>{" "}
            <span class="muted">{byteSize(item.bytes)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
