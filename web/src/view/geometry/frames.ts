/**
 * Spans on one row of time (cuts, slow and lossy nodes), each in a frame with its words. Spans that overlap, or whose words
 * find no room, share one frame that says how many they are: a frame without words says nothing.
 */

export interface Span {
  readonly from: number;
  readonly to: number;
  readonly text: string;
  readonly isBad: boolean;
}

/** One frame, or several with the words of all of them. */
export interface FrameGroup {
  readonly frames: readonly { readonly from: number; readonly to: number }[];
  readonly spans: readonly Span[];
  readonly isBad: boolean;
  /** `null` if not even the count has room. */
  readonly words: { readonly text: string; readonly x: number; readonly width: number; readonly anchor: "start" | "middle" | "end" } | null;
}

export interface FrameRules {
  widthOf(text: string): number;
  /** Of so many spans together. */
  countOf(spans: readonly Span[]): string;
  readonly left: number;
  readonly right: number;
}

/** Between the edge of a frame and words in it or behind it. */
const AIR = 5;

export function layFrames(spans: readonly Span[], rules: FrameRules): FrameGroup[] {
  let groups: Span[][] = clusters(spans);
  for (;;) {
    const { placed, crowded } = worded(groups, rules);
    if (crowded === null) {
      return placed;
    }
    groups = [...groups.slice(0, crowded), [...(groups[crowded] ?? []), ...(groups[crowded + 1] ?? [])], ...groups.slice(crowded + 2)];
  }
}

function clusters(spans: readonly Span[]): Span[][] {
  const groups: Span[][] = [];
  let end = -Infinity;
  for (const span of [...spans].sort((a, b) => a.from - b.from || a.to - b.to)) {
    if (span.from < end + 1) {
      groups.at(-1)?.push(span);
    } else {
      groups.push([span]);
    }
    end = Math.max(end, span.to);
  }
  return groups;
}

function framesOf(spans: readonly Span[]): { from: number; to: number }[] {
  return clusters(spans).map((cluster) => ({ from: cluster[0]?.from ?? 0, to: Math.max(...cluster.map(({ to }) => to)) }));
}

/** In the widest frame, behind the last or before the first; `crowded` is the first group of two that must share their words. */
function worded(groups: readonly (readonly Span[])[], { widthOf, countOf, left, right }: FrameRules): { placed: FrameGroup[]; crowded: number | null } {
  const placed: FrameGroup[] = [];
  let free = left;
  for (const [index, spans] of groups.entries()) {
    const frames = framesOf(spans);
    const said = [...new Set(spans.map((span) => span.text))];
    const texts = [...(said.length === 1 && frames.length === 1 ? said : []), countOf(spans)];
    const widest = frames.reduce((best, frame) => (frame.to - frame.from > best.to - best.from ? frame : best));
    const [first, last] = [frames[0]?.from ?? 0, frames.at(-1)?.to ?? 0];
    const next = groups[index + 1]?.[0]?.from ?? Infinity;
    const words = texts
      .map((text): FrameGroup["words"] => {
        const width = widthOf(text);
        if (width + 2 * AIR <= widest.to - widest.from) {
          return { text, width, x: (widest.from + widest.to) / 2, anchor: "middle" };
        }
        if (last + AIR + width + AIR <= Math.min(next, right + AIR)) {
          return { text, width, x: last + AIR, anchor: "start" };
        }
        return first - AIR - width >= free ? { text, width, x: first - AIR, anchor: "end" } : null;
      })
      .find((one) => one !== null) ?? null;
    if (words === null && groups.length > 1) {
      return { placed, crowded: Math.min(index, groups.length - 2) };
    }
    placed.push({ frames, spans, isBad: spans.some((span) => span.isBad), words });
    free = (words?.anchor === "start" ? words.x + words.width : last) + 2 * AIR;
  }
  return { placed, crowded: null };
}
