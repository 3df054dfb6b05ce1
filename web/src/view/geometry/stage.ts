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
  /** As much nearer to the middle stands every other node, where neighbours on one circle could not be met one by one. */
  readonly nodeStagger: number;
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
const MATRIX = { left: 24, top: 86, row: 17, head: 18, title: 152, gap: 6, line: 17, linesMax: 4, clear: 12 } as const;
const LANDED_HEIGHT = 108;
const QUORUM = { top: 62, seats: 128, bottom: 210, label: 34, text: 82 } as const;
/** The rows of faults from the top of their title on, and the longest two of them. */
const FAULTS = { top: 200, width: 94, longTop: 106, longWidth: 142 } as const;
/** Outside the dial: a stop of the walk and a little air; where stops are fanned, a leader too. */
const WALK_REACH = { plain: 27, fanned: 46 } as const;
/** Rather the walk of some keys near a corner than a ring that nobody can read. */
const SHRUNK_MIN = 0.78;
/** Below this radius nodes have less than the drawing's room. */
const ROOMY_RADIUS = 176;
const LETTERED_RADIUS = 122;
/** Held on a phone by the tally and the clock. */
const FACTS = { width: 84, height: 50 } as const;
/** With more partitions than letters fit, each node has a thin track of its own. */
export const LETTERED_PARTITIONS_MAX = 128;
export const TRACKED_NODES_MAX = 5;
export const TRACK_WIDTH = 9;
/** A track of a small ring is such a part of its radius. */
const TRACK_PARTS = 20;

export interface StageInput {
  readonly width: number;
  readonly height: number;
  readonly nodeCount: number;
  readonly partitionCount: number;
  readonly compact: boolean;
  readonly hasCorners: boolean;
  readonly hasMatrix: boolean;
  /** Of the words about landed keys, that a live cluster has in the place of the matrix. */
  readonly landedWidth?: number | undefined;
  /** N, of which each has a seat at the top right. */
  readonly replicas?: number;
}

/** Between two seats, so that many take hardly more room than three. */
export function seatGap(replicas: number): number {
  return replicas <= 3 ? 26 : replicas === 4 ? 22 : replicas === 5 ? 18 : 16;
}

export function stageLayout(input: StageInput): StageLayout {
  return input.compact ? compactLayout(input) : fullLayout(input);
}

function fullLayout(input: StageInput): StageLayout {
  const { width, height, nodeCount, partitionCount } = input;
  const isTracked = partitionCount > LETTERED_PARTITIONS_MAX;
  const outside = isTracked ? 16 : 0;
  const room = height - COMPOSER_HEIGHT - 30;
  const centre = { x: width / 2 + (isTracked ? 14 : 2), y: COMPOSER_HEIGHT + room / 2 + (isTracked ? 6 : 2) };
  const { corners, solid } = cornersOf(input);
  const wanted = Math.min((height - 148) / 2 + 2, (width - 176) / 2) - outside;
  const reach = isTracked ? WALK_REACH.fanned : WALK_REACH.plain;
  const clear = Math.min(...solid.map((box) => distance(centre, box) - reach));
  const radius = Math.max(60 - outside, Math.min(wanted, Math.max(clear, wanted * SHRUNK_MIN)));
  const k = radius / RADIUS_UNIT;
  const tracks = Math.min(nodeCount, TRACKED_NODES_MAX);
  const band = isTracked ? Math.min(TRACK_WIDTH, radius / TRACK_PARTS) * (nodeCount > TRACKED_NODES_MAX ? 2 : tracks) : radius < LETTERED_RADIUS ? 12 : 20;
  const lack = Math.max(0, ROOMY_RADIUS - radius);
  const drawn = isTracked ? [204, 194, 184, 174].map((r) => (r * radius) / 244) : [232, 219, 206, 193].map((r) => r * k);
  const isTight = lack > 0 || (drawn[0] ?? 0) > radius - band - 4;
  const outer = radius - (isTracked && !isTight ? 45 : band) - (isTight ? 6 : 8);
  const ring = 144 * k - lack * 0.1;
  // The gauge of a node stays off the routes, and those off the dial.
  const size = isTight ? Math.max(11, Math.min(26 * Math.max(k, 0.9), outer - 12 - ring - 8)) : 26 * Math.max(k, 0.9);
  return {
    width,
    height,
    centre,
    radius,
    band,
    ...nodeSizes({ count: nodeCount, ring, size, radius, outer, clear: isTight ? 7 : 9 }),
    ...(nodeCount > CROWDED_NODES_MIN || isTight ? {} : { lanes: drawn, corner: 10 }),
    gap: 10,
    compact: false,
    corners,
  };
}

