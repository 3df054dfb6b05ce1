/** Who was suspected, went down and came back, as the lane of membership shows it. */
import { list, t } from "../../messages/index.svelte.ts";
import type { Scene, TimelineMark } from "../../model/scene.ts";
import { labelWidth } from "../geometry/labels.ts";
import { layLane, type LaneGroup } from "../geometry/lane.ts";
import { namesIn } from "../names.ts";

export type OpinionKind = "suspected" | "down" | "up";
export type Opinion = LaneGroup<OpinionKind>;

const SIZES: Readonly<Record<OpinionKind, number>> = { suspected: 8.6, down: 12, up: 12 };

export function opinions(scene: Scene, marks: readonly TimelineMark[], xOf: (us: number) => number, right: number): Opinion[] {
  /** Of the last time that it went down. */
  const reporters = new Map<number, readonly number[]>();
  const shown = marks.flatMap((mark): { kind: OpinionKind; x: number; node: number }[] => {
    switch (mark.kind) {
      case "suspected":
        return [{ kind: "suspected", x: xOf(mark.atUs), node: mark.of }];
      case "down":
        reporters.set(mark.of, mark.reporters);
        return [{ kind: "down", x: xOf(mark.atUs), node: mark.of }];
      case "up":
        return [{ kind: "up", x: xOf(mark.atUs), node: mark.of }];
      default:
        return [];
    }
  });
  return layLane(shown, {
    right,
    widthOf: labelWidth,
    sizeOf: (kind) => SIZES[kind],
    words: (kind, nodes) => {
      if (kind === "suspected") {
        return null;
      }
      const names = list(namesIn(scene, nodes));
      const brief = namesIn(scene, nodes).join(" ");
      const [only] = nodes;
      if (nodes.length > 1 || only === undefined) {
        return { brief, full: kind === "down" ? t("lane.downs", { nodes: names }) : t("lane.ups", { nodes: names }) };
      }
      const by = reporters.get(only) ?? [];
      return { brief, full: kind === "up" ? t("lane.up", { node: names }) : by.length === 0 ? t("lane.downs", { nodes: names }) : t("lane.down", { node: names, reporters: list(namesIn(scene, by)) }) };
    },
  });
}
