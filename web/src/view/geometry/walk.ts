/**
 * The walk of one key along the outside of the dial: its stops, its line, the words beside it.
 *
 * All owners of a key have its own partition; the fallbacks come from those behind it. So several stops may stand at one
 * arc: they are spread clockwise in the order of the walk, and a leader ties each to the arc that it comes from.
 */
import type { KeyPicture, WalkStep } from "kvorum";
import { SLOT_COUNT } from "../../model/scene.ts";
import { labelWidth, wordBox } from "./labels.ts";
import { at, text, turn, type Point } from "./polar.ts";
import type { RouteRequest } from "./routes.ts";
import { isFree, LETTERED_PARTITIONS_MAX, meets, nodeAngle, type Box, type StageLayout } from "./stage.ts";

/** `hint`: a fallback in use; `spare`: one that is passed by; `fallbackDown`: either, and Down. */
export type StopRole = "owner" | "down" | "taken" | "hint" | "spare" | "fallbackDown";

export interface Stop {
  readonly step: WalkStep;
  readonly role: StopRole;
  /** Of the stop, and of the arc that it comes from. */
  readonly angle: number;
  readonly arcAngle: number;
  readonly point: Point;
  /** From the arc to a stop that does not stand at it. */
  readonly leader: string | null;
  /** Of its words. */
  readonly wordWidth: number;
  /** Where its words stand; `null` without room, and then the list speaks. */
  readonly word: (Point & { anchor: "start" | "end" }) | null;
}

export interface WalkLayout {
  readonly stops: readonly Stop[];
  readonly from: number;
  readonly to: number;
  readonly radius: number;
  /** Some stops stand away from their arcs, so their words name the node. */
  readonly isSpread: boolean;
  /** Too many partitions to see one: no line runs along them. */
  readonly isFanned: boolean;
  readonly name: (Point & { text: string; anchor: "start" | "middle" | "end" }) | null;
  /** By its words and the name of the key. */
  readonly taken: readonly Box[];
}

export interface WalkSubject {
  readonly key: KeyPicture;
  readonly partitionCount: number;
  /** Where the nodes stand. */
  readonly nodes: readonly Point[];
  isDown(node: number): boolean;
  /** A fallback that keeps a hint for the key, or that was asked to and has not answered. */
  isInUse(node: number): boolean;
  /** Of the words beside a stop. */
  widthOf(role: StopRole, step: WalkStep): number;
}

/** Between stops that are fanned: as an angle, or more of a small ring, where discs would lie on each other. */
const FAN_DEGREES = 5;
const FAN_SPACE = { full: 19, compact: 15 } as const;
/** Pixels between two numbered stops, and between smaller ones. */
const STOP_SPACE = 23;
const TAKEN_SPACE = 14;
/** On a phone, with what keeps words off it. */
const STOP_RADIUS = 8;
/** Widths that a name is cut to where it does not fit. */
const SHORTER = [130, 110, 90, 74];
/** Sideways of the first stop, for the name of a key. */
const SHIFTS = [0, -8, 8, -16, 16, -24, 24, -32, 32, -40, 40];

/** Where the key itself lies on the dial. */
export function slotAngle({ slot }: Pick<KeyPicture, "slot">): number {
  return (slot / SLOT_COUNT) * 360;
}

export function stopRole(step: WalkStep, { isDown, isInUse }: Pick<WalkSubject, "isDown" | "isInUse">): StopRole {
  switch (step.role) {
    case "owner":
      return isDown(step.node) ? "down" : "owner";
    case "taken":
      return "taken";
    case "fallback":
      return isDown(step.node) ? "fallbackDown" : isInUse(step.node) ? "hint" : "spare";
  }
}

/**
 * The core's own walk, as far as the owners and the fallbacks in use: behind them, nothing has to do with the key. Where an owner is
 * Down and no fallback is in use yet, it goes on to the first that could stand in, with which the core ends it.
 */
export function walkOf({ key, isDown, isInUse }: Pick<WalkSubject, "key" | "isDown" | "isInUse">): WalkStep[] {
  const owners = key.walk.findLastIndex((step) => step.role === "owner");
  const used = key.walk.findLastIndex((step) => step.role === "fallback" && isInUse(step.node));
  const isOneDown = key.walk.some((step) => step.role === "owner" && isDown(step.node));
  const last = key.walk.at(-1);
  const isNext = used < 0 && isOneDown && last?.role === "fallback" && !isDown(last.node);
  return isNext ? [...key.walk] : key.walk.slice(0, Math.max(owners, used) + 1);
}

