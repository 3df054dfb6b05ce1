/** Words beside the nodes: each at the first of its spots where it meets no disc and no other words, or not at all. */
import { at, type Point } from "./polar.ts";
import { measured } from "./measured.svelte.ts";
import { meets, nodeAngle, type Box, type StageLayout } from "./stage.ts";

export type Anchor = "start" | "middle" | "end";

/** Of the first line's baseline. */
export interface Spot extends Point {
  readonly anchor: Anchor;
}

export interface Words {
  readonly node: number;
  /** One for each line. */
  readonly widths: readonly number[];
  readonly spots: readonly Spot[];
}

export const LINE_HEIGHT = 16;
/** Above so many nodes words go towards the middle, where there is more room than between neighbours. */
const CROWDED_MIN = 8;
/** Above so many, only nodes that have something to say are named, and every few to find one's way by. */
export const THINNED_MIN = 12;
const LANDMARKS = 10;
const INNER_RADIUS_MIN = 170;
/** A disc this small has no room for its name. */
export const LETTERED_RADIUS_MIN = 9;

/** `lines`: what else words keep off. */
export function placeLabels(layout: StageLayout, words: readonly Words[], discs: readonly Box[], lines: readonly Box[] = []): ReadonlyMap<number, Spot> {
  const placed = new Map<number, Spot>();
  const taken: Box[] = [];
  // Of few nodes words keep off their own disc too; between many, they may touch it.
  const hasRoom = discs.length <= CROWDED_MIN;
  for (const { node, widths, spots } of words) {
    const free = spots.filter((one) => {
      const box = boxOf(one, widths);
      return ![...taken, ...lines].some((other) => meets(box, other)) && !discs.some((disc, index) => (index !== node || hasRoom) && meets(box, disc));
    });
    // Rather on the dial than nowhere, if that has room beside other things.
    const spot = free.find((one) => isInside(layout, boxOf(one, widths))) ?? (isSmall(layout) ? undefined : free[0]);
    if (spot !== undefined) {
      placed.set(node, spot);
      taken.push(boxOf(spot, widths));
    }
  }
  return placed;
}

const isSmall = ({ radius, compact }: StageLayout): boolean => radius < INNER_RADIUS_MIN && !compact;

/** Not on the arcs of the dial, which have letters of their own. */
function isInside({ centre, radius, band }: StageLayout, box: Box): boolean {
  return Math.hypot(Math.max(centre.x - box.left, box.right - centre.x), Math.max(centre.y - box.top, box.bottom - centre.y)) < radius - band - 1;
}

/** Rough width of a label of 11 px: enough to keep two apart, in the reader's font and spacing. */
export function labelWidth(text: string): number {
  let width = 0;
  for (const sign of text) {
    width += sign > "\u1100" ? 11 : sign === " " ? 3.5 : 6.3;
  }
  return width * measured.scale;
}

/** What words take up from their point on: so much of it above, below and to both sides. */
export function wordBox({ x, y }: Point, anchor: Anchor, width: number, above: number, below = above, aside = 0): Box {
  const left = anchor === "start" ? x : anchor === "end" ? x - width : x - width / 2;
  return { left: left - aside, right: left + width + aside, top: y - above, bottom: y + below };
}

export function boxOf(spot: Spot, widths: readonly number[]): Box {
  return wordBox(spot, spot.anchor, Math.max(...widths, 0), 11, 4 + (widths.length - 1) * LINE_HEIGHT, 2);
}

export function discsOf(layout: StageLayout, points: readonly Point[]): Box[] {
  const reach = layout.nodeRadius + (layout.nodeRadius > 14 ? 8 : 1);
  return points.map(({ x, y }) => ({ left: x - reach, right: x + reach, top: y - reach, bottom: y + reach }));
}

/** Never on the node's own radius, where routes arrive; above it in the upper half, below it in the lower. `wide`: long words. */
export function spotsOf(layout: StageLayout, point: Point, node: number, count: number, lines: number, isWide: boolean): Spot[] {
  const angle = nodeAngle(node, count);
  const r = layout.nodeRadius;
  const level = point.y + 4 - ((lines - 1) / 2) * LINE_HEIGHT;
  const right: Spot = { x: point.x + r + 16, y: level, anchor: "start" };
  const left: Spot = { x: point.x - r - 16, y: level, anchor: "end" };
  const inner = [0, 1, 2, 3].map((step): Spot => {
    const spot = at(layout.centre, angle, Math.hypot(point.x - layout.centre.x, point.y - layout.centre.y) - r - (count > THINNED_MIN ? 10 : 18) - step * LINE_HEIGHT);
    const offset = layout.centre.x - spot.x;
    return { x: spot.x, y: spot.y + 4 - ((lines - 1) / 2) * LINE_HEIGHT, anchor: Math.abs(offset) < 40 ? "middle" : offset < 0 ? "end" : "start" };
  });
  if (count > CROWDED_MIN) {
    return inner;
  }
  // Of a small ring that is where all links cross, and nobody could tell whose words those are.
  if (isSmall(layout)) {
    inner.length = 0;
  }
  if (angle < 20 || angle > 340) {
    return isWide ? [left, right, ...inner] : [right, left, ...inner];
  }
  const isUpper = angle <= 90 || angle >= 270;
  const towards = (layout.centre.x > point.x ? 1 : -1) * (isWide ? 34 : 22);
  const above = (shift: number): Spot => ({ x: point.x + shift, y: point.y - r - 15 - (lines - 1) * LINE_HEIGHT, anchor: "middle" });
  const below = (shift: number): Spot => ({ x: point.x + shift, y: point.y + r + 22, anchor: "middle" });
  const beside = point.x < layout.centre.x ? [right, left] : [left, right];
  return isUpper ? [above(0), above(towards), below(towards), ...beside, ...inner] : [below(towards), below(-towards), ...beside, ...inner];
}

/** Every so many nodes one is named though it has nothing to say. */
export function isLandmark(node: number, count: number): boolean {
  return count > THINNED_MIN && node % Math.ceil(count / LANDMARKS) === 0;
}
