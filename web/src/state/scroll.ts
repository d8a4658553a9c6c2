// Where the window is scrolled to: kept with each step of the history, so that Back returns to it.

/** Milliseconds between scrolling and storing the place: browsers limit changes of the history. */
const PAUSE = 150;
/** Milliseconds until a place that is not reached is given up: the page may have become shorter. */
const PATIENCE = 5000;
/** Frames for which a restored page must stay as it is. */
const QUIET = 8;
/** What stands for content that is still to come. */
const WAITING = ".state-loading, [data-waiting]";

let restoring = 0;
let storing = 0;

/** The state of this step of the history, with the place of the window. */
function here(): { scroll: number } {
  return { scroll: Math.round(window.scrollY) };
}

/** Store the place with the step of the history that is left. */
export function storeScroll(): void {
  window.clearTimeout(storing);
  window.history.replaceState(here(), "");
}

/** Scroll to the top, as for a new page. */
export function scrollToTop(): void {
  stop();
  window.scrollTo(0, 0);
}

/** Keep the place up to date and restore it after Back, Forward and a reload. Call once. */
export function keepScroll(): void {
  window.history.scrollRestoration = "manual";
  window.addEventListener(
    "scroll",
    () => {
      window.clearTimeout(storing);
      if (restoring === 0) storing = window.setTimeout(storeScroll, PAUSE);
    },
    { passive: true },
  );
  for (const name of ["wheel", "touchstart", "pointerdown", "keydown"]) {
    window.addEventListener(name, stop, { passive: true });
  }
  window.addEventListener("popstate", (event) => restore(placeOf(event.state)));
  restore(placeOf(window.history.state));
}

/** The place in a state of the history; 0 if it holds none. */
export function placeOf(state: unknown): number {
  const scroll = (state as { scroll?: unknown } | null)?.scroll;
  return typeof scroll === "number" && Number.isFinite(scroll) ? Math.max(0, scroll) : 0;
}

function stop(): void {
  cancelAnimationFrame(restoring);
  restoring = 0;
}

/** Scroll to a place again and again until the content that was there has been loaded. */
function restore(place: number): void {
  stop();
  window.clearTimeout(storing);
  const end = performance.now() + PATIENCE;
  let quiet = 0;
  const step = () => {
    if (Math.abs(window.scrollY - place) > 1) window.scrollTo(0, place);
    const reached = Math.abs(window.scrollY - place) <= 1;
    quiet = reached && document.querySelector(WAITING) === null ? quiet + 1 : 0;
    restoring = quiet < QUIET && performance.now() < end ? requestAnimationFrame(step) : 0;
  };
  restoring = requestAnimationFrame(step);
}
