/**
 * Circles as the ring needs them: angles in degrees, clockwise from twelve o'clock, and paths as SVG text.
 *
 * Knows no cluster and no page.
 */

export interface Point {
  readonly x: number;
  readonly y: number;
}

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** Two decimals are a fiftieth of a pixel: enough, and the same text on every machine. By hundreds of thousands, so not by `toFixed`. */
export function short(value: number): string {
  return String(Math.round(value * 100) / 100);
}

export function at(centre: Point, angle: number, radius: number): Point {
  return { x: centre.x + radius * Math.sin(radians(angle)), y: centre.y - radius * Math.cos(radians(angle)) };
}

export function text(point: Point): string {
  return `${short(point.x)} ${short(point.y)}`;
}

export function arc(centre: Point, radius: number, from: number, to: number): string {
  const far = Math.abs(to - from) > 180 ? 1 : 0;
  const clockwise = to > from ? 1 : 0;
  const r = short(radius);
  return `M${text(at(centre, from, radius))}A${r} ${r} 0 ${far} ${clockwise} ${text(at(centre, to, radius))}`;
}

export function sector(centre: Point, inner: number, outer: number, from: number, to: number): string {
  const far = to - from > 180 ? 1 : 0;
  const [i, o] = [short(inner), short(outer)];
  return (
    `M${text(at(centre, from, outer))}A${o} ${o} 0 ${far} 1 ${text(at(centre, to, outer))}` +
    `L${text(at(centre, to, inner))}A${i} ${i} 0 ${far} 0 ${text(at(centre, from, inner))}Z`
  );
}

export function radial(centre: Point, angle: number, inner: number, outer: number): string {
  return `M${text(at(centre, angle, inner))}L${text(at(centre, angle, outer))}`;
}

/** From one angle to another the shorter way, as a difference from -180 to 180. */
export function turn(from: number, to: number): number {
  const difference = (((to - from) % 360) + 360) % 360;
  return difference > 180 ? difference - 360 : difference;
}
