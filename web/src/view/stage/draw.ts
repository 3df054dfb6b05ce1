/** Draws messages on the canvas: what moves, and nothing that has to be read. */
import type { Flight } from "../../model/scene.ts";
import type { MovingMessage } from "../geometry/messages.ts";
import { GLYPHS, type GlyphName, type Role } from "../glyphs.ts";

/** Above so many messages their lines would be a grey mass; far above it, only how much goes where can be seen. */
const LINED_MAX = 300;
const DRAWN_MAX = 3000;
export const LABELLED_MAX = 3;

export type Palette = Readonly<Record<Role | "hint-fill" | "casing", string>>;

const ROLES = ["ink", "muted", "quiet", "owner", "hint", "down", "flight", "conflict", "bg", "hint-fill", "casing"] as const;

export function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const [ink, muted, quiet, owner, hint, down, flight, conflict, bg, hintFill] = ROLES.map(of);
  const or = (value: string | undefined): string => value ?? "";
  return {
    ink: or(ink),
    muted: or(muted),
    quiet: or(quiet),
    owner: or(owner),
    hint: or(hint),
    down: or(down),
    flight: or(flight),
    conflict: or(conflict),
    bg: or(bg),
    "hint-fill": or(hintFill),
    casing: or(bg),
  };
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
  readonly messages: readonly MovingMessage[];
  readonly palette: Palette;
  readonly selected: number | null;
  readonly scale: number;
  readonly labels: readonly { message: MovingMessage; text: string }[];
  /** A live cluster has too many messages for lines, even of a sample. */
  readonly hasLines: boolean;
  readonly font: string;
}

export function draw(canvas: CanvasRenderingContext2D, frame: Frame): void {
  canvas.setTransform(frame.ratio, 0, 0, frame.ratio, 0, 0);
  canvas.clearRect(0, 0, frame.width, frame.height);
  if (frame.messages.length > DRAWN_MAX) {
    drawFlow(canvas, frame);
    return;
  }
  if (frame.hasLines && frame.messages.length <= LINED_MAX) {
    drawLines(canvas, frame);
  }
  for (const message of frame.messages) {
    drawMark(canvas, frame, message);
  }
  drawLabels(canvas, frame);
}

function roleOf(flight: Flight): Role {
  return flight.glyph === "probe" ? "quiet" : flight.glyph === "hint" ? "hint" : "flight";
}

function glyphOf(flight: Flight): GlyphName {
  return flight.glyph === "request" ? "dart" : flight.glyph;
}

/** One path for each kind of line, so that three hundred messages are four strokes. */
function drawLines(canvas: CanvasRenderingContext2D, { messages, palette, scale }: Frame): void {
  const kinds = [
    { role: "flight", dash: [], is: (f: Flight) => f.glyph !== "probe" && f.glyph !== "hint" && f.fate !== "lost" },
    { role: "hint", dash: [], is: (f: Flight) => f.glyph === "hint" && f.fate !== "lost" },
    { role: "flight", dash: [3, 3], is: (f: Flight) => f.glyph !== "probe" && f.fate === "lost" },
  ] as const;
  canvas.lineWidth = scale < 1 ? 1.6 : 2;
  for (const kind of kinds) {
    canvas.strokeStyle = palette[kind.role];
    canvas.setLineDash([...kind.dash]);
    canvas.beginPath();
    for (const { flight, start, point } of messages) {
      if (kind.is(flight)) {
        canvas.moveTo(start.x, start.y);
        canvas.lineTo(point.x, point.y);
      }
    }
    canvas.stroke();
  }
  canvas.setLineDash([]);
}

const paths = new Map<string, Path2D>();

function pathOf(text: string): Path2D {
  const known = paths.get(text);
  if (known !== undefined) {
    return known;
  }
  const made = new Path2D(text);
  paths.set(text, made);
  return made;
}

