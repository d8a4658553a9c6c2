import { useState } from "preact/hooks";
import { saveBlob } from "../../views/export-menu/save";
import { softwareBibtex, PAPER } from "./bibtex";

/** How to cite the paper and this software. */
export function Cite({ version }: { version: string }) {
  const software = softwareBibtex(version);
  const [message, setSaid] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(`${PAPER}\n\n${software}\n`).then(
      () => setSaid("Copied."),
      () => setSaid("The browser refused the copy. Select the text, or save it as a file."),
    );
  return (
    <section aria-labelledby="cite">
      <h2 id="cite">How to cite</h2>
      <p>Please cite the paper for the method, and this software for the atlas.</p>
      <pre class="about-bibtex" tabIndex={0} aria-label="BibTeX">
        {PAPER}
        {"\n\n"}
        {software}
      </pre>
      <div class="toolbar">
        <button type="button" onClick={() => void copy()}>
          Copy
        </button>
        <button
          type="button"
          onClick={() => saveBlob(new Blob([`${PAPER}\n\n${software}\n`], { type: "text/plain" }), "attention-motifs.bib")}
        >
          Save as .bib
        </button>
        <span class="muted" role="status">
          {message}
        </span>
      </div>
    </section>
  );
}
