import { useState } from "preact/hooks";
import { composed } from "../../data/composed";
import { checkedName, nameCluster, readNames, writeNames, type ClusterName } from "../../data/cluster-names";
import { saveBlob } from "../../views/export-menu/save";
import { Select } from "../../views/controls/view";
import type { View } from "./model";

/** Clusters in the list, largest first; select others to name them. */
const OFFERED = 200;

interface Props {
  view: View;
  known: readonly ClusterName[];
  /** The cluster that was selected last, offered first. */
  cluster: number;
  onChange: (names: readonly ClusterName[]) => void;
}

/** Names and notes of clusters: stored in this browser, saved as names.json. */
export function Names({ view, known, cluster, onChange }: Props) {
  const [problem, setProblem] = useState("");
  const load = async (file: File | undefined) => {
    if (!file) return;
    try {
      onChange(readNames(await file.text()));
      setProblem("");
    } catch (error) {
      setProblem(`${file.name}: ${error instanceof Error ? error.message : "cannot be read"}`);
    }
  };
  const save = () =>
    saveBlob(new Blob([writeNames(known)], { type: "application/json" }), "names.json");
  return (
    <section aria-label="Names of clusters">
      <h2>Names</h2>
      <p class="muted">
        A name belongs to the heads of its cluster: in another cut, the cluster with the largest overlap gets it.
        Names are stored in this browser. To keep them in the atlas, save <code>names.json</code> and put it in
        the folder <code>clusters/</code> of the atlas.
      </p>
      <NameForm key={cluster} view={view} known={known} cluster={cluster} onChange={onChange} />
      <div class="toolbar cluster-heading">
        <button type="button" disabled={known.length === 0} onClick={save}>
          Save names.json
        </button>
        <label class="control">
          <span>Load</span>
          <input
            type="file"
            accept=".json,application/json"
            onChange={(event) => void load(event.currentTarget.files?.[0])}
          />
        </label>
        {problem ? <span role="alert">{problem}</span> : null}
      </div>
      <NameList view={view} known={known} onChange={onChange} />
    </section>
  );
}

function NameForm({ view, known, cluster, onChange }: Props) {
  const clusters = view.parts.filter((part) => part.cluster >= 0);
  const [number, setNumber] = useState(clusters.some((part) => part.cluster === cluster) ? cluster : 0);
  const now = view.named.names.get(number);
  const [name, setName] = useState(now?.name ?? "");
  const [note, setNote] = useState(now?.note ?? "");
  const checked = checkedName(name);
  const choose = (next: number) => {
    const inherited = view.named.names.get(next);
    setNumber(next);
    setName(inherited?.name ?? "");
    setNote(inherited?.note ?? "");
  };
  const part = clusters.find((item) => item.cluster === number);
  return (
    <form
      class="toolbar cluster-name-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (checked === null || !part) return;
        onChange(nameCluster(known, view.names, view.cut.labels, number, checked, note));
      }}
    >
      <Select
        label="Cluster"
        value={String(number)}
        options={clusters.filter((item) => item.cluster < OFFERED || item.cluster === number).map((item) => ({
          value: String(item.cluster),
          title: composed`${view.title(item.cluster)} (${item.rows.length})`,
        }))}
        onChange={(value) => choose(Number(value))}
      />
      <label class="control">
        <span>Name</span>
        <input type="text" maxLength={80} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <label class="control cluster-note">
        <span>Note</span>
        <input type="text" value={note} onInput={(event) => setNote(event.currentTarget.value)} />
      </label>
      <button type="submit" class="primary" disabled={checked === null || !part}>
        Set name
      </button>
    </form>
  );
}

function NameList({ view, known, onChange }: Pick<Props, "view" | "known" | "onChange">) {
  if (known.length === 0) return <p class="muted">No cluster has a name yet.</p>;
  const places = new Map([...view.named.names].map(([cluster, name]) => [name.name, cluster]));
  return (
    <ul class="cluster-names">
      {known.map((item) => {
        const cluster = places.get(item.name);
        return (
          <li key={item.name}>
            <strong>{item.name}</strong>
            <span class="muted">
              {item.members.length} heads, {cluster === undefined ? "in no cluster of this cut" : `cluster ${cluster}`}
            </span>
            {item.note ? <span>{item.note}</span> : null}
            <button
              type="button"
              aria-label={composed`Remove the name ${item.name}`}
              onClick={() => onChange(known.filter((other) => other.name !== item.name))}
            >
              Remove
            </button>
          </li>
        );
      })}
    </ul>
  );
}
