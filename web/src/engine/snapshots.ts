/** What is told of a cluster as it is now: frames of what moves, and pictures of what is read. */
import { type Cluster, keyPictureOf, nodePictureOf } from "./cluster.ts";
import { packLists, packRepair } from "./lists.ts";
import type { Frame, PicturesPost } from "./protocol.ts";

/** What happened since the last one, and what is under way. */
export function frameOf(cluster: Cluster, batches: readonly Uint32Array[]): Frame & { words: Uint32Array<ArrayBuffer>; flights: Float64Array<ArrayBuffer> } {
  return { kind: "frame", words: joined(batches), flights: whole(cluster.flights()), nowUs: cluster.now, events: cluster.eventCount };
}

/** The whole, and the inside of what is selected. */
export function picturesOf(cluster: Cluster, { key, node }: { key: string | null; node: number | null }): { owners: Uint8Array; pictures: PicturesPost } {
  const { owners, ...picture } = cluster.inspect();
  const inside = node === null || node >= picture.nodes.length ? null : nodePictureOf(cluster, node, key);
  const pictures: PicturesPost = {
    kind: "pictures",
    cluster: picture,
    key: key === null ? null : keyPictureOf(cluster, key),
    askedKey: key,
    node: inside === null ? null : { ...inside, repair: packRepair(inside.repair) },
    verdict: cluster.verdicts(),
  };
  return { owners: packLists(owners), pictures };
}

/** All words in one array of its own, to be given away. */
function joined(batches: readonly Uint32Array[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(batches.reduce((sum, batch) => sum + batch.length, 0));
  let at = 0;
  for (const batch of batches) {
    words.set(batch, at);
    at += batch.length;
  }
  return words;
}

/** An array of its own, to be given away: a view of the module's memory cannot be. */
function whole(array: Float64Array): Float64Array<ArrayBuffer> {
  const { buffer } = array;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === array.byteLength) return new Float64Array(buffer);
  return new Float64Array(array);
}
