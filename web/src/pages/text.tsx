import "./text/page.css";
import { loadLabels } from "../data/explanations";
import { isLive, loadState } from "../data/live";
import { useResource } from "../state/resource";
import { Empty, Loaded } from "../views/states/view";
import type { PageProps } from "./page";
import { Form } from "./text/form";
import { TextHeads } from "./text/heads";
import { Keep } from "./text/keep";
import { answered } from "./text/state";

/** Every head on a text of the user, run by the models in the memory of the server. */
export default function TextPage({ manifest }: PageProps) {
  return (
    <>
      <h1>Your text</h1>
      {isLive() ? (
        <Live manifest={manifest} />
      ) : (
        <Empty title="No models are running">Run `motifs serve --live` to see every head on a text that you type.</Empty>
      )}
    </>
  );
}

function Live({ manifest }: PageProps) {
  const loaded = useResource(async () => {
    const [state, labels] = await Promise.all([loadState(), loadLabels(manifest)]);
    return { state, labels };
  }, [manifest]);
  const answer = answered.value;
  return (
    <>
      <p>
        Type or paste a text to see what every head does on it. The heads come first whose patterns are farther from
        their patterns in the atlas than usual; with a second text, those that attend differently on the two.
      </p>
      <Loaded resource={loaded} what="the models" height={200}>
        {({ state, labels }) => (
          <>
            <Form state={state} />
            {answer ? <TextHeads manifest={manifest} labels={labels} answer={answer} /> : null}
            {answer ? <Keep key={answer.turn} texts={answer.texts} /> : null}
          </>
        )}
      </Loaded>
    </>
  );
}
