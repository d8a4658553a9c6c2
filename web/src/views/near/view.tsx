import { useEffect, useRef, useState } from "preact/hooks";
import type { WhenNearProps } from "./api";
import { saved } from "./saving";

/** Return whether an element is near the screen, or in a picture that is being saved. */
export function useNear(place: { current: Element | null }, ahead: number): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => {
    if (!place.current) return undefined;
    const observer = new IntersectionObserver(
      (entries) => setNear(entries.some((entry) => entry.isIntersecting)),
      { rootMargin: `${ahead}px` },
    );
    observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  return near || saved.value?.contains(place.current) === true;
}

/** Content that is rendered once it comes near the screen, and stays. */
export function WhenNear({ height, ahead = 0, children }: WhenNearProps) {
  const place = useRef<HTMLDivElement>(null);
  const near = useNear(place, ahead);
  const seen = useRef(false);
  seen.current ||= near;
  return (
    <div ref={place} style={seen.current ? {} : { minHeight: `${height}px` }}>
      {seen.current ? children() : null}
    </div>
  );
}
