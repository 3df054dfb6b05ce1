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
  /** Around a node's middle, kept clear of lines, as far as that hides no neighbour. */
  readonly nodeClear: number;
  /** Between the middles of neighbours. */
  readonly nodeSpace: number;
  /** On which routes run, from outside in, and the radius of their corners. */
  readonly lanes: readonly number[];
  readonly corner: number;
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
const CROWDED_NODES_MIN = 8;
/** More nodes than this stand as far out as routes let them. */
const SPACED_NODES_MAX = 24;
const MATRIX = { left: 24, top: 98, row: 17, line: 17, linesMax: 4, clear: 12 } as const;
/** Held on a phone by the tally and the clock. */
const FACTS = { width: 84, height: 50 } as const;
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
      corners.push({ left: 0, top: 0, right: 60 + nodeCount * 17, bottom: matrixEnd(nodeCount) + MATRIX.linesMax * MATRIX.line });
    }
    corners.push({ left: width - 112, top: 0, right: width, bottom: 224 });
    corners.push({ left: width - 150, top: height - 205, right: width, bottom: height });
  }
  // The legend.
  corners.push({ left: 0, top: height - 40, right: width, bottom: height });
  return {
    width,
    height,
    centre,
    radius,
    band: isTracked ? TRACK_WIDTH * (nodeCount > TRACKED_NODES_MAX ? 2 : tracks) : 20,
    ...nodeSizes({ count: nodeCount, ring: 144 * k, size: 26 * Math.max(k, 0.9), radius, outer: radius - (isTracked ? 45 : 20) - 8, clear: 9 }),
    ...(nodeCount > CROWDED_NODES_MIN ? {} : { lanes: (isTracked ? [204, 194, 184, 174] : [232, 219, 206, 193]).map((r) => r * (isTracked ? radius / 244 : k)), corner: 10 }),
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
    ...nodeSizes({ count: nodeCount, ring: 83 * k, size: 19 * Math.min(1, Math.max(k, 0.8)), radius, outer: radius - 20, clear: 4 }),
    ...(nodeCount > CROWDED_NODES_MIN ? {} : { lanes: [133, 125, 117, 109].map((r) => r * k), corner: 6 }),
    gap: 4,
    compact: true,
    corners: [
      { left: 0, top: 0, right: FACTS.width, bottom: FACTS.height },
      { left: width - FACTS.width, top: 0, right: width, bottom: FACTS.height },
    ],
  };
}

type NodeSizes = Pick<StageLayout, "nodeRing" | "nodeRadius" | "nodeClear" | "nodeSpace" | "lanes" | "corner">;

/** Between the middles of nodes that can be met one by one, and a little for what is rounded. */
const NODE_SPACE_MIN = 24.1;

/** Many nodes need a wider circle and smaller discs, and what is left between them and the dial is for the routes. */
function nodeSizes({ count, ring, size, radius, outer, clear }: { count: number; ring: number; size: number; radius: number; outer: number; clear: number }): NodeSizes {
  const isMany = count > SPACED_NODES_MAX;
  const nodeRing = isMany ? Math.min(Math.max(radius * 0.73, NODE_SPACE_MIN / (2 * Math.sin(Math.PI / count))), outer - 16) : count > CROWDED_NODES_MIN ? Math.min(radius * 0.66, outer - 16, ring * (1 + (count - 8) * 0.05)) : ring;
  const nodeSpace = count > 1 ? 2 * nodeRing * Math.sin(Math.PI / count) : Infinity;
  const nodeRadius = Math.min(Math.max(NODE_RADIUS_MIN, Math.min(size, nodeSpace * 0.3)), nodeSpace * 0.36);
  const inner = nodeRing + nodeRadius + (isMany ? 5 : clear + 1) + 3;
  const space = Math.max(0, Math.min(13, (outer - inner) / 3));
  return {
    nodeRing,
    nodeRadius,
    nodeClear: Math.min(nodeRadius + clear, nodeSpace - nodeRadius - 1.5),
    nodeSpace,
    lanes: [0, 1, 2, 3].map((lane) => outer - lane * space),
    corner: Math.min(10, Math.max(2, space * 0.8)),
  };
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

/** Of the table of who suspects whom in its corner: from the top of the stage to the sentences below it. */
function matrixEnd(nodeCount: number): number {
  return MATRIX.top + (nodeCount + 1) * MATRIX.row;
}

/** What the ring leaves for those sentences: so many pixels wide, so many lines. */
export function matrixRoom({ centre, radius }: StageLayout, nodeCount: number): { width: number; lines: number } {
  const from = matrixEnd(nodeCount);
  // The numeral of the ring's quarter stands level with its centre.
  const lines = Math.max(1, Math.min(MATRIX.linesMax, Math.floor((centre.y - 12 - from) / MATRIX.line)));
  const rise = Math.max(0, centre.y - from - lines * MATRIX.line);
  const edge = centre.x - Math.sqrt(Math.max(0, radius * radius - rise * rise));
  return { lines, width: Math.max(64, Math.floor(edge - MATRIX.left - MATRIX.clear)) };
}

/** Lies on the stage and in no corner. */
export function isFree(layout: StageLayout, box: Box): boolean {
  const top = layout.compact ? 0 : COMPOSER_HEIGHT + 4;
  const edge = layout.compact ? 2 : 4;
  const inside = box.left >= edge && box.right <= layout.width - edge && box.top >= top && box.bottom <= layout.height - edge;
  return inside && !layout.corners.some((corner) => meets(corner, box));
}

const BUSY_DEGREES = 15;

/** Where the client stands: beside its entry node, outside the ring, at the first angle with room. */
export function clientPoint(layout: StageLayout, entryAngle: number, busy: readonly number[]): Point | null {
  const distance = layout.radius + (layout.compact ? 20 : 46);
  for (const shift of [0, 8, -8, 16, -16, 24, -24, 32, -32, 40, -40, 48, -48, 62, -62, 76, -76, 100, -100, 130, -130]) {
    const angle = (entryAngle + shift + 360) % 360;
    // The quarters have their ticks and numerals there, and the walk its stops and words.
    if (busy.some((other) => Math.abs(turn(angle, other)) < BUSY_DEGREES)) {
      continue;
    }
    if (Math.min(angle % 90, 90 - (angle % 90)) < (layout.compact ? 5 : 9)) {
      continue;
    }
    const point = at(layout.centre, angle, distance);
    const half = layout.compact ? 8 : 16;
    const box = { left: point.x - half, right: point.x + half, top: point.y - half, bottom: point.y + (layout.compact ? 8 : 32) };
    if (isFree(layout, box)) {
      return point;
    }
  }
  return null;
}