export function walkLayout(layout: StageLayout, subject: WalkSubject): WalkLayout {
  const { key, partitionCount } = subject;
  const step = 360 / partitionCount;
  const isFanned = partitionCount > LETTERED_PARTITIONS_MAX;
  const steps = walkOf(subject).filter((one) => !isFanned || one.role !== "taken");
  // Unwrapped, so that a walk over twelve o'clock goes on past 360.
  const arcs = steps.map((one) => (key.partition + ((one.partition - key.partition + partitionCount) % partitionCount) + 0.5) * step);
  const isSpread = isFanned || arcs.some((angle, index) => index > 0 && angle === arcs[index - 1]);
  const radius = layout.radius + (layout.compact ? (isSpread ? 12 : 10) : isFanned ? 38 : isSpread ? 17 : 15);
  const fan = Math.max(FAN_DEGREES, ((layout.compact ? FAN_SPACE.compact : FAN_SPACE.full) / radius) * (180 / Math.PI));
  const angles = isFanned
    ? steps.map((_, index) => slotAngle(key) + (index - (steps.length - 1) / 2) * fan)
    : spread(arcs, steps, radius, layout.compact ? 0.66 : 1);
  const stops = steps.map((one, index): Stop => {
    const role = stopRole(one, subject);
    const arcAngle = arcs[index] ?? 0;
    const angle = angles[index] ?? arcAngle;
    const from = isFanned ? slotAngle(key) : arcAngle;
    const isAway = isSpread && !layout.compact;
    return {
      step: one,
      role,
      angle,
      arcAngle,
      point: at(layout.centre, angle, radius),
      leader: isAway ? `M${text(at(layout.centre, from, layout.radius + 1))}L${text(at(layout.centre, angle, radius - (role === "taken" ? 3 : 8)))}` : null,
      wordWidth: subject.widthOf(role, one),
      word: word(layout, angle, radius, subject.widthOf(role, one)),
    };
  });
  const worded = apart(layout, stops, isSpread);
  const last = stops.at(-1);
  const first = stops[0];
  const half = isSpread ? (STOP_SPACE / 2 / radius) * (180 / Math.PI) : step / 2;
  const label = name(layout, worded, subject.nodes, radius, key.key, isFanned);
  return {
    stops: worded,
    from: first === undefined ? 0 : first.angle - half,
    to: last === undefined ? 0 : last.angle + half + (isSpread ? 0 : 1.2),
    radius,
    isSpread,
    isFanned,
    name: label,
    taken: [...worded.flatMap((stop) => (stop.word === null ? [] : [wordsOf(stop, stop.word)])), ...(label === null ? [] : [wordBox({ x: label.x, y: label.y - 5 }, label.anchor, nameWidth(label.text), 9, 9, 4)])],
  };
}

const wordsOf = ({ wordWidth }: Stop, { x, y, anchor }: NonNullable<Stop["word"]>): Box => wordBox({ x, y: y - 4 }, anchor, wordWidth, 7);

/** As far as words give way to those of the stop before. */
const NUDGES = [0, -3, 3];

/**
 * Words that would lie on a stop or on the words of one before are left to the list. Where they name nodes, they do that of all
 * that have to do with the key, or of none: a gap among them says nothing.
 */
function apart(layout: StageLayout, stops: readonly Stop[], isSpread: boolean): Stop[] {
  const discs = stops.map(({ point }) => around(point, STOP_RADIUS + 1));
  const taken: Box[] = [];
  const placed = stops.map((stop, index): Stop => {
    // Words stand off their own stop by where they are, though the square around it may reach under them.
    const isClear = (box: Box): boolean => isFree(layout, box) && !taken.some((other) => meets(other, box)) && !discs.some((disc, place) => place !== index && meets(disc, box));
    const { word } = stop;
    const found = (word === null ? [] : NUDGES.map((by) => ({ ...word, y: word.y + by }))).find((one) => isClear(wordsOf(stop, one))) ?? null;
    if (found !== null) {
      taken.push(wordsOf(stop, found));
    }
    return { ...stop, word: found };
  });
  return isSpread && placed.some(({ role, word }) => role !== "taken" && word === null) ? placed.map((stop) => ({ ...stop, word: null })) : placed;
}

/** An arc has the letter of its primary, so it takes the role of that stop and of no other. */
export function isArcOf({ step, role }: Stop, owners: readonly (readonly number[])[]): boolean {
  return role !== "taken" && role !== "spare" && owners[step.partition]?.[0] === step.node;
}

/** Each stop at its arc, or as far clockwise of the one before as it takes; those of the first arc centred on it. */
function spread(arcs: readonly number[], steps: readonly WalkStep[], radius: number, scale: number): number[] {
  const degrees = (pixels: number): number => ((pixels * scale) / radius) * (180 / Math.PI);
  const spaceAt = (index: number): number =>
    degrees(steps[index]?.role === "taken" || steps[index - 1]?.role === "taken" ? (STOP_SPACE + TAKEN_SPACE) / 2 : STOP_SPACE);
  const shared = arcs.filter((angle) => angle === arcs[0]).length;
  const angles: number[] = [];
  arcs.forEach((arcAngle, index) => {
    const before = angles[index - 1];
    angles.push(before === undefined ? arcAngle - ((shared - 1) / 2) * degrees(STOP_SPACE) : Math.max(arcAngle, before + spaceAt(index)));
  });
  // Already at their arcs: the plain walk, one stop to an arc.
  return shared === 1 && angles.every((angle, index) => Math.abs(angle - (arcs[index] ?? 0)) < 1) ? [...arcs] : angles;
}

