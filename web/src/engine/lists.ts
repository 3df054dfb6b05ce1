/** Lists that seldom change and are long: what is the same crosses once, and stays the same object where it is drawn from. */
import type { NodePicture } from "kvorum";

/** Whether two lists of lists hold the same numbers. */
export function areSame(one: readonly (readonly number[])[], other: readonly (readonly number[])[]): boolean {
  if (one === other) return true;
  if (one.length !== other.length) return false;
  return one.every((list, index) => {
    const twin = other[index];
    return twin !== undefined && list.length === twin.length && list.every((value, at) => value === twin[at]);
  });
}

/** Lists of places, each behind its length; there are 50 nodes at most. */
export function packLists(lists: readonly (readonly number[])[]): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(lists.reduce((sum, list) => sum + 1 + list.length, 0));
  let at = 0;
  for (const list of lists) {
    packed[at] = list.length;
    packed.set(list, at + 1);
    at += 1 + list.length;
  }
  return packed;
}

export function unpackLists(packed: Uint8Array): number[][] {
  const lists: number[][] = [];
  for (let at = 0; at < packed.length; ) {
    const length = packed[at] ?? 0;
    lists.push(Array.from(packed.subarray(at + 1, at + 1 + length)));
    at += 1 + length;
  }
  return lists;
}

type Repair = NodePicture["repair"];

/** One number for each partition: an array of them is copied whole when it crosses, where objects would be made one by one. */
export function packRepair(repair: Repair): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(repair, ({ partition, differs, moving }) => partition * 4 + (differs ? 2 : 0) + (moving ? 1 : 0));
}

export function unpackRepair(packed: Uint32Array): Repair {
  return Array.from(packed, (word) => ({ partition: word >>> 2, differs: (word & 2) !== 0, moving: (word & 1) !== 0 }));
}