/** What words keep out of, and what the ring keeps clear of: the same, without what may be empty. */
function cornersOf({ width, height, nodeCount, hasCorners, hasMatrix, landedWidth, replicas = 3 }: StageInput): { corners: Box[]; solid: Box[] } {
  const corners: Box[] = [];
  const solid: Box[] = [];
  if (hasCorners) {
    const seats = Math.min(7, replicas);
    const seatsLeft = width - MATRIX.left - 20 - (seats - 1) * seatGap(seats) - QUORUM.label;
    if (landedWidth !== undefined) {
      solid.push({ left: 0, top: 0, right: MATRIX.left + landedWidth + 8, bottom: LANDED_HEIGHT });
    } else if (hasMatrix) {
      const right = MATRIX.left + MATRIX.head + nodeCount * matrixCell(nodeCount);
      solid.push({ left: 0, top: 0, right: MATRIX.title, bottom: MATRIX.top }, { left: 0, top: 0, right, bottom: matrixEnd(nodeCount) });
    }
    solid.push({ left: seatsLeft, top: 0, right: width, bottom: QUORUM.seats }, { left: width - MATRIX.left - QUORUM.text, top: 0, right: width, bottom: QUORUM.bottom });
    solid.push({ left: width - FAULTS.width, top: height - FAULTS.top, right: width, bottom: height }, { left: width - FAULTS.longWidth, top: height - FAULTS.longTop, right: width, bottom: height });
    corners.push(...solid, { left: width - 150, top: height - 205, right: width, bottom: height });
    if (hasMatrix && landedWidth === undefined) {
      corners.push({ left: 0, top: 0, right: 60 + nodeCount * matrixCell(nodeCount), bottom: matrixEnd(nodeCount) + MATRIX.linesMax * MATRIX.line });
    }
  }
  // The legend.
  corners.push({ left: 0, top: height - 40, right: width, bottom: height });
  return { corners, solid };
}

