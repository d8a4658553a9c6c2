import "./tour.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { page, tour } from "../state/params";
import { stored } from "../state/stored";
import { change, go, link } from "../state/url";

/** What a step of the tour points at: the first element of the selector. */
interface Step {
  selector: string;
  title: string;
  words: string;
}

export const STEPS: readonly Step[] = [
  {
    selector: ".header .head-search",
    title: "Find anything",
    words: "Press / and type a head (L18.H6 or 18.6), a behaviour (induction), a class, a cluster, a paper, a feature or words of a prompt. Enter opens the best match.",
  },
  {
    selector: ".bench-map, .head-map",
    title: "All heads",
    words: "Each dot is a head; near dots do alike. Click one to choose it, or drag a rectangle to see only its heads in the rows.",
  },
  {
    selector: ".bench-answer",
    title: "What the head does",
    words: "The verdict with its probability, and the evidence in one sentence. All evidence and scores are one click away.",
  },
  {
    selector: ".pattern-rows",
    title: "Its look-alikes",
    words: "Patterns of the head and of the nearest heads, over the same prompts: rows are queries, columns are keys. Point at one to mark the same tokens in all of them, and in the text below.",
  },
  {
    selector: ".bench-rows details.panel",
    title: "What is shown",
    words: "Choose the metric, the prompts, the models and the colours here. They stay with every link that you follow or share.",
  },
  {
    selector: ".header .nav",
    title: "The other pages",
    words: "Clusters, classes, distances and features in depth; Evaluation says which metric to use. Dotted words explain themselves when you point at them or reach them with Tab.",
  },
];

const KEPT = "attention-motifs tour";
/** Frames to wait until the page has the element of a step. */
const PATIENCE = 120;

/** The tour of the workbench: offered at the first opening, in a bar that covers nothing else, and never again. */
export function Tour() {
  const kept = stored(KEPT);
  const step = STEPS[tour.value - 1];
  if (step && page.value === "home") return <Card step={step} number={tour.value} onEnd={() => end(kept)} />;
  // Programs that drive a browser have no use for the offer; `?tour=1` shows the tour to them too.
  if (kept.value !== null || navigator.webdriver) return null;
  return (
    <aside class="tour tour-offer" aria-label="Tour">
      <span>New here?</span>
      <button type="button" class="primary" onClick={() => go(link("home", tour.to(1)))}>
        Take the two-minute tour
      </button>
      <button type="button" onClick={() => kept.set("dismissed")}>
        No, thank you
      </button>
    </aside>
  );
}

function end(kept: { set: (value: string) => void }): void {
  kept.set("seen");
  tour.replace(0);
}

function Card({ step, number, onEnd }: { step: Step; number: number; onEnd: () => void }) {
  const next = useRef<HTMLButtonElement>(null);
  const place = usePlace(step.selector);
  useEffect(() => next.current?.focus(), [number]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape") onEnd();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  const isLast = number === STEPS.length;
  const show = (to: number) => change([tour.to(to)], "replace");
  return (
    <>
      {place ? <div class="tour-ring" style={place} aria-hidden="true" /> : null}
      <aside class="tour tour-card" aria-label="Tour">
        <h2>
          {step.title} <span class="muted">{`${number} of ${STEPS.length}`}</span>
        </h2>
        <p aria-live="polite">{step.words}</p>
        <div class="toolbar">
          <button ref={next} type="button" class="primary" onClick={() => (isLast ? onEnd() : show(number + 1))}>
            {isLast ? "Done" : "Next"}
          </button>
          <button type="button" disabled={number === 1} onClick={() => show(number - 1)}>
            Back
          </button>
          <button type="button" class="quiet" onClick={onEnd}>
            End the tour
          </button>
        </div>
      </aside>
    </>
  );
}

/** Scroll to the element of a step, and return where it is in the window, again after each scroll and resize. */
function usePlace(selector: string) {
  const [place, setPlace] = useState<Record<"left" | "top" | "width" | "height", number> | null>(null);
  useEffect(() => {
    let element: Element | null = null;
    let frame = 0;
    const measure = () => {
      if (!element?.isConnected) element = document.querySelector(selector);
      if (!element) return setPlace(null);
      const { left, top, width, height } = element.getBoundingClientRect();
      return setPlace({ left: left - 4, top: top - 4, width: width + 8, height: height + 8 });
    };
    // The page may still be loading.
    const find = (waited: number) => {
      element = document.querySelector(selector);
      if (!element && waited < PATIENCE) {
        frame = requestAnimationFrame(() => find(waited + 1));
        return;
      }
      element?.scrollIntoView({ block: "nearest" });
      measure();
    };
    find(0);
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    document.addEventListener("scroll", measure, true);
    return () => {
      cancelAnimationFrame(frame);
      observer.disconnect();
      document.removeEventListener("scroll", measure, true);
    };
  }, [selector]);
  return place;
}
