/** Where things stand on the stage: the ring's centre and radii, the nodes, and what the corners leave free. */
import { at, turn, type Point } from "./polar.ts";

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface StageLayout {
  readonly width: number;
  readonly height: number;
  readonly centre: Point;
  readonly radius: number;
  readonly band: number;
  /** Of the circle on which the nodes stand, and of a node. */
  readonly nodeRing: number;
  readonly nodeRadius: number;
  /** Between a node's edge and what starts or ends at it. */
  readonly gap: number;
  readonly compact: boolean;
  /** Held by the matrix, the quorum glyph and the faults; words on the ring keep out of them. */
  readonly corners: readonly Box[];
}

/** The drawing's unit: at this radius its numbers hold as they are. */
const RADIUS_UNIT = 266;
const COMPOSER_HEIGHT = 52;
const NODE_RADIUS_MIN = 8;
/** With more partitions than letters fit, each node has a thin track of its own. */
export const LETTERED_PARTITIONS_MAX = 128;
export const TRACKED_NODES_MAX = 5;
export const TRACK_WIDTH = 9;

export interface StageInput {
  readonly width: number;
  readonly height: number;
  readonly nodeCount: number;
  readonly partitionCount: number;
  readonly compact: boolean;
  readonly hasCorners: boolean;
  readonly hasMatrix: boolean;
}

export function stageLayout(input: StageInput): StageLayout {
  return input.compact ? compactLayout(input) : fullLayout(input);
}

function fullLayout({ width, height, nodeCount, partitionCount, hasCorners, hasMatrix }: StageInput): StageLayout {
  const isTracked = partitionCount > LETTERED_PARTITIONS_MAX;
  const outside = isTracked ? 16 : 0;
  const full = Math.max(60, Math.min((height - 148) / 2 + 2, (width - 176) / 2));
  const radius = full - outside;
  const k = radius / RADIUS_UNIT;
  const room = height - COMPOSER_HEIGHT - 30;
  const centre = { x: width / 2 + (isTracked ? 14 : 12), y: COMPOSER_HEIGHT + room / 2 + (isTracked ? 6 : 2) };
  const tracks = Math.min(nodeCount, TRACKED_NODES_MAX);
  const corners: Box[] = [];
  if (hasCorners) {
    if (hasMatrix) {
      corners.push({ left: 0, top: 0, right: 60 + nodeCount * 17, bottom: 145 + nodeCount * 17 });
    }
    corners.push({ left: width - 112, top: 0, right: width, bottom: 224 });
    corners.push({ left: width - 150, top: height - 205, right: width, bottom: height });
    corners.push({ left: 0, top: height - 40, right: width, bottom: height });
  }
  return {
    width,
    height,
    centre,
    radius,
    band: isTracked ? TRACK_WIDTH * (nodeCount > TRACKED_NODES_MAX ? 2 : tracks) : 20,
    ...nodeSizes(nodeCount, nodeCount <= 3 ? 144 * k : 144 * k, 26 * Math.max(k, 0.9), radius),
    gap: 10,
    compact: false,
    corners,
  };
}

function compactLayout({ width, height, nodeCount, partitionCount }: StageInput): StageLayout {
  const radius = Math.min((height - 38) / 2, (width - 76) / 2);
  const k = radius / 157;
  return {
    width,
    height,
    centre: { x: width / 2 + 4, y: height / 2 },
    radius,
    band: partitionCount > LETTERED_PARTITIONS_MAX ? 5 * Math.min(nodeCount, TRACKED_NODES_MAX) : 15,
    ...nodeSizes(nodeCount, 83 * k, 19 * Math.min(1, Math.max(k, 0.8)), radius),
    gap: 4,
    compact: true,
    corners: [],
  };
}

/** Many nodes need a wider circle and smaller discs. */
function nodeSizes(count: number, ring: number, size: number, radius: number): { nodeRing: number; nodeRadius: number } {
  const wide = count > 8 ? Math.min(radius * 0.66, ring * (1 + (count - 8) * 0.05)) : ring;
  const chord = count > 1 ? 2 * wide * Math.sin(Math.PI / count) : Infinity;
  return { nodeRing: wide, nodeRadius: Math.max(NODE_RADIUS_MIN, Math.min(size, chord * 0.3)) };
}

export function nodeAngle(index: number, count: number): number {
  return (index * 360) / Math.max(1, count);
}

export function nodePoints(layout: StageLayout, count: number): Point[] {
  return Array.from({ length: count }, (_, index) => at(layout.centre, nodeAngle(index, count), layout.nodeRing));
}

export function meets(box: Box, other: Box): boolean {
  return box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
}

/** Lies on the stage and in no corner. */
export function isFree(layout: StageLayout, box: Box): boolean {
  const inside = box.left >= 4 && box.right <= layout.width - 4 && box.top >= COMPOSER_HEIGHT + 4 && box.bottom <= layout.height - 4;
  return inside && !layout.corners.some((corner) => meets(corner, box));
}

const BUSY_DEGREES = 15;

/** Where the client stands: beside its entry node, outside the ring, at the first angle with room. */
export function clientPoint(layout: StageLayout, entryAngle: number, busy: readonly number[]): Point | null {
  const distance = layout.radius + (layout.compact ? 20 : 46);
  for (const shift of [0, 8, -8, 16, -16, 24, -24, 32, -32, 40, -40, 48, -48, 62, -62, 76, -76, 100, -100, 130, -130]) {
    const angle = (entryAngle + shift + 360) % 360;
    // The quarters have their numerals there, and the walk its stops and words.
    if (busy.some((other) => Math.abs(turn(angle, other)) < BUSY_DEGREES)) {
      continue;
    }
    if (!layout.compact && Math.min(angle % 90, 90 - (angle % 90)) < 9) {
      continue;
    }
    const point = at(layout.centre, angle, distance);
    const half = layout.compact ? 8 : 16;
    const box = { left: point.x - half, right: point.x + half, top: point.y - half, bottom: point.y + (layout.compact ? 8 : 32) };
    const inside = layout.compact
      ? box.left > 2 && box.right < layout.width - 2 && box.top > 2 && box.bottom < layout.height - 2
      : isFree(layout, box);
    if (inside) {
      return point;
    }
  }
  return null;
}