function distance({ x, y }: Point, { left, top, right, bottom }: Box): number {
  return Math.hypot(Math.max(left - x, x - right, 0), Math.max(top - y, y - bottom, 0));
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

type NodeSizes = Pick<StageLayout, "nodeRing" | "nodeStagger" | "nodeRadius" | "nodeClear" | "nodeSpace" | "lanes" | "corner">;

/** Between the middles of nodes that can be met one by one, and a little for what is rounded. */
const NODE_SPACE_MIN = 24.1;

/** Many nodes need a wider circle and smaller discs, and what is left between them and the dial is for the routes. */
function nodeSizes({ count, ring, size, radius, outer, clear }: { count: number; ring: number; size: number; radius: number; outer: number; clear: number }): NodeSizes {
  const isMany = count > SPACED_NODES_MAX;
  const nodeRing = isMany ? Math.min(Math.max(radius * 0.73, NODE_SPACE_MIN / (2 * Math.sin(Math.PI / count))), outer - 16) : count > CROWDED_NODES_MIN ? Math.min(radius * 0.66, outer - 16, ring * (1 + (count - 8) * 0.05)) : ring;
  const nodeStagger = isMany ? staggerOf(count, nodeRing) : 0;
  const nodeSpace = nodeStagger > 0 ? NODE_SPACE_MIN : count > 1 ? 2 * nodeRing * Math.sin(Math.PI / count) : Infinity;
  const nodeRadius = Math.min(Math.max(NODE_RADIUS_MIN, Math.min(size, nodeSpace * 0.3)), nodeSpace * 0.36);
  const inner = nodeRing + nodeRadius + (isMany ? 5 : clear + 1) + 3;
  const space = Math.max(0, Math.min(13, (outer - inner) / 3));
  return {
    nodeRing,
    nodeStagger,
    nodeRadius,
    nodeClear: Math.min(nodeRadius + clear, nodeSpace - nodeRadius - 1.5),
    nodeSpace,
    lanes: [0, 1, 2, 3].map((lane) => outer - lane * space),
    corner: Math.min(10, Math.max(2, space * 0.8)),
  };
}

/** Zero if they can be met on one circle, or if that would need more room than there is: then lists and the table have them. */
function staggerOf(count: number, ring: number): number {
  const turned = 1 - Math.cos((2 * Math.PI) / count);
  for (let by = 0; by < ring / 3; by += 0.5) {
    if (Math.hypot(by, Math.sqrt(2 * ring * (ring - by) * turned)) >= NODE_SPACE_MIN) {
      return 2 * (ring - by) * Math.sin((2 * Math.PI) / count) >= NODE_SPACE_MIN ? by : 0;
    }
  }
  return 0;
}

/** How far from the middle a node stands. Of an odd number the last would meet the first. */
export function nodeReach({ nodeRing, nodeStagger }: StageLayout, index: number, count: number): number {
  return nodeRing - nodeStagger * (count % 2 === 1 && index === count - 1 ? 2 : index % 2);
}

export function nodeAngle(index: number, count: number): number {
  return (index * 360) / Math.max(1, count);
}

export function nodePoints(layout: StageLayout, count: number): Point[] {
  return Array.from({ length: count }, (_, index) => at(layout.centre, nodeAngle(index, count), nodeReach(layout, index, count)));
}

export function meets(box: Box, other: Box): boolean {
  return box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom;
}

/** Of the table of who suspects whom in its corner: from the top of the stage to the sentences below it. */
function matrixEnd(nodeCount: number): number {
  return MATRIX.top + (nodeCount + 1) * matrixCell(nodeCount);
}

/** Of that table beside the ring: more nodes take hardly more room. */
export function matrixCell(nodeCount: number): number {
  return nodeCount > 5 ? 15 : MATRIX.row;
}

/** What the ring leaves for those sentences: so many pixels wide, so many lines. */
export function matrixRoom({ centre, radius }: StageLayout, nodeCount: number, isWalkNear = false): { width: number; lines: number } {
  const from = matrixEnd(nodeCount) + MATRIX.gap;
  // The numeral of the ring's quarter stands level with its centre.
  const lines = Math.max(1, Math.min(MATRIX.linesMax, Math.floor((centre.y - 12 - from) / MATRIX.line)));
  const rise = Math.max(0, centre.y - from - lines * MATRIX.line);
  // Words of the walk keep off the corner by themselves; its stops stand where their arcs are.
  const reach = radius + (isWalkNear ? WALK_REACH.plain : 0);
  const edge = centre.x - Math.sqrt(Math.max(0, reach * reach - rise * rise)) - (isWalkNear ? 2 : MATRIX.clear);
  return { lines, width: Math.max(64, Math.floor(edge - MATRIX.left)) };
}

/** Lies on the stage and in no corner. */
export function isFree(layout: StageLayout, box: Box): boolean {
  const top = layout.compact ? 0 : COMPOSER_HEIGHT + 4;
  const edge = layout.compact ? 2 : 4;
  const inside = box.left >= edge && box.right <= layout.width - edge && box.top >= top && box.bottom <= layout.height - edge;
  return inside && !layout.corners.some((corner) => meets(corner, box));
}

const BUSY_DEGREES = 15;
const CLIENT_WORD = 72;

/** Where its line goes down through the place below it. */
export function isClientTop({ centre, radius }: StageLayout, { y }: Point): boolean {
  return y < centre.y - radius * 0.6;
}

/** Degrees beside the entry node, and those of them where its line meets no end of a route to that node. */
const CLIENT_SHIFTS = [0, 8, -8, 16, -16, 24, -24, 32, -32, 40, -40, 48, -48, 62, -62, 76, -76, 100, -100, 130, -130];
const CLIENT_ASIDE = { from: 16, to: 48 } as const;

/** As far from the entry node as it takes; where a route leads there, first on the side that it does not come from, then on that. */
function clientShifts(entryAngle: number, routeFrom: number | null): readonly number[] {
  if (routeFrom === null) {
    return CLIENT_SHIFTS;
  }
  const beyond = turn(routeFrom, entryAngle) < 0 ? -1 : 1;
  const isAside = (shift: number): boolean => shift >= CLIENT_ASIDE.from && shift <= CLIENT_ASIDE.to;
  const rank = (shift: number): number => (isAside(shift * beyond) ? 0 : isAside(-shift * beyond) ? 1 : 2);
  return [...CLIENT_SHIFTS].sort((a, b) => rank(a) - rank(b));
}

/** Where the client stands: beside its entry node, outside the ring, at the first angle with room. `routeFrom`: of the arc whose route leads to that node. */
export function clientPoint(layout: StageLayout, entryAngle: number, busy: readonly number[], taken: readonly Box[] = [], routeFrom: number | null = null): Point | null {
  const distance = layout.radius + (layout.compact ? 20 : 46);
  for (const shift of clientShifts(entryAngle, routeFrom)) {
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
    // Its word stands below it, or at the top beside it.
    const isTop = !layout.compact && isClientTop(layout, point);
    const box = { left: point.x - half, right: point.x + (isTop ? CLIENT_WORD : half), top: point.y - half, bottom: point.y + (layout.compact ? 8 : isTop ? 12 : 32) };
    if (isFree(layout, box) && !taken.some((other) => meets(other, box))) {
      return point;
    }
  }
  return null;
}
