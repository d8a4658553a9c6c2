// The number of pixels and points of a picture while it moves.

/** Milliseconds per frame above which movement is not smooth. */
const SLOW = 55;
/** Milliseconds per frame below which more can be drawn. */
const FAST = 25;
const LEAST = 0.5;
/** Least share of the points. */
const FEWEST = 0.05;

/** Chooses pixels per CSS pixel and a share of the points from the time of the last frames. */
export interface Pace {
  /** Record the milliseconds of a frame. */
  note(milliseconds: number): void;
  /** Whether frames have fewer pixels or points than possible. */
  coarse(): boolean;
  ratio(): number;
  full(): number;
  /** Share of the points to draw, from the first. */
  points(): number;
  milliseconds(): number;
}

/** @param full pixels per CSS pixel of the screen */
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
        // Fewer pixels first: missing points are more noticeable.
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
