/** The cluster of the package, as far as the worker uses it. */
import type { KeyPicture, NodePicture, Cluster as RealCluster } from "kvorum";
import { errorOf, isRefusal } from "./errors.ts";

/** What is done with it; another that does it serves as well. */
export type Cluster = Pick<
  RealCluster,
  | "client"
  | "fault"
  | "now"
  | "eventCount"
  | "step"
  | "run"
  | "digest"
  | "script"
  | "options"
  | "verdicts"
  | "inspect"
  | "flights"
  | "subscribe"
  | "close"
>;

/** A picture of one key or node that cannot be taken now (the node is stopped) is no trouble of the whole. */
export function keyPictureOf(cluster: Cluster, key: string): KeyPicture | null {
  return unlessRefused(() => cluster.inspect({ key }));
}

export function nodePictureOf(cluster: Cluster, node: number, key: string | null): NodePicture | null {
  return unlessRefused(() => cluster.inspect(key === null ? { node } : { node, key }));
}

function unlessRefused<T>(take: () => T): T | null {
  try {
    return take();
  } catch (error) {
    if (isRefusal(errorOf(error).code)) return null;
    throw error;
  }
}
