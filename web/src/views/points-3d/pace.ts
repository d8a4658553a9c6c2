// How many pixels and points a picture may have while it moves.

/** Milliseconds to draw a frame beyond which moving looks jerky. */
const SLOW = 55;
/** Below this there is time for more. */
const FAST = 25;
const LEAST = 0.5;
/** Least share of the points. */
const FEWEST = 0.05;

/** Chooses pixels to a CSS pixel, and a share of the points, from how long frames take. */
export interface Pace {
  /** Note how many milliseconds a frame took on the graphics card. */
  note(milliseconds: number): void;
  /** Whether frames are drawn with fewer pixels or points than there are. */
  coarse(): boolean;
  ratio(): number;
  full(): number;
  /** Share of the points to draw, the first ones. */
  points(): number;
  milliseconds(): number;
}

/** @param full pixels to a CSS pixel of the screen */
export function createPace(full: () => number = () => Math.min(2, window.devicePixelRatio || 1)): Pace {
  let share = 1;
  let points = 1;
  let mean = 0;
  let reported = 0;
  const ratio = () => Math.max(Math.min(LEAST, full()), full() * share);
  return {
    note: (milliseconds) => {
      mean = mean === 0 ? milliseconds : mean * 0.7 + milliseconds * 0.3;
      reported = mean;
      if (mean > SLOW) {
        // Fewer pixels first: points that are left out are missed more.
        if (ratio() > LEAST) share *= mean > 4 * SLOW ? 0.5 : 0.75;
        else points = Math.max(FEWEST, points * Math.max(0.2, SLOW / mean));
        mean = 0;
      } else if (mean < FAST) {
        if (points < 1) points = Math.min(1, points * 1.06);
        else share = Math.min(1, share * 1.06);
      }
    },
    coarse: () => ratio() < full() || points < 1,
    ratio,
    full,
    points: () => points,
    milliseconds: () => reported,
  };
}
