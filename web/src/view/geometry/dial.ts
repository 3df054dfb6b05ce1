/** The dial itself: ticks, arcs and tracks of the partitions, as few paths as possible. */
import { arc, at, radial, text } from "./polar.ts";
import { TRACK_WIDTH, TRACKED_NODES_MAX, type StageLayout } from "./stage.ts";

export interface DialLetter {
  readonly partition: number;
  readonly node: number;
  readonly x: number;
  readonly y: number;
}

/** Below an arc of this many pixels a letter of 11 px touches its neighbours. */
const LETTER_ARC_MIN = 11;

export function letters(layout: StageLayout, owners: readonly (readonly number[])[]): DialLetter[] {
  const step = 360 / owners.length;
  if (((layout.radius - layout.band / 2) * step * Math.PI) / 180 < LETTER_ARC_MIN) {
    return [];
  }
  return owners.flatMap(([node], partition) => {
    if (node === undefined) {
      return [];
    }
    const { x, y } = at(layout.centre, (partition + 0.5) * step, layout.radius - layout.band / 2);
    return [{ partition, node, x, y: y + 4 }];
  });
}

/** Ticks between partitions; every quarter has a long one of its own. */
export function ticks(layout: StageLayout, count: number): { fine: string; quarters: string } {
  const inner = layout.radius - layout.band;
  let fine = "";
  for (let partition = 0; partition < count; partition += 1) {
    if (partition % (count / 4) !== 0) {
      fine += radial(layout.centre, (partition * 360) / count, inner, layout.radius);
    }
  }
  return { fine, quarters: quarters(layout) };
}

export function quarters(layout: StageLayout): string {
  const inner = layout.radius - layout.band;
  return [0, 90, 180, 270].map((angle) => radial(layout.centre, angle, inner, layout.radius + (layout.compact ? 5 : 8))).join("");
}

/** Arcs of one node on the inner edge. */
export function arcsOf(layout: StageLayout, owners: readonly (readonly number[])[], node: number): string {
  const step = 360 / owners.length;
  const inner = layout.radius - layout.band;
  return owners
    .map(([primary], partition) => (primary === node ? arc(layout.centre, inner, partition * step + 0.35, (partition + 1) * step - 0.35) : ""))
    .join("");
}

export interface Track {
  /** `null` is all the others together. */
  readonly node: number | null;
  readonly path: string;
}

/** Too many partitions for letters: a track for each node, or the selected one against the rest. */
export function tracks(
  layout: StageLayout,
  owners: readonly (readonly number[])[],
  nodeCount: number,
  selected: number | null,
): Track[] {
  const step = 360 / owners.length;
  const width = nodeCount <= TRACKED_NODES_MAX ? layout.band / Math.max(1, nodeCount) : layout.band / 2;
  const inset = Math.min(1.5, TRACK_WIDTH / 6);
  const paths = new Map<number | null, string>();
  const order: (number | null)[] =
    nodeCount <= TRACKED_NODES_MAX ? Array.from({ length: nodeCount }, (_, node) => node) : [selected ?? 0, null];
  order.forEach((node) => paths.set(node, ""));
  owners.forEach(([primary], partition) => {
    if (primary === undefined) {
      return;
    }
    const node = paths.has(primary) ? primary : null;
    const place = order.indexOf(node);
    const angle = (partition + 0.5) * step;
    const outer = at(layout.centre, angle, layout.radius - place * width - inset);
    const inner = at(layout.centre, angle, layout.radius - (place + 1) * width + inset);
    paths.set(node, `${paths.get(node) ?? ""}M${text(outer)}L${text(inner)}`);
  });
  return order.map((node) => ({ node, path: paths.get(node) ?? "" }));
}

/** A tick in the middle of its partition for each key that has landed, longer the younger it is. */
export function landed(layout: StageLayout, keys: readonly { partition: number; atMs: number }[], partitions: number, nowMs: number): string {
  return keys
    .map(({ partition, atMs }) => {
      const age = Math.min(1, Math.max(0, (nowMs - atMs) / 1000));
      return radial(layout.centre, ((partition + 0.5) / partitions) * 360, layout.radius + 4, layout.radius + 7 + 7 * (1 - age));
    })
    .join("");
}
