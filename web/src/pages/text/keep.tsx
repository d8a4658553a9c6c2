import { useState } from "preact/hooks";
import type { LiveKept } from "../../contract/generated";
import { keepText } from "../../data/live";
import { promptLine } from "../../views/prompt-label/view";

/** A button that keeps a text as a prompt of the atlas, and what is to be done then. */
export function Keep({ texts }: { texts: readonly string[] }) {
  const [kept, setKept] = useState<LiveKept | null>(null);
  const [failure, setFailure] = useState("");
  const keep = async (text: string) => {
    setFailure("");
    try {
      setKept(await keepText(text));
    } catch (error) {
      setKept(null);
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <section aria-label="Keep the text">
      <h2>Keep it as a prompt</h2>
      <p class="muted">Nothing is kept without this click.</p>
      <div class="toolbar">
        {texts.map((text, place) => (
          <button key={place} type="button" title={promptLine(text, 90)} onClick={() => void keep(text)}>
            {texts.length === 1 ? "Keep this text" : `Keep the ${place === 0 ? "first" : "second"} text`}
          </button>
        ))}
      </div>
      {failure === "" ? null : (
        <p class="state-failed" role="alert">
          {failure}
        </p>
      )}
      {kept ? (
        <div role="status">
          <p>
            {kept.is_new ? "Kept" : "It is kept or a prompt of this atlas already"}: prompt <code>{kept.prompt_id}</code>.{" "}
            <code>{kept.file}</code> in the atlas holds {kept.n_kept} of your texts. This atlas does not change. Every number
            is about all prompts, so a new atlas must be built, with these texts and the present prompts:
          </p>
          <pre class="text-command">{kept.command}</pre>
        </div>
      ) : null}
    </section>
  );
}
