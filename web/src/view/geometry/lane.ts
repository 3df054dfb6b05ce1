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

export interface LaneRules<Kind extends string> {
  /** Whole, and as short as it can be; `null` of a mark that speaks for itself. */
  words(kind: Kind, nodes: readonly number[]): { readonly full: string; readonly brief: string } | null;
  widthOf(text: string): number;
  readonly right: number;
}

/** Between the middles of two marks; between a mark and its words; between words and what follows. */
const MARK_SPACE = 12;
const WORD_GAP = 10;
const CLEAR = 12;
/** As far as a mark may be moved for the names before it, and as far as two of a kind may be that share words around another. */
const PUSH_MAX = 24;
const NEAR = 64;

interface Group<Kind extends string> {
  kind: Kind;
  xs: number[];
  nodes: number[];
}

export function layLane<Kind extends string>(marks: readonly LaneMark<Kind>[], rules: LaneRules<Kind>): LaneGroup<Kind>[] {
  let groups = grouped(marks);
  for (;;) {
    keepApart(groups, rules);
    const { placed, crowded } = worded(groups, rules);
    if (crowded === null) {
      return placed;
    }
    groups = joined(groups, crowded, rules);
  }
}

/** Marks of one kind on the same spot are one. */
function grouped<Kind extends string>(marks: readonly LaneMark<Kind>[]): Group<Kind>[] {
  const groups: Group<Kind>[] = [];
  for (const { kind, x, node } of [...marks].sort((a, b) => a.x - b.x)) {
    const last = groups.at(-1);
    if (last?.kind === kind && x - (last.xs.at(-1) ?? x) < MARK_SPACE) {
      last.nodes = [...new Set([...last.nodes, node])];
    } else {
      groups.push({ kind, xs: [x], nodes: [node] });
    }
  }
  return groups;
}

const speaks = <Kind extends string>({ words }: LaneRules<Kind>, group: Group<Kind>): boolean => words(group.kind, group.nodes) !== null;

/** A mark gives way to the one before, and a little more to its names. */
function keepApart<Kind extends string>(groups: readonly Group<Kind>[], rules: LaneRules<Kind>): void {
  let free = -Infinity;
  /** Behind the names of the last that has any. */
  let named = -Infinity;
  groups.forEach((group, index) => {
    const isWorded = speaks(rules, group);
    group.xs = group.xs.map((x) => {
      const wanted = Math.max(x, free);
      const at = isWorded && named > wanted && named - x <= PUSH_MAX ? named : wanted;
      free = at + MARK_SPACE;
      return at;
    });
    if (isWorded) {
      const brief = rules.words(group.kind, group.nodes)?.brief ?? "";
      named = isNamedNext(groups, index, rules) ? -Infinity : free - MARK_SPACE + WORD_GAP + rules.widthOf(brief) + CLEAR;
    }
  });
}

/** The next has words of another kind about the same nodes: those say who it was. */
function isNamedNext<Kind extends string>(groups: readonly Group<Kind>[], index: number, rules: LaneRules<Kind>): boolean {
  const group = groups[index];
  const next = groups.slice(index + 1).find((one) => speaks(rules, one));
  return group !== undefined && next !== undefined && next.kind !== group.kind && group.nodes.every((node) => next.nodes.includes(node));
}

/** `crowded`: a group for whose words there is no room, and with whose next of the kind it can share some. */
function worded<Kind extends string>(groups: readonly Group<Kind>[], rules: LaneRules<Kind>): { placed: LaneGroup<Kind>[]; crowded: Group<Kind> | null } {
  const { words, widthOf, right } = rules;
  const placed: LaneGroup<Kind>[] = [];
  let free = -Infinity;
  for (const [index, group] of groups.entries()) {
    const said = words(group.kind, group.nodes);
    const first = group.xs[0] ?? 0;
    const last = group.xs.at(-1) ?? 0;
    const start = last + WORD_GAP;
    if (said === null) {
      // Under the words of the one before nobody could see it, and those say more.
      if (first - MARK_SPACE / 2 >= free) {
        placed.push({ ...group, words: null });
      }
      continue;
    }
    const firstOf = (one: Group<Kind> | undefined): number => one?.xs[0] ?? Infinity;
    const next = groups.slice(index + 1).find((one) => speaks(rules, one));
    const texts = [said.full, said.brief];
    const fits = (text: string, end: number): boolean => start + widthOf(text) + CLEAR <= Math.min(end, right + CLEAR);
    const behind = texts.find((text) => fits(text, firstOf(groups[index + 1]))) ?? texts.find((text) => fits(text, firstOf(next)));
    const isLate = start + widthOf(said.brief) > right;
    const before = isLate ? texts.find((text) => first - WORD_GAP - widthOf(text) >= free) : undefined;
    if (behind !== undefined) {
      placed.push({ ...group, words: { text: behind, x: start, width: widthOf(behind), anchor: "start" } });
      free = start + widthOf(behind);
    } else if (before !== undefined) {
      placed.push({ ...group, words: { text: before, x: first - WORD_GAP, width: widthOf(before), anchor: "end" } });
      free = start;
    } else {
      const other = groups.slice(index + 1).find((one) => one.kind === group.kind);
      const isNear = other !== undefined && (other === next || (firstOf(other) - last <= NEAR && !isNamedNext(groups, index, rules)));
      if (isNear) {
        return { placed, crowded: group };
      }
      placed.push({ ...group, words: null });
      free = last + MARK_SPACE / 2;
    }
  }
  return { placed, crowded: null };
}

/** With the next of its kind. What speaks for itself between them gives way to their words; what does not stays before them. */
function joined<Kind extends string>(groups: readonly Group<Kind>[], group: Group<Kind>, rules: LaneRules<Kind>): Group<Kind>[] {
  const from = groups.indexOf(group);
  const to = groups.findIndex((one, index) => index > from && one.kind === group.kind);
  const other = groups[to];
  if (other === undefined) {
    return [...groups];
  }
  const between = groups.slice(from + 1, to).filter((one) => speaks(rules, one));
  const both = {
    kind: group.kind,
    xs: between.length === 0 ? [...group.xs, ...other.xs] : other.xs,
    nodes: [...new Set([...group.nodes, ...other.nodes])],
  };
  return [...groups.slice(0, from), ...between, both, ...groups.slice(to + 1)];
}

/** The widest part of a span that nothing else covers. */
export function freePart(from: number, to: number, taken: readonly { from: number; to: number }[]): { from: number; to: number } {
  let best = { from, to: from };
  let at = from;
  for (const one of [...taken.filter((other) => other.to > from && other.from < to), { from: to, to }].sort((a, b) => a.from - b.from)) {
    if (one.from - at > best.to - best.from) {
      best = { from: at, to: one.from };
    }
    at = Math.max(at, one.to);
  }
  return best;
}