function drawMark(canvas: CanvasRenderingContext2D, frame: Frame, { flight, point, angle }: MovingMessage): void {
  const role = roleOf(flight);
  const isHollow = flight.fate === "lost";
  canvas.save();
  canvas.translate(point.x, point.y);
  canvas.scale(frame.scale, frame.scale);
  if (flight.glyph === "request") {
    canvas.rotate(angle);
  }
  drawGlyph(canvas, frame.palette, glyphOf(flight), role, isHollow);
  canvas.restore();
  if (flight.fate !== "arrives") {
    canvas.save();
    canvas.translate(point.x + Math.cos(angle) * 18, point.y + Math.sin(angle) * 18);
    if (flight.fate === "lost") {
      canvas.scale(0.8 * frame.scale, 0.8 * frame.scale);
      drawGlyph(canvas, frame.palette, "down", "down", false);
    } else {
      canvas.rotate(angle);
      canvas.strokeStyle = frame.palette.down;
      canvas.lineWidth = 1.4;
      canvas.stroke(pathOf("M-5-9V9M0-9V9"));
    }
    canvas.restore();
  }
  if (flight.id === frame.selected) {
    canvas.strokeStyle = frame.palette.ink;
    canvas.lineWidth = 2;
    canvas.beginPath();
    canvas.arc(point.x, point.y, 11, 0, 2 * Math.PI);
    canvas.stroke();
  }
}

function drawGlyph(canvas: CanvasRenderingContext2D, palette: Palette, name: GlyphName, role: Role, isHollow: boolean): void {
  for (const shape of GLYPHS[name]) {
    const path = shape.path !== undefined ? pathOf(shape.path) : new Path2D();
    if (shape.circle !== undefined) {
      path.arc(shape.circle.x ?? 0, shape.circle.y ?? 0, shape.circle.r, 0, 2 * Math.PI);
    }
    canvas.lineCap = shape.square === true ? "square" : "butt";
    if (isHollow || shape.fill === "bg" || shape.fill === "hint-fill" || shape.fill === "role") {
      canvas.fillStyle = isHollow || shape.fill === "bg" ? palette.bg : shape.fill === "role" ? palette[role] : palette["hint-fill"];
      canvas.fill(path);
    }
    if (isHollow || shape.width !== undefined) {
      canvas.strokeStyle = palette[role];
      canvas.lineWidth = shape.width ?? 1.4;
      canvas.stroke(path);
    }
  }
}

function drawLabels(canvas: CanvasRenderingContext2D, frame: Frame): void {
  canvas.font = frame.font;
  canvas.lineJoin = "round";
  for (const { message, text } of frame.labels) {
    const { flight, point, angle } = message;
    // Level lines carry their word above, steep ones beside them.
    const isLevel = Math.abs(Math.sin(angle)) < 0.3;
    const x = point.x + (isLevel ? -4 : 12);
    const y = point.y + (isLevel ? -12 : 12);
    canvas.textAlign = isLevel ? "center" : "left";
    canvas.strokeStyle = frame.palette.casing;
    canvas.lineWidth = 5;
    canvas.strokeText(text, x, y);
    canvas.fillStyle = frame.palette[flight.glyph === "probe" ? "muted" : roleOf(flight)];
    canvas.fillText(text, x, y);
  }
}

/** So many that only the stream can be seen: each link as thick as what flows on it. */
function drawFlow(canvas: CanvasRenderingContext2D, { messages, palette }: Frame): void {
  const links = new Map<string, { message: MovingMessage; count: number }>();
  for (const message of messages) {
    const name = `${String(message.flight.from)} ${String(message.flight.to)}`;
    const link = links.get(name);
    if (link === undefined) {
      links.set(name, { message, count: 1 });
    } else {
      link.count += 1;
    }
  }
  canvas.strokeStyle = palette.flight;
  for (const { message, count } of links.values()) {
    canvas.lineWidth = Math.min(14, 1 + Math.sqrt(count) / 2);
    canvas.beginPath();
    canvas.moveTo(message.start.x, message.start.y);
    canvas.lineTo(message.end.x, message.end.y);
    canvas.stroke();
  }
}
