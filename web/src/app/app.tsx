import { useLayoutEffect, useMemo } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { abortRequests, loadManifest } from "../data/source";
import { head, page as pageParam } from "../state/params";
import { useResource } from "../state/resource";
import { link } from "../state/url";
import { Empty, Loaded } from "../views/states/view";
import { Boundary } from "./boundary";
import { Layout } from "./layout";
import { PAGES, type PageEntry } from "./pages";

/** The site: loads the manifest, then the page in the address. */
export function App() {
  // The scripts of the page load along with the manifest, not after it.
  useMemo(() => {
    PAGES.find((entry) => entry.name === pageParam.peek())?.load().catch(() => undefined); // `OpenPage` shows the failure
  }, []);
  const manifest = useResource(loadManifest, []);
  return (
    <Loaded resource={manifest} what="the atlas">
      {(loaded) => (
        <Layout manifest={loaded}>
          <Page manifest={loaded} />
        </Layout>
      )}
    </Loaded>
  );
}

function Page({ manifest }: { manifest: Manifest }) {
  const name = pageParam.value;
  const entry = PAGES.find((entry) => entry.name === name);
  if (!entry) {
    return (
      <Empty title="This page does not exist">
        <a href={link("home")}>Go to the start</a>
      </Empty>
    );
  }
  // The key resets the page and its error boundary.
  return <OpenPage key={entry.name} entry={entry} manifest={manifest} />;
}

function OpenPage({ entry, manifest }: { entry: PageEntry; manifest: Manifest }) {
  // In a layout effect, whose cleanup is before the next page's effects, in which it requests its data.
  useLayoutEffect(() => abortRequests, [entry.name, head.value]);
  const module = useResource(entry.load, [entry.name]);
  document.title = entry.name === "home" ? manifest.title : `${entry.title} · ${manifest.title}`;
  return (
    <Loaded resource={module} what="the page">
      {({ default: Component }) => (
        <Boundary>
          <Component manifest={manifest} />
        </Boundary>
      )}
    </Loaded>
  );
}
