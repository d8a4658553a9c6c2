import { useResource } from "../state/resource";
import { link } from "../state/url";
import { loadHeads } from "../data/heads";
import { loadClasses } from "../data/classes";
import { head } from "../state/params";
import { go } from "../state/url";
import { HeadSearch } from "../views/head-search/view";
import type { PageProps } from "./page";

/** What this atlas holds, and ways in. */
export default function Home({ manifest }: PageProps) {
  const data = useResource(async () => {
    const [classes, heads] = await Promise.all([loadClasses(manifest), loadHeads(manifest)]);
    return { classes, heads };
  }, [manifest]);
  return (
    <>
      <h1>{manifest.title}</h1>
      <HeadSearch
        manifest={manifest}
        data={data.value ?? null}
        label="Search for a head"
        focus
        onPick={(name) => go(link("head", head.to(name)))}
      />
    </>
  );
}