const ROUTES: Readonly<Record<StopRole, RouteRequest["role"] | null>> = {
  owner: "owner",
  down: "down",
  taken: null,
  hint: "hint",
  // It holds nothing, so nothing leads there.
  spare: null,
  fallbackDown: "down",
};

/** Routes of all stops: those that leave one arc do so side by side, ordered by where they go, so that they do not cross. */
export function routeRequests(walk: WalkLayout, key: KeyPicture, partitionCount: number, nodeCount: number): RouteRequest[] {
  const step = 360 / partitionCount;
  const groups = new Map<number, Stop[]>();
  for (const stop of walk.stops) {
    if (ROUTES[stop.role] !== null) {
      groups.set(stop.step.partition, [...(groups.get(stop.step.partition) ?? []), stop]);
    }
  }
  return [...groups.values()].flatMap((stops) => {
    const sorted = [...stops].sort((a, b) => turn(a.arcAngle, nodeAngle(a.step.node, nodeCount)) - turn(b.arcAngle, nodeAngle(b.step.node, nodeCount)));
    const space = walk.isFanned ? 1.6 : Math.min(1.6, (step * 0.8) / Math.max(1, stops.length - 1));
    return sorted.flatMap(({ step: { node }, role, arcAngle }, index): RouteRequest[] => {
      const middle = walk.isFanned ? slotAngle(key) : arcAngle;
      const route = ROUTES[role];
      return route === null ? [] : [{ node, role: route, from: middle + (index - (sorted.length - 1) / 2) * space, to: nodeAngle(node, nodeCount) }];
    });
  });
}

function word(layout: StageLayout, angle: number, radius: number, width: number): Stop["word"] {
  const sine = Math.sin((angle * Math.PI) / 180);
  if (layout.compact || Math.abs(sine) < 0.5) {
    return null;
  }
  const point = at(layout.centre, angle, radius + 15);
  const anchor = sine < 0 ? "end" : "start";
  return isFree(layout, wordBox(point, anchor, width, 8)) ? { x: point.x, y: point.y + 4, anchor } : null;
}

/** What is written of a key, by the width of one character of it. */
const NAME = { length: 28, least: 5 } as const;

/** Of the name of a key beside the ring. */
const nameWidth = (text: string): number => labelWidth(text) * 1.36;

/** As much of a name as fits, with a sign that there is more; `null` if that would say nothing. */
function shorten(text: string, width: number, widthOf: (text: string) => number): string | null {
  const letters = [...text];
  if (letters.length <= NAME.length && widthOf(text) <= width) {
    return text;
  }
  for (let length = Math.min(letters.length - 1, NAME.length - 1); length >= NAME.least; length -= 1) {
    const part = `${letters.slice(0, length).join("")}…`;
    if (widthOf(part) <= width) {
      return part;
    }
  }
  return null;
}

function name(layout: StageLayout, stops: readonly Stop[], nodes: readonly Point[], radius: number, key: string, isFanned: boolean): WalkLayout["name"] {
  const [first] = stops;
  if (first === undefined) {
    return null;
  }
  if (layout.compact) {
    return smallName(layout, stops, nodes, key, isFanned);
  }
  const widthOf = nameWidth;
  const taken = stops.flatMap((stop) => [around(stop.point, STOP_RADIUS + 3), ...(stop.word === null ? [] : [wordsOf(stop, stop.word)])]);
  taken.push(...numerals(layout));
  const spots = [...spotsBeside(layout, first, radius, false), ...spotsBeside(layout, stops.at(-1) ?? first, radius, true)];
  // Whole at any spot rather than a part of it at the first.
  for (const width of [Infinity, ...SHORTER]) {
    const text = shorten(key, width, widthOf);
    for (const { x, y, anchor } of text === null ? [] : spots) {
      const box = wordBox({ x, y }, anchor, widthOf(text ?? ""), 9);
      if (text !== null && isFree(layout, box) && !taken.some((other) => meets(other, box))) {
        return { text, x, y: y + 5, anchor };
      }
    }
  }
  return null;
}

