/** The inside of a node as bars: the tape of the log, the axis of keys with its tables, the cells of repair. */
import type { LogPicture, ReadStep, ShardPicture, TablePicture } from "kvorum";

export type TapeKind = "synced" | "fresh" | "waiting" | "free";

export interface Tape {
  readonly cells: readonly { x: number; width: number; kind: TapeKind }[];
  readonly filled: number;
  readonly syncedX: number;
}

const TAPE_CELLS = 30;
/** So many records that are not on the disk yet are shown one by one. */
const WAITING_MAX = 6;

/** A segment as thirty cells; what is written but not synced has cells of its own at the watermark. */
export function tape(log: LogPicture, width: number, isFresh: boolean): Tape {
  const cell = width / TAPE_CELLS;
  const part = Math.min(1, log.segmentBytes / Math.max(1, log.segmentBytesMax));
  const waiting = Math.min(WAITING_MAX, Math.max(0, log.issued - log.synced));
  const least = log.synced > 0 ? 1 : 0;
  const filled = Math.min(TAPE_CELLS - waiting, Math.max(least, Math.round(part * TAPE_CELLS) - waiting));
  const kindOf = (index: number): TapeKind =>
    index < filled ? (isFresh && index === filled - 1 ? "fresh" : "synced") : index < filled + waiting ? "waiting" : "free";
  return {
    cells: Array.from({ length: TAPE_CELLS }, (_, index) => ({ x: index * cell, width: cell - 2, kind: kindOf(index) })),
    filled,
    syncedX: Math.max(1, filled * cell - 1),
  };
}

/** The key that was asked for, or the first, and as many of those next to it, on both sides, as fit beside it. */
export function nearestWhole<Key extends { readonly key: string; readonly isKey: boolean }>(keys: readonly Key[], width: number, widthOf: (key: string) => number): readonly Key[] {
  const middle = Math.max(0, keys.findIndex(({ isKey }) => isKey));
  let [from, to] = [middle, middle + 1];
  let left = width - widthOf(keys[middle]?.key ?? "");
  for (;;) {
    const [before = Infinity, behind = Infinity] = [keys[from - 1], keys[to]].map((one) => (one === undefined ? Infinity : widthOf(one.key)));
    // The side that has fewer of them comes first.
    const isBefore = before <= left && (behind > left || middle - from < to - middle);
    if (!isBefore && behind > left) {
      return keys.slice(from, to);
    }
    left -= isBefore ? before : behind;
    from -= isBefore ? 1 : 0;
    to += isBefore ? 0 : 1;
  }
}

export interface TableBar {
  readonly id: string;
  readonly x: number;
  readonly width: number;
  readonly isInRange: boolean;
  readonly isDeadly: boolean;
  /** The read of the key met a bad block here. */
  readonly isDamaged: boolean;
  readonly table: TablePicture;
}

export interface TableRow {
  readonly label: string;
  readonly y: number;
  readonly bars: readonly TableBar[];
}

export interface TableMark {
  readonly y: number;
  readonly step: number;
  readonly answer: ReadStep["answer"];
}

export interface TableChart {
  readonly rows: readonly TableRow[];
  readonly marks: readonly TableMark[];
  readonly keyX: number | null;
  /** From where on the key was not looked for. */
  readonly reachedY: number;
  readonly bottom: number;
  readonly firstKey: string;
  readonly lastKey: string;
}

const LABEL_WIDTH = 30;
const BAR_WIDTH_MIN = 4;
const RUN_STEP = 22;
const LEVEL_STEP = 28;
/** From this part of tombstones on a table is hatched. */
const DEAD_PART = 1 / 3;

export function tableChart(shard: ShardPicture, width: number): TableChart {
  const axis = width - LABEL_WIDTH;
  const x = (part: number): number => LABEL_WIDTH + Math.min(1, Math.max(0, part)) * axis;
  const rows: TableRow[] = [];
  const marks: TableMark[] = [];
  let y = 8;
  shard.levels.forEach((runs, level) => {
    runs.forEach((tables, run) => {
      const step = shard.read.findIndex((one) => one.place === "table" && one.level === level && (one.run ?? run) === run);
      const answered = shard.read[step];
      rows.push({
        label: run === 0 ? `L${String(level)}` : "",
        y,
        bars: tables.map((table) => ({
          id: `${String(level)}.${String(run)}.${String(table.number)}`,
          x: x(table.first),
          width: Math.max(BAR_WIDTH_MIN, x(table.last) - x(table.first)),
          isInRange: shard.keyAt !== null && table.first <= shard.keyAt && shard.keyAt <= table.last && answered?.answer !== "notReached",
          isDeadly: table.dead > DEAD_PART,
          isDamaged: answered?.answer === "damaged" && shard.keyAt !== null && table.first <= shard.keyAt && shard.keyAt <= table.last,
          table,
        })),
      });
      if (answered !== undefined && answered.answer !== "range" && answered.answer !== "notReached") {
        marks.push({ y: y + 7, step: step + 1, answer: answered.answer });
      }
      y += run < runs.length - 1 ? RUN_STEP : LEVEL_STEP;
    });
  });
  const tables = shard.levels.flat(2);
  const first = tables.reduce<TablePicture | null>((least, one) => (least === null || one.first < least.first ? one : least), null);
  const last = tables.reduce<TablePicture | null>((most, one) => (most === null || one.last > most.last ? one : most), null);
  const bottom = y - LEVEL_STEP + 14;
  const deepest = marks.at(-1);
  const isFound = deepest?.answer === "found";
  return {
    rows,
    marks,
    keyX: shard.keyAt === null ? null : x(shard.keyAt),
    reachedY: isFound && deepest !== undefined ? deepest.y - 1 : bottom,
    bottom,
    firstKey: first?.firstKey ?? "",
    lastKey: last?.lastKey ?? "",
  };
}

export interface RepairCell {
  readonly partition: number;
  readonly x: number;
  readonly width: number;
  readonly differs: boolean;
  readonly moving: boolean;
}

const REPAIR_CELL_MIN = 6;
const REPAIR_CELLS_SHARED = 21;

/** One cell for each partition held; if they are too many, neighbours share a cell, which differs if one of them does. */
export function repairCells(repair: readonly { partition: number; differs: boolean; moving: boolean }[], width: number): RepairCell[] {
  const most = Math.max(1, Math.floor(width / REPAIR_CELL_MIN));
  const share = repair.length <= most ? 1 : Math.ceil(repair.length / REPAIR_CELLS_SHARED);
  const count = Math.ceil(repair.length / share);
  const cell = width / Math.max(1, count);
  return Array.from({ length: count }, (_, index) => {
    const group = repair.slice(index * share, (index + 1) * share);
    return {
      partition: group[0]?.partition ?? index,
      differs: group.some((one) => one.differs),
      moving: group.some((one) => one.moving),
      x: index * cell + 0.5,
      width: Math.max(2, cell - 3),
    };
  });
}
