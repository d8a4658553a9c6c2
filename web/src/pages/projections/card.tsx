import { useRef } from "preact/hooks";
import type { Manifest, Projection } from "../../contract/generated";
import { composed } from "../../data/composed";
import { loadProjection, projectionId } from "../../data/projections";
import { colour } from "../../state/params";
import { useResource } from "../../state/resource";
import { link } from "../../state/url";
import { useNear } from "../../views/near/view";
import { PointThumbnail } from "../../views/point-thumbnail/view";
import * as params from "../points/params";
import { TERMS } from "../../data/terms";

/** Pixels before the edge of the screen at which a projection is loaded. */
const AHEAD = 300;

interface CardProps {
  manifest: Manifest;
  projection: Projection;
  /** Red, green, blue of every head. */
  colours: Uint8Array;
  colourId: string;
  /** Side of the picture in pixels. */
  size: number;
  mostTrustworthy: boolean;
  mostContinuous: boolean;
}

/** A projection as a picture that links to it. It is loaded when it comes near the screen. */
export function ProjectionCard({ manifest, projection, colours, colourId, size, mostTrustworthy, mostContinuous }: CardProps) {
  const anchor = useRef<HTMLAnchorElement>(null);
  const asked = useRef(false);
  asked.current = useNear(anchor, AHEAD) || asked.current;
  const near = asked.current;
  const placed = useResource(async () => (near ? loadProjection(manifest, projection) : null), [near, projection]);
  const { method, n_neighbors, n_components, trustworthiness, continuity, note, scope } = projection;
  const words = composed`${method}, ${n_neighbors > 0 ? `${n_neighbors} neighbours, ` : ""}${n_components}-D, ${scope}`;
  const value = placed.value;
  if (placed.status === "failed") {
    return (
      <button type="button" class="projection-card projection-failed" style={{ width: size + 2 }} title={`${words}\n${placed.error.message}`} onClick={placed.retry}>
        Not loaded. Try again
      </button>
    );
  }
  const flat = n_components > 2 ? [] : [params.dimensions.to("2")];
  return (
    <a
      ref={anchor}
      class="projection-card"
      style={{ width: size + 2 }}
      href={link("heads-3d", params.projection.to(projectionId(projection)), colour.to(colourId), ...flat)}
      data-help={[words, note].filter(Boolean).join("\n")}
    >
      {value ? (
        <PointThumbnail
          x={value.x}
          y={value.y}
          z={value.z}
          colours={colours.subarray(3 * value.firstRow)}
          size={size}
          label={words}
        />
      ) : (
        <span class="projection-wait" style={{ width: size, height: size }} data-waiting={near ? "true" : undefined} />
      )}
      <span class="projection-numbers number">
        <span data-best={mostTrustworthy} data-help={`Trustworthiness. ${TERMS.trustworthiness}`}>
          T {share(trustworthiness)}
        </span>
        <span data-best={mostContinuous} data-help={`Continuity. ${TERMS.continuity}`}>
          C {share(continuity)}
        </span>
      </span>
    </a>
  );
}

function share(value: number | null): string {
  return value === null ? "–" : value.toFixed(3);
}
