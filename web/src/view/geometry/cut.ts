/** Cuts of the network as halves that can be drawn, and a line drawn by hand as halves that can be cut. */
import { at, type Point } from "./polar.ts";
import { nodeAngle, type StageLayout } from "./stage.ts";

export interface Halves {
  readonly one: number[];
  readonly other: number[];
}

/** Groups of nodes with the same nodes cut off; `null` if the cuts part no two whole sides. */
export function halvesOf(cuts: readonly (readonly [number, number])[], nodeCount: number): Halves[] {
  const across = Array.from({ length: nodeCount }, () => new Set<number>());
  for (const [from, to] of cuts) {
    across[from]?.add(to);
    across[to]?.add(from);
  }
  const name = (set: Set<number>): string => [...set].sort((a, b) => a - b).join(" ");
  const found = new Map<string, Halves>();
  across.forEach((set) => {
    const other = [...set].sort((a, b) => a - b);
    const first = other[0];
    if (first === undefined) {
      return;
    }
    const one = [...(across[first] ?? [])].sort((a, b) => a - b);
    // Whole sides only: everybody here is cut from everybody there.
    const isWhole = one.every((node) => name(across[node] ?? new Set()) === name(set));
    const [low, high] = (one[0] ?? 0) < first ? [one, other] : [other, one];
    if (isWhole) {
      found.set(`${low.join(" ")}|${high.join(" ")}`, { one: low, other: high });
    }
  });
  return [...found.values()];
}

export interface CutLine {
  readonly from: Point;
  readonly to: Point;
}

/** Straight across, half-way between the nearest of both sides; `null` if the sides do not stand together on the circle. */
export function cutLine(layout: StageLayout, halves: Halves, nodeCount: number): CutLine | null {
  const [side, rest] = halves.one.length <= halves.other.length ? [halves.one, halves.other] : [halves.other, halves.one];
  const own = new Set(side);
  const starts = side.filter((node) => !own.has((node - 1 + nodeCount) % nodeCount));
  const start = starts[0];
  if (starts.length !== 1 || start === undefined) {
    return null;
  }
  const across = nodeAngle(start, nodeCount) + ((side.length - 1) * 180) / nodeCount;
  const distance = (node: number): number => layout.nodeRing * Math.cos(((nodeAngle(node, nodeCount) - across) * Math.PI) / 180);
  const offset = (Math.min(...side.map(distance)) + Math.max(...rest.map(distance))) / 2;
  const reach = layout.radius - layout.band - 6;
  const half = (Math.acos(Math.min(1, Math.max(-1, offset / reach))) * 180) / Math.PI;
  return { from: at(layout.centre, across - half, reach), to: at(layout.centre, across + half, reach) };
}

/** Who stands on either side of a line; `null` if one side is empty. */
export function sidesOf(line: CutLine, points: readonly Point[]): Halves | null {
  const one: number[] = [];
  const other: number[] = [];
  points.forEach((point, node) => {
    const cross = (line.to.x - line.from.x) * (point.y - line.from.y) - (line.to.y - line.from.y) * (point.x - line.from.x);
    (cross > 0 ? one : other).push(node);
  });
  return one.length > 0 && other.length > 0 ? { one, other } : null;
}

/** Two halves by their places on the ring, for those who do not draw: the selected node's neighbours go with it. */
export function halvesAround(node: number, nodeCount: number): Halves {
  const size = Math.max(1, Math.floor(nodeCount / 2));
  const one = Array.from({ length: size }, (_, index) => (node + index) % nodeCount).sort((a, b) => a - b);
  const other = Array.from({ length: nodeCount }, (_, index) => index).filter((index) => !one.includes(index));
  return { one, other };
}

