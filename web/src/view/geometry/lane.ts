/**
 * Marks and their words on one lane of time. Marks keep a distance, so that none lies on another and is taken for it; words
 * that do not fit are shortened to names, and marks of one kind that stand too near for that share their words.
 */

export interface LaneMark<Kind extends string> {
  readonly kind: Kind;
  readonly x: number;
  readonly node: number;
}

export interface LaneGroup<Kind extends string> {
  readonly kind: Kind;
  /** Where its marks stand, from left to right. */
  readonly xs: readonly number[];
  readonly nodes: readonly number[];
  readonly words: { readonly text: string; readonly x: number; readonly width: number; readonly anchor: "start" | "end" } | null;
}

/** Whole, and as short as they can be. */
export interface LaneWords {
  readonly full: string;
  readonly brief: string;
}

export interface LaneRules<Kind extends string> {
  /** `null` of a mark that speaks for itself. */
  words(kind: Kind, nodes: readonly number[]): LaneWords | null;
  /** What a mark takes up, with a little air. */
  sizeOf(kind: Kind): number;
  widthOf(text: string): number;
  readonly right: number;
}

/** Between the middle of a mark and its words; between words and the middle of what follows. */
const WORD_GAP = 10;
const CLEAR = 12;
/** Between words and the edge of a mark that has none. */
const AIR = 4;
/** As far as a mark may be moved: for others, for the names before it, and for both. */
const CROWD_MAX = 30;
const PUSH_MAX = 24;
/** As far as two of a kind may be that share words around another. */
const NEAR = 64;

interface Group<Kind extends string> {
  readonly kind: Kind;
  /** When they were. */
  readonly times: readonly number[];
  readonly nodes: readonly number[];
  readonly words: LaneWords | null;
}

export function layLane<Kind extends string>(marks: readonly LaneMark<Kind>[], rules: LaneRules<Kind>): LaneGroup<Kind>[] {
  let groups = grouped(marks, rules);
  for (;;) {
    const { placed, crowded } = worded(groups, keptApart(groups, rules), rules);
    if (crowded === null) {
      return placed;
    }
    groups = joined(groups, crowded, rules);
  }
}

/** Marks of one kind on the same spot are one; so are those that could only be shown far from their time. */
function grouped<Kind extends string>(marks: readonly LaneMark<Kind>[], { words, sizeOf }: LaneRules<Kind>): Group<Kind>[] {
  const groups: { kind: Kind; times: number[]; nodes: Set<number> }[] = [];
  let free = -Infinity;
  for (const { kind, x, node } of [...marks].sort((a, b) => a.x - b.x)) {
    const last = groups.at(-1);
    const own = last?.kind === kind && x - (last.times.at(-1) ?? x) < sizeOf(kind) ? last : free - x > CROWD_MAX ? groups.findLast((group) => group.kind === kind) : undefined;
    if (own !== undefined) {
      own.nodes.add(node);
    } else {
      groups.push({ kind, times: [x], nodes: new Set([node]) });
      free = Math.max(x, free + sizeOf(kind) / 2) + sizeOf(kind) / 2;
    }
  }
  return groups.map(({ kind, times, nodes }) => groupOf(kind, times, [...nodes], words));
}

function groupOf<Kind extends string>(kind: Kind, times: readonly number[], nodes: readonly number[], words: LaneRules<Kind>["words"]): Group<Kind> {
  const sorted = [...new Set(nodes)].sort((a, b) => a - b);
  return { kind, times, nodes: sorted, words: words(kind, sorted) };
}

/** Where the marks of each group stand: a mark gives way to the one before, and a little more to its names. */
function keptApart<Kind extends string>(groups: readonly Group<Kind>[], { widthOf, sizeOf }: LaneRules<Kind>): number[][] {
  let free = -Infinity;
  /** Behind the names of the last that has any. */
  let named = -Infinity;
  const nexts = nextsOf(groups);
  return groups.map((group, index) => {
    const half = sizeOf(group.kind) / 2;
    const xs = group.times.map((time) => {
      const wanted = Math.max(time, free + half);
      const at = group.words !== null && named > wanted && named - time <= PUSH_MAX ? named : wanted;
      free = at + half;
      return at;
    });
    if (group.words !== null) {
      named = isNamedBy(group, nexts[index]) ? -Infinity : free - half + WORD_GAP + widthOf(group.words.brief) + CLEAR;
    }
    return xs;
  });
}

/** For each group the next that has words. */
function nextsOf<Kind extends string>(groups: readonly Group<Kind>[]): (Group<Kind> | undefined)[] {
  let next: Group<Kind> | undefined;
  return groups
    .map((_, index) => {
      const group = groups[groups.length - 1 - index];
      const found = next;
      next = group?.words != null ? group : next;
      return found;
    })
    .reverse();
}

