/** How wide words really are: a reader may have another font, and more space between letters and words. */
export const SAMPLE = "the coordinator of cart 0123456789";
/** At 11 px, by the rule of `labelWidth`. */
const SAMPLE_WIDTH = 203;
/** Fonts that the rule was made for differ by so much. */
const TOLERANCE = 1.06;

export const measured = $state({ scale: 1 });

/** Tells how wide the sample is. */
export function measure(width: number): void {
  const scale = width / SAMPLE_WIDTH;
  measured.scale = scale > TOLERANCE ? scale : 1;
}
