/** The slot of a key, as `core/src/ring/slot.rs` has it: CRC16/XMODEM of its hash tag or of the whole key, mod 16,384. */

export const SLOT_COUNT = 16_384;

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});

const UTF8 = new TextEncoder();

export function slotOf(key: string): number {
  const bytes = UTF8.encode(tagOf(key));
  let crc = 0;
  for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ byte] ?? 0);
  return crc % SLOT_COUNT;
}

/** What lies between the first brace and the next closing one, if anything does. */
function tagOf(key: string): string {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}