/** Words of another kind about the same nodes follow at once: those say who it was. */
function isNamedBy<Kind extends string>(group: Group<Kind>, next: Group<Kind> | undefined): boolean {
  return next !== undefined && next.kind !== group.kind && (next.times[0] ?? 0) - (group.times.at(-1) ?? 0) < NEAR && group.nodes.every((node) => next.nodes.includes(node));
}

/** `crowded`: a group for whose words there is no room, and with whose next of the kind it can share some. */
function worded<Kind extends string>(
  groups: readonly Group<Kind>[],
  places: readonly (readonly number[])[],
  rules: LaneRules<Kind>,
): { placed: LaneGroup<Kind>[]; crowded: { from: number; to: number } | null } {
  const { widthOf, sizeOf, right } = rules;
  const placed: LaneGroup<Kind>[] = [];
  const nexts = nextsOf(groups);
  const indices = new Map(groups.map((group, index) => [group, index]));
  const firstAt = (index: number | undefined): number => (index === undefined ? undefined : places[index]?.[0]) ?? Infinity;
  let free = -Infinity;
  for (const [index, group] of groups.entries()) {
    const xs = places[index] ?? [];
    const { kind, nodes, words } = group;
    const first = xs[0] ?? 0;
    const last = xs.at(-1) ?? 0;
    const start = last + WORD_GAP;
    if (words === null) {
      // Under the words of the one before nobody could see it, and those say more.
      if (first - sizeOf(kind) / 2 >= free + AIR) {
        placed.push({ kind, nodes, xs, words: null });
      }
      continue;
    }
    const next = nexts[index];
    const nextIndex = next === undefined ? undefined : indices.get(next);
    const texts = [words.full, words.brief];
    const fits = (text: string, end: number): boolean => start + widthOf(text) + CLEAR <= Math.min(end, right + CLEAR);
    const behind = texts.find((text) => fits(text, firstAt(index + 1))) ?? texts.find((text) => fits(text, firstAt(nextIndex)));
    const isLate = start + widthOf(words.brief) > right;
    const room = roomBefore(placed, first, rules);
    const before = isLate ? texts.find((text) => room.to - widthOf(text) >= Math.max(free, room.from) + AIR) : undefined;
    if (behind !== undefined) {
      placed.push({ kind, nodes, xs, words: { text: behind, x: start, width: widthOf(behind), anchor: "start" } });
      free = start + widthOf(behind);
    } else if (before !== undefined) {
      placed.push({ kind, nodes, xs, words: { text: before, x: room.to, width: widthOf(before), anchor: "end" } });
      free = last + sizeOf(kind) / 2 - AIR;
    } else {
      const to = groups.findIndex((one, place) => place > index && one.kind === kind);
      if (to >= 0 && (to === nextIndex || (firstAt(to) - last <= NEAR && !isNamedBy(group, next)))) {
        return { placed, crowded: { from: index, to } };
      }
      placed.push({ kind, nodes, xs, words: null });
      free = last + sizeOf(kind) / 2 - AIR;
    }
  }
  return { placed, crowded: null };
}

/** Where words before a mark have to end, and from where on: they stand before the marks too that lead to it and have none. */
function roomBefore<Kind extends string>(placed: readonly LaneGroup<Kind>[], first: number, { words: wordsOf, sizeOf }: LaneRules<Kind>): { from: number; to: number } {
  let start = first;
  for (const { kind, nodes, xs, words } of [...placed].reverse()) {
    const edge = (xs.at(-1) ?? -Infinity) + sizeOf(kind) / 2;
    if (words !== null || wordsOf(kind, nodes) !== null || edge < start - NEAR) {
      return { from: edge, to: start - WORD_GAP };
    }
    start = xs[0] ?? start;
  }
  return { from: -Infinity, to: start - WORD_GAP };
}

/** With the next of its kind. What speaks for itself between them gives way to their words; what does not stays before them. */
function joined<Kind extends string>(groups: readonly Group<Kind>[], { from, to }: { from: number; to: number }, { words }: LaneRules<Kind>): Group<Kind>[] {
  const [group, other] = [groups[from], groups[to]];
  if (group === undefined || other === undefined) {
    return [...groups];
  }
  const between = groups.slice(from + 1, to).filter((one) => one.words !== null);
  const times = between.length === 0 ? [...group.times, ...other.times] : other.times;
  return [...groups.slice(0, from), ...between, groupOf(group.kind, times, [...group.nodes, ...other.nodes], words), ...groups.slice(to + 1)];
}
