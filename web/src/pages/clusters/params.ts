import { list } from "../../state/codecs";
import { param } from "../../state/url";
import { pickCodec } from "./selection";

/** Selected clusters and branches, as `c3,b355`, of the clustering in the link. */
export const picked = param("picked", list(pickCodec), []);
