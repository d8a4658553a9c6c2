import "./suggested.css";
import type { Manifest } from "../../contract/generated";
import { composed } from "../../data/composed";
import { headName, loadHeads, type Heads } from "../../data/heads";
import { head } from "../../state/params";
import { useResource } from "../../state/resource";
import { HeadLink } from "../../views/head-link/view";
import { Loaded } from "../../views/states/view";
import { highestRow, reason } from "./unknown";
import { capital, Term } from "../../views/help/view";

/** Shown instead of a head: the problem with the name, and heads to start with. */
export function Suggested({ manifest }: { manifest: Manifest }) {
  const heads = useResource(() => loadHeads(manifest), [manifest]);
  return (
    <>
      <h1>{head.value === "" ? "Choose a head" : composed`${head.value} is not in this atlas`}</h1>
      <p>
        {head.value === "" ? "" : `${reason(manifest, head.value)} `}
        Type a name, class or behaviour into the search field, or start with one of these heads, which have the
        highest score in their model:
      </p>
      <Loaded resource={heads} what="the scores" height={160}>
        {(loaded) => <Highest manifest={manifest} heads={loaded} />}
      </Loaded>
    </>
  );
}

function Highest({ manifest, heads }: { manifest: Manifest; heads: Heads }) {
  if (manifest.scores.length === 0) {
    return (
      <ul>
        {manifest.models.map((model) => (
          <li key={model.name}>
            <HeadLink head={headName(manifest, model.first_row)} />
          </li>
        ))}
      </ul>
    );
  }
  return (
    <div class="head-suggested" role="region" tabIndex={0} aria-label="Heads to start with">
      <table>
        <thead>
          <tr>
            <th scope="col">Score</th>
            {manifest.models.map((model) => (
              <th key={model.name} scope="col">
                {model.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {manifest.scores.map((score) => {
            const values = heads.column(score.name)?.values ?? [];
            return (
              <tr key={score.name}>
                <th scope="row">
                  <Term help={`${capital(score.meaning)}.`}>{score.name}</Term>
                </th>
                {manifest.models.map((model) => {
                  const row = highestRow(values, model);
                  return (
                    <td key={model.name}>
                      {row === null ? (
                        "–"
                      ) : (
                        <>
                          <HeadLink head={headName(manifest, row)} short />{" "}
                          <span class="muted">{(values[row] as number).toFixed(2)}</span>
                        </>
                      )}
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
