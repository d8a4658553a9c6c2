import { useEffect, useRef, useState } from "preact/hooks";
import type { LiveState } from "../../contract/generated";
import { readTexts } from "../../data/live";
import { Check, Many } from "../../views/controls/view";
import { answered, chosenModels, other, shown, text } from "./state";

/** Fields for one text or two, and a button that runs the models. */
export function Form({ state }: { state: LiveState }) {
  const [failure, setFailure] = useState("");
  const [busy, setBusy] = useState(false);
  const running = useRef<AbortController | null>(null);
  // A request whose page was left is stopped, here and in the server.
  useEffect(() => () => running.current?.abort(), []);
  const run = async () => {
    running.current?.abort();
    const control = new AbortController();
    running.current = control;
    setBusy(true);
    setFailure("");
    const texts = other.value === null ? [text.value] : [text.value, other.value];
    try {
      const result = await readTexts(texts, chosenModels.value, control.signal);
      if (control.signal.aborted) return;
      shown.value = null;
      answered.value = { turn: (answered.value?.turn ?? 0) + 1, texts, result };
    } catch (error) {
      if (!control.signal.aborted) setFailure(error instanceof Error ? error.message : String(error));
    }
    if (running.current === control) setBusy(false);
  };
  const stop = () => {
    running.current?.abort();
    setBusy(false);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    void run();
  };
  const isEmpty = text.value.trim() === "" || other.value?.trim() === "";
  return (
    <form
      class="text-form"
      onKeyDown={onKeyDown}
      onSubmit={(event) => {
        event.preventDefault();
        void run();
      }}
    >
      <Field label="Text" value={text.value} onInput={(value) => (text.value = value)} />
      {other.value === null ? null : (
        <Field label="Other text" value={other.value} onInput={(value) => (other.value = value)} />
      )}
      <div class="toolbar">
        <Check
          label="Compare with another text"
          value={other.value !== null}
          onChange={(value) => (other.value = value ? text.value : null)}
        />
        {state.models.length > 1 ? (
          <Many
            label="Models"
            values={chosenModels.value}
            options={state.models.map((name) => ({ value: name, title: name }))}
            onChange={(values) => (chosenModels.value = values)}
          />
        ) : null}
        <button type="submit" disabled={isEmpty || busy}>
          Show every head
        </button>
        {busy ? (
          <button type="button" onClick={stop}>
            Stop
          </button>
        ) : null}
        <span class="muted" role="status">
          {busy ? "The models are running…" : `Up to ${state.max_tokens} tokens; Ctrl + Enter runs.`}
        </span>
      </div>
      {failure === "" ? null : (
        <p class="state-failed" role="alert">
          {failure}
        </p>
      )}
    </form>
  );
}

function Field({ label, value, onInput }: { label: string; value: string; onInput: (value: string) => void }) {
  return (
    <label class="text-field">
      <span>{label}</span>
      <textarea
        rows={3}
        dir="auto"
        spellcheck={false}
        autocomplete="off"
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}
