import type { Manifest } from "../../contract/generated";
import { loadAblationRows } from "../../data/ablations";
import { headName } from "../../data/heads";
import { useResource } from "../../state/resource";
import { HeadEffects } from "../../views/head-effects/view";
import { WhenNear } from "../../views/near/view";
import { Loaded } from "../../views/states/view";

/** Effects of ablating the head; nothing if the atlas has no ablations. */
export function Effects({ manifest, row }: { manifest: Manifest; row: number }) {
  if (manifest.ablations === null) return null;
  return (
    <section aria-label="Ablation">
      <h2>Effect of ablating this head</h2>
      <WhenNear height={160}>{() => <Measured manifest={manifest} row={row} />}</WhenNear>
    </section>
  );
}

function Measured({ manifest, row }: { manifest: Manifest; row: number }) {
  const rows = useResource(() => loadAblationRows(manifest), [manifest]);
  return (
    <Loaded resource={rows} what="the ablations" height={160}>
      {(all) => <HeadEffects head={headName(manifest, row)} rows={all ?? []} />}
    </Loaded>
  );
}
