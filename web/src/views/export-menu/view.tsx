import "./view.css";
import { useState } from "preact/hooks";
import type { ExportData, ExportMenuProps } from "./api";
import { whole } from "../near/saving";
import { fileName, pngBlob, saveBlob, svgText } from "./save";

/** Buttons that save a view. */
export function ExportMenu({ target, name, data = [] }: ExportMenuProps) {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const save = async (extension: string, make: (element: Element) => Promise<Blob>) => {
    const element = target();
    if (!element || busy) return;
    setBusy(true);
    try {
      setProblem("");
      saveBlob(await whole(element, () => make(element)), fileName(name, extension));
    } catch {
      setProblem("The picture is too large for PNG. Show less, or save as SVG.");
    } finally {
      setBusy(false);
    }
  };
  const saveData = async (format: ExportData) => {
    if (busy) return;
    setBusy(true);
    try {
      setProblem("");
      saveBlob(new Blob([await format.make()], { type: format.type }), fileName(name, format.extension));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      setProblem(`${format.title} was not saved: ${reason}. Show less, or load the page again, then try again.`);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="export-menu" role="group" aria-label="Save as" data-export="no">
      <span class="muted" aria-hidden="true">
        Save
      </span>
      <button type="button" onClick={() => void save("png", pngBlob)}>
        PNG
      </button>
      <button
        type="button"
        onClick={() =>
          void save("svg", async (element) => new Blob([svgText(element)], { type: "image/svg+xml" }))
        }
      >
        SVG
      </button>
      {data.map((format) => (
        <button
          key={format.title}
          type="button"
          onClick={() => void saveData(format)}
        >
          {format.title}
        </button>
      ))}
      {busy ? <span class="muted" role="status">saving…</span> : null}
      {problem ? <span role="alert">{problem}</span> : null}
    </div>
  );
}
