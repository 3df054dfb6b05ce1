/** Who went down and came back, as marks of the lane of membership with words where there is room. */
import { list, t } from "../../messages/index.svelte.ts";
import type { Scene, TimelineMark } from "../../model/scene.ts";
import { labelWidth } from "../geometry/time.ts";
import { namesIn } from "../names.ts";

export interface Opinion {
  readonly isDown: boolean;
  readonly x: number;
  readonly text: string;
  readonly width: number;
  readonly hasRoom: boolean;
}

/** Nearer than this, marks of one kind are one mark. */
const MERGED_PIXELS = 16;

export function opinions(scene: Scene, marks: readonly TimelineMark[], xOf: (us: number) => number, suspected: readonly number[]): Opinion[] {
  const groups: { isDown: boolean; x: number; nodes: number[]; reporters: readonly number[] }[] = [];
  for (const mark of marks) {
    if (mark.kind !== "down" && mark.kind !== "up") {
      continue;
    }
    const x = xOf(mark.atUs);
    const isDown = mark.kind === "down";
    const last = groups.findLast((group) => group.isDown === isDown);
    if (last !== undefined && x - last.x < MERGED_PIXELS) {
      last.nodes = [...new Set([...last.nodes, mark.of])];
    } else {
      groups.push({ isDown, x, nodes: [mark.of], reporters: mark.kind === "down" ? mark.reporters : [] });
    }
  }
  const drawn = [...suspected, ...groups.map((group) => group.x)];
  let free = -Infinity;
  return groups.map(({ isDown, x, nodes, reporters }): Opinion => {
    const names = list(namesIn(scene, nodes));
    const isOne = nodes.length === 1;
    const text = isDown
      ? isOne
        ? t("lane.down", { node: names, reporters: list(namesIn(scene, reporters)) })
        : t("lane.downs", { nodes: names })
      : isOne
        ? t("lane.up", { node: names })
        : t("lane.ups", { nodes: names });
    const width = labelWidth(text) + 14;
    const hasRoom = x >= free && !drawn.some((other) => other > x + 2 && other < x + width);
    if (hasRoom) {
      free = x + width + 6;
    }
    return { isDown, x, text, width, hasRoom };
  });
}
