import { useSignal } from "@preact/signals";
import type { Manifest, Prompt } from "../../contract/generated";
import { labelText, loadLabels } from "../../data/explanations";
import { headName, modelOfRow, placeOfRow } from "../../data/heads";
import { isLive, loadState, readTexts } from "../../data/live";
import { loadPictures, meanPicture } from "../../data/pictures";
import { shortId } from "../../data/prompts";
import { useResource } from "../../state/resource";
import { HeadLink } from "../../views/head-link/view";
import { PatternCanvas } from "../../views/pattern-canvas/view";
import { PatternInspect } from "../../views/pattern-inspect/view";
import type { Cell } from "../../views/pattern-matrix/api";
import { promptLine } from "../../views/prompt-label/view";
import { Loaded } from "../../views/states/view";
import { PatternFeatures } from "./features";
import { loadNearestPatterns } from "./nearest";

interface Props {
  manifest: Manifest;
  row: number;
  place: number;
  prompt: Prompt;
}

const FEW = 8;

/** A pattern that is not stored: what is known of it, and the pattern itself if the server has the model in memory. */
export function NotStored({ manifest, row, place, prompt }: Props) {
  const name = headName(manifest, row);
  return (
    <>
      <h1>
        <HeadLink head={name} />
      </h1>
      <p class="pattern-prompt">
        on <bdi>“{promptLine(prompt.text, 90)}”</bdi>{" "}
        <span class="muted">
          {prompt.source} · {shortId(prompt)}
        </span>
      </p>
      {isLive() ? (
        <Computed manifest={manifest} row={row} place={place} prompt={prompt} />
      ) : (
        <p>
          This pattern is not stored. Its features, its nearest patterns and its text are below;{" "}
          <code>motifs serve --live</code> computes the pattern.
        </p>
      )}
      <div class="pattern-more">
        <PatternFeatures manifest={manifest} row={row} prompt={place} isStored={false} />
        <Nearest manifest={manifest} row={row} place={place} />
      </div>
      <h2>Text</h2>
      <p class="pattern-text">
        <bdi>{prompt.text}</bdi>
        {prompt.cut ? " …" : ""}
      </p>
    </>
  );
}

/** The pattern as the server computes it from the text. */
function Computed({ manifest, row, prompt }: Props) {
  const model = modelOfRow(manifest, row);
  const { layer, index } = placeOfRow(model, row);
  const cursor = useSignal<Cell | null>(null);
  const computed = useResource(async () => {
    const { models } = await loadState();
    if (!models.includes(model.name)) return null;
    const { readings } = await readTexts([prompt.text], [model.name], new AbortController().signal);
    const reading = readings.find((item) => item.model === model.name);
    const pattern = reading?.patterns[reading.layers.indexOf(layer)]?.[index];
    return reading && pattern ? { reading, pattern } : null;
  }, [manifest, row, prompt.id]);
  return (
    <Loaded resource={computed} what="the pattern, which the model computes" height={500}>
      {(result) =>
        result ? (
          <>
            <p class="muted">
              This pattern is not stored; the server computed it from{" "}
              {prompt.cut || result.reading.is_cut ? "the beginning of the text" : "the text"}.
            </p>
            <PatternInspect
              pattern={result.pattern}
              tokens={result.reading.tokens}
              bos={result.reading.bos}
              name={headName(manifest, row)}
              prompt={promptLine(prompt.text, 90)}
              file={`${headName(manifest, row)}-${shortId(prompt)}`}
              cursor={cursor}
            />
          </>
        ) : (
          <p>This pattern is not stored, and the server does not have {model.name} in memory.</p>
        )
      }
    </Loaded>
  );
}

function Nearest({ manifest, row, place }: Omit<Props, "prompt">) {
  const loaded = useResource(async () => {
    const [all, labels] = await Promise.all([loadNearestPatterns(manifest, row, place), loadLabels(manifest)]);
    const nearest = all.slice(0, FEW);
    return { nearest, labels, pictures: await loadPictures(manifest, nearest.map(({ head }) => head)) };
  }, [manifest, row, place]);
  return (
    <section>
      <h2>Nearest patterns on this prompt</h2>
      <p class="muted">By Euclidean distance in the pattern embedding. A picture is the mean over the prompts that can be viewed.</p>
      <Loaded resource={loaded} what="the embedding" height={180}>
        {({ nearest, labels, pictures }) => (
          <div class="pattern-neighbours">
            {nearest.map(({ head, distance }) => (
              <figure key={head}>
                {pictures ? (
                  <PatternCanvas pattern={meanPicture(pictures, [head])} size={120} label={`mean attention of ${headName(manifest, head)}`} />
                ) : null}
                <figcaption>
                  <HeadLink head={headName(manifest, head)} />
                  <span class="muted">
                    {distance.toPrecision(3)} {labelText(manifest, labels, head)}
                  </span>
                </figcaption>
              </figure>
            ))}
          </div>
        )}
      </Loaded>
    </section>
  );
}
