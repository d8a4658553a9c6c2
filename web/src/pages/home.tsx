import "./home/page.css";
import { useRef } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { loadClasses } from "../data/classes";
import { loadLabels } from "../data/explanations";
import { headName, sizeText, type Heads } from "../data/heads";
import { fileUrl } from "../data/source";
import { classes as classesParam, head } from "../state/params";
import { useResource } from "../state/resource";
import { go, link } from "../state/url";
import { HeadSearch } from "../views/head-search/view";
import { ExportMenu } from "../views/export-menu/view";
import { HeadLink } from "../views/head-link/view";
import { Loaded } from "../views/states/view";
import type { PageProps } from "./page";

const WAYS = [
  ["heads", "All heads", "every head with its verdict, motif shares and scores, to sort and filter"],
  ["compare", "Compare", "compare patterns of any heads on any prompts"],
  ["heads-3d", "Heads in 3-D", "every head as a point; near points have similar patterns"],
  ["patterns-3d", "Patterns in 3-D", "every pattern as a point"],
  ["distances", "Distances", "the distances of all pairs of heads"],
  ["clusters", "Clusters", "groups of heads with similar patterns, layer by layer"],
  ["features", "Features", "the numbers that describe a pattern, with examples"],
] as const;

/** The content of this atlas, and links to the pages. */
export default function Home({ manifest }: PageProps) {
  const data = useResource(async () => {
    const [classes, labels] = await Promise.all([loadClasses(manifest), loadLabels(manifest)]);
    return { classes, heads: labels.heads, labels };
  }, [manifest]);
  const place = useRef<HTMLDivElement>(null);
  return (
    <div class="home" ref={place}>
      <h1>Which attention heads do something like this one?</h1>
      <p class="home-lead">
        Attention patterns of {manifest.n_heads.toLocaleString("en")} heads in {manifest.models.length}{" "}
        {manifest.models.length === 1 ? "model" : "models"}, on {manifest.points.n_prompts.toLocaleString("en")}{" "}
        prompts: {manifest.n_patterns.toLocaleString("en")} patterns. Search for a head to see the heads that are
        most similar to it, within and across models.
      </p>
      <div class="home-search">
        <HeadSearch
          manifest={manifest}
          data={data.value ?? null}
          label="Search for a head"
          placeholder={`A head, class or behaviour, as ${manifest.n_heads > 0 ? headName(manifest, 0) : "model:L0:H0"}`}
          focus
          onPick={(name) => go(link("head", head.to(name)))}
        />
      </div>
      <div class="home-columns">
        <section>
          <h2>Heads with the highest scores</h2>
          <Loaded resource={data} what="the scores" height={160}>
            {({ heads }) => <Highest manifest={manifest} heads={heads} />}
          </Loaded>
        </section>
        <section>
          <h2>Classes</h2>
          <Loaded resource={data} what="the classes" height={160}>
            {({ classes }) => (
              <ul class="home-list">
                {classes
                  .filter((item) => item.rows.length > 0)
                  .map((item) => (
                    <li key={item.name}>
                      <a href={link("classes", classesParam.to([item.name]))}>{item.name}</a>
                      <span class="muted">{item.rows.length}</span>
                    </li>
                  ))}
              </ul>
            )}
          </Loaded>
        </section>
      </div>
      <section>
        <h2>Pages</h2>
        <ul class="home-ways">
          {WAYS.map(([page, title, words]) => (
            <li key={page}>
              <a href={link(page)}>{title}</a> <span class="muted">{words}</span>
            </li>
          ))}
        </ul>
      </section>
      <Models manifest={manifest} />
      <Made manifest={manifest} />
      <ExportMenu target={() => place.current} name="atlas" />
    </div>
  );
}

/** The three heads with the highest value of each score. */
function Highest({ manifest, heads }: { manifest: Manifest; heads: Heads }) {
  if (manifest.scores.length === 0) return <p class="muted">{manifest.missing["scores"] ?? "None."}</p>;
  return (
    <dl class="home-scores">
      {manifest.scores.map((score) => {
        const values = heads.column(score.name)?.values ?? new Float32Array();
        const order = Array.from(values.keys()).filter((row) => Number.isFinite(values[row]));
        order.sort((a, b) => (values[b] as number) - (values[a] as number));
        return (
          <div key={score.name}>
            <dt title={score.meaning}>{score.name}</dt>
            <dd>
              {order.slice(0, 3).map((row) => (
                <span key={row}>
                  <HeadLink head={headName(manifest, row)} />{" "}
                  <span class="muted">{(values[row] as number).toFixed(2)}</span>
                </span>
              ))}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

function Models({ manifest }: { manifest: Manifest }) {
  return (
    <section>
      <h2>Models</h2>
      <div class="home-scroll" tabIndex={0} role="region" aria-label="Models">
        <table class="home-models">
          <thead>
            <tr>
              {["Model", "Architecture", "Layers × heads", "Parameters", "BOS", "Weights", "Licence"].map((item) => (
                <th key={item} scope="col">
                  {item}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {manifest.models.map((model) => (
              <tr key={model.name}>
                <th scope="row">{model.name}</th>
                <td>{model.architecture}</td>
                <td>
                  {sizeText(model)}
                </td>
                <td>{`${(model.n_parameters / 1e6).toLocaleString("en", { maximumFractionDigits: 0 })} M`}</td>
                <td>{model.bos ? "yes" : "no"}</td>
                <td title={`${model.source}\nSHA-256 ${model.weights_sha256}`}>
                  <code>{model.weights_sha256.slice(0, 12)}</code>, {model.dtype}
                </td>
                <td>{model.licence}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Made({ manifest }: { manifest: Manifest }) {
  return (
    <section>
      <h2>Settings</h2>
      <dl class="home-settings">
        {Object.entries(manifest.settings).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{String(value)}</dd>
          </div>
        ))}
        <div>
          <dt>distances</dt>
          <dd>{manifest.metrics.map((metric) => metric.name).join(", ")}</dd>
        </div>
        <div>
          <dt>attention-motifs</dt>
          <dd>
            {manifest.package_version}, site schema {manifest.schema}
          </dd>
        </div>
      </dl>
      {manifest.downloads.length > 0 ? (
        <p>
          Downloads:{" "}
          {manifest.downloads.map((download, place) => (
            <span key={download.file}>
              {place > 0 ? " · " : ""}
              <a href={fileUrl(download.file)} download>
                {download.title}
              </a>
            </span>
          ))}
        </p>
      ) : null}
    </section>
  );
}
