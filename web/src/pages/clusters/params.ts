import { list } from "../../state/codecs";
import { param } from "../../state/url";
import { pickCodec } from "./selection";

/** Selected clusters and branches: `c3,b355`. Their numbers belong to the clustering of the link. */
export const picked = param("picked", list(pickCodec), []);
