import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Manifest } from "../contract/generated";
import { head, page, theme } from "../state/params";
import { dark } from "../state/theme";
import { useResource } from "../state/resource";
import { go, here, link } from "../state/url";
import { HeadSearch, loadSearchData } from "./search";
import { listedPages } from "./pages";
import { Tour } from "./tour";
import { HelpSentence } from "../views/help/view";

interface Props {
  manifest: Manifest;
  children: ComponentChildren;
}

/** The header, with search, navigation and theme, and the page. */
export function Layout({ manifest, children }: Props) {
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <header class="header">
        <div class="header-row">
          <a class="brand" href={link("home")}>
            Attention motifs
          </a>
          <SearchBox manifest={manifest} />
          <ThemeSwitch />
        </div>
        <Navigation manifest={manifest} />
      </header>
      <main id="content" class="content" tabIndex={-1}>
        {children}
      </main>
      <HelpSentence />
      <Tour />
    </>
  );
}

/** Links to the pages. On a narrow screen, the open page's link is scrolled into view. */
function Navigation({ manifest }: { manifest: Manifest }) {
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    const open = nav.current?.querySelector<HTMLElement>("[aria-current]");
    if (nav.current && open) nav.current.scrollLeft = open.offsetLeft - (nav.current.clientWidth - open.offsetWidth) / 2;
  }, [page.value]);
  return (
    <nav class="nav" aria-label="Pages" ref={nav}>
      {listedPages(manifest).map((item) => (
        <a key={item.name} href={link(item.name)} aria-current={item.name === page.value ? "page" : undefined}>
          {item.title}
        </a>
      ))}
    </nav>
  );
}

function SearchBox({ manifest }: { manifest: Manifest }) {
  const [asked, setAsked] = useState(false);
  const data = useResource(() => loadSearchData(manifest, asked), [asked], { keep: true });
  return (
    <HeadSearch
      manifest={manifest}
      data={data.value ?? null}
      label="Search"
      placeholder="Head, behaviour, class, cluster, paper, feature or text ( / )"
      shortcut="/"
      focus={page.value === "home" && head.value === ""}
      onType={() => setAsked(true)}
      onPick={(name) => go(page.value === "home" ? here(head.to(name)) : link("head", head.to(name)))}
    />
  );
}

function ThemeSwitch() {
  const isDark = dark.value;
  return (
    <button
      type="button"
      class="quiet"
      aria-pressed={isDark}
      onClick={() => theme.set(isDark ? "light" : "dark")}
    >
      {isDark ? "Light" : "Dark"}
    </button>
  );
}
