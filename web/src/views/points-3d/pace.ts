// How many pixels a picture may have while it moves.

/** Milliseconds from frame to frame beyond which moving looks jerky. */
const SLOW = 55;
/** Below this there is time for more pixels. */
const FAST = 22;
/** A longer gap is a rest, not a slow frame. */
const REST = 400;
const LEAST = 0.5;

/** Chooses the number of pixels to a CSS pixel from how long frames take. */
export interface Pace {
  /** Note a frame; tells whether it was drawn with fewer pixels than there are. */
  frame(drawing: number): boolean;
  rest(): void;
  ratio(): number;
  full(): number;
  milliseconds(): number;
}

/** @param now clock, in milliseconds; @param full pixels to a CSS pixel of the screen */
export function createPace(
  now: () => number = () => performance.now(),
  full: () => number = () => Math.min(2, window.devicePixelRatio || 1),
): Pace {
  let share = 1;
  let mean = 0;
  let last = -1;
  const ratio = () => Math.max(LEAST, full() * share);
  return {
    frame: (drawing) => {
      const at = now();
      const coarse = ratio() < full();
      const gap = last < 0 || at - last > REST ? drawing : at - last;
      last = at;
      mean = mean === 0 ? gap : mean * 0.8 + gap * 0.2;
      if (mean > SLOW && ratio() > LEAST) {
        share *= 0.75;
        mean = 0;
      } else if (mean > 0 && mean < FAST && share < 1) {
        share = Math.min(1, share * 1.15);
      }
      return coarse;
    },
    rest: () => {
      last = -1;
    },
    ratio,
    full,
    milliseconds: () => mean,
  };
}
