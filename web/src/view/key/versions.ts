/** What each sibling has seen, by actor, as the table of the fork shows it. */
import type { KeyPicture, SiblingPicture } from "kvorum";

export interface SeenRow {
  readonly sibling: SiblingPicture;
  /** The sibling's own dot is what the others lack. */
  readonly cells: readonly { counter: number; isOwn: boolean }[];
}

export function seenBy(key: KeyPicture): { common: number[]; rows: SeenRow[] } {
  const common = new Map(key.common.map((one) => [one.actor, one.counter]));
  return {
    common: key.actors.map((actor) => common.get(actor) ?? 0),
    rows: key.siblings.map((sibling) => ({
      sibling,
      cells: key.actors.map((actor) => {
        const isOwn = sibling.actor === actor;
        return { counter: isOwn ? sibling.counter : (common.get(actor) ?? 0), isOwn };
      }),
    })),
  };
}