/** Of the quarters, outside the dial. */
function numerals({ centre: { x, y }, radius }: StageLayout): Box[] {
  return [
    { left: x - 22, right: x + 22, top: y - radius - 26, bottom: y - radius },
    { left: x - 22, right: x + 22, top: y + radius, bottom: y + radius + 26 },
    { left: x + radius, right: x + radius + 50, top: y - 9, bottom: y + 9 },
    { left: x - radius - 50, right: x - radius, top: y - 9, bottom: y + 9 },
  ];
}

function spotsBeside(layout: StageLayout, { angle, point }: Stop, radius: number, isLast: boolean): (Point & { anchor: "start" | "end" })[] {
  const sine = Math.sin((angle * Math.PI) / 180);
  const isUpper = Math.cos((angle * Math.PI) / 180) > 0;
  if (Math.abs(sine) < 0.5) {
    // Level with the stop, on the side from which the walk comes, or behind the arrow at its end.
    const anchor = isUpper === isLast ? ("start" as const) : ("end" as const);
    const gap = isLast ? 30 : 16;
    return [0, -9].map((dy) => ({ x: point.x + (anchor === "start" ? gap : -gap), y: point.y + dy, anchor }));
  }
  const beside = at(layout.centre, angle, radius + 15);
  const anchor = sine < 0 ? ("end" as const) : ("start" as const);
  return (sine < 0 ? [22, -23] : [-23, 22]).map((dy) => ({ x: beside.x, y: beside.y + dy, anchor }));
}

const around = ({ x, y }: Point, r: number): Box => ({ left: x - r, right: x + r, top: y - r, bottom: y + r });

/** On a phone: under the stops, above them, or beside them as far as there is room; on no disc, and not on the dial. */
function smallName(layout: StageLayout, stops: readonly Stop[], nodes: readonly Point[], key: string, isFanned: boolean): WalkLayout["name"] {
  const widthOf = (text: string): number => labelWidth(text) * 1.12;
  const discs = [...stops.map((stop) => around(stop.point, STOP_RADIUS)), ...nodes.map((node) => around(node, layout.nodeRadius + 3))];
  const stand = (box: Box, mayTouch = false): boolean => isFree(layout, box) && (mayTouch || !isOnDial(layout, box)) && !discs.some((disc) => meets(disc, box));
  const points = stops.map((stop) => stop.point);
  const [left, right] = [Math.min(...points.map(({ x }) => x)), Math.max(...points.map(({ x }) => x))];
  const [top, bottom] = [Math.min(...points.map(({ y }) => y)), Math.max(...points.map(({ y }) => y))];
  const text = shorten(key, layout.width - 12, widthOf);
  const half = text === null ? 0 : widthOf(text) / 2;
  const under = [bottom + STOP_RADIUS + 8, top - STOP_RADIUS - 7].flatMap((y) =>
    SHIFTS.map((shift) => ({ y, x: Math.max(half + 6, Math.min(layout.width - half - 6, (points[0]?.x ?? 0) - 2 + shift)) })),
  );
  const found = (mayTouch: boolean): WalkLayout["name"] => {
    const spot = text === null ? undefined : under.find(({ x, y }) => stand({ left: x - half, right: x + half, top: y - 6, bottom: y + 6 }, mayTouch));
    return text === null || spot === undefined ? null : { text, x: spot.x, y: spot.y + 4, anchor: "middle" };
  };
  const clear = found(false);
  if (clear !== null) {
    return clear;
  }
  // Level with the stop at that end.
  const ends = [
    { anchor: "end" as const, x: left - STOP_RADIUS - 5, room: left - STOP_RADIUS - 11, y: points.find(({ x }) => x === left)?.y ?? top },
    { anchor: "start" as const, x: right + STOP_RADIUS + 11, room: layout.width - right - STOP_RADIUS - 17, y: points.find(({ x }) => x === right)?.y ?? top },
  ];
  for (const { anchor, x, y, room } of ends) {
    for (let width = room; width > 0; width -= 8) {
      const part = shorten(key, width, widthOf);
      if (part === null) {
        break;
      }
      if (stand(wordBox({ x, y: Math.max(y, 7) }, anchor, widthOf(part), 6))) {
        return { text: part, x, y: Math.max(y, 7) + 4, anchor };
      }
    }
  }
  // Not on tracks, that are read as a whole: the sheet names the key.
  return isFanned ? null : found(true);
}

/** A label may come near the dial's edge, and not lie on its arcs. */
function isOnDial({ centre, radius, band }: StageLayout, box: Box): boolean {
  const [dx, dy] = [Math.max(box.left - centre.x, centre.x - box.right, 0), Math.max(box.top - centre.y, centre.y - box.bottom, 0)];
  const [fx, fy] = [Math.max(Math.abs(box.left - centre.x), Math.abs(box.right - centre.x)), Math.max(Math.abs(box.top - centre.y), Math.abs(box.bottom - centre.y))];
  return Math.hypot(dx, dy) < radius - 4 && Math.hypot(fx, fy) > radius - band;
}
