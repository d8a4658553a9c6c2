import { choice, flag, integer } from "../../state/codecs";
import { param } from "../../state/url";

/** What shares are followed over. */
export const over = param("over", choice("depth", "feature", "size"), "depth");
/** What a line is. */
export const by = param("by", choice("model", "family"), "model");
/** A panel per cluster, or one per model or family. */
export const panels = param("panels", choice("clusters", "groups"), "clusters");
/** Bins of the depth. */
export const bins = param("bins", integer(2, 24), 6);
/** Clusters that are followed, largest first. */
export const nClusters = param("n_clusters", integer(1, 200), 12);
/** Whether each panel's axis goes to its own largest share. */
export const own = param("own_scale", flag, true);
