import "./about/about.css";
import { useRef } from "preact/hooks";
import { tour } from "../state/params";
import { link } from "../state/url";
import { ExportMenu } from "../views/export-menu/view";
import { Atlas, Downloads, Models } from "./about/atlas";
import { Cite } from "./about/cite";
import { Differences, Method } from "./about/method";
import type { PageProps } from "./page";

/** The method, the settings of this atlas, and how to cite. */
export default function AboutPage({ manifest }: PageProps) {
  const target = useRef<HTMLDivElement>(null);
  return (
    <div class="about" ref={target}>
      <div class="toolbar about-title">
        <h1>About</h1>
        <ExportMenu target={() => target.current} name="about" />
      </div>
      <p>
        Here you can read how the distances are computed, what this atlas was built from, and how to cite it.
        The method is that of <cite>Motifs in Attention Patterns of Large Language Models</cite> (Ivanitskiy,
        Diniz Behn, Wu Fung, 2025); the differences are listed below.
      </p>
      <p data-export="no">
        <a href={link("home", tour.to(1))}>Take the two-minute tour</a>
      </p>
      <nav class="about-contents" aria-label="On this page">
        {CONTENTS.map(([id, title]) => (
          <button
            key={id}
            type="button"
            onClick={() => document.getElementById(id)?.scrollIntoView({ block: "start" })}
          >
            {title}
          </button>
        ))}
      </nav>
      <Method manifest={manifest} />
      <Differences />
      <Atlas manifest={manifest} />
      <Models manifest={manifest} />
      <Cite version={manifest.package_version} />
      <Downloads manifest={manifest} />
    </div>
  );
}

// Buttons and not anchors: the address holds the state of the page.
const CONTENTS = [
  ["method", "Method"],
  ["differences", "Differences from the paper"],
  ["atlas", "This atlas"],
  ["models", "Models and licences"],
  ["cite", "How to cite"],
  ["downloads", "Downloads"],
] as const;
