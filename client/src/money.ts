/**
 * Money as integers in base units (bigint), parsed and shown by locale. An amount never passes through a float, and a text that can be
 * read in two ways is never guessed: the person is asked.
 */

const DECIMAL = /^(\d+)(?:\.(\d+))?$/;

/** Digits behind the point of MUSD. */
export const MUSD_DECIMALS = 18;
/** Digits behind the point of the currencies that a buyer pays in. */
export const FIAT_DECIMALS = 2;

/** Return the base units of a plain decimal text, as the service writes it ("1.5", 2 -> 150n). Throws RangeError if the text is not a plain decimal or has more decimals than the unit. */
export function parseUnits(text: string, decimals: number): bigint {
  const [, whole, fraction = ""] = DECIMAL.exec(text) ?? [];
  if (whole === undefined || fraction.length > decimals) throw new RangeError(`not an amount with at most ${decimals} decimals: ${text}`);
  return BigInt(whole + fraction.padEnd(decimals, "0"));
}

/** Return base units as decimal text (150n, 2 -> "1.50"). Throws RangeError for a negative number. */
export function formatUnits(units: bigint, decimals: number): string {
  if (units < 0n) throw new RangeError("an amount is not negative");
  const digits = units.toString().padStart(decimals + 1, "0");
  return decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

/** What a person typed. `text` is the form for the service; `readings` are what an unclear text may mean, to ask about. */
export type TypedAmount =
  | { ok: true; units: bigint; text: string }
  | { ok: false; reason: "empty" | "incomplete" | "not_a_number" | "too_fine" }
  | { ok: false; reason: "ambiguous"; readings: string[] };

/**
 * Read an amount as a person of this locale writes it. "1.000,50" is 1000.50 in German; in English it is ambiguous, as are "1.000" and
 * "0,500", because a person may type in another convention than the page's.
 */
export function parseAmount(typed: string, locale?: string, decimals: number = FIAT_DECIMALS): TypedAmount {
  const { group, decimal, digits } = signsOf(locale);
  const spaced = [...typed.trim()].map((sign) => digits.get(sign) ?? sign).join("");
  // Spaces and apostrophes only ever separate groups of three.
  const text = spaced.replace(/(?<=\d)[\s\u2019'](?=\d{3}(?!\d))/g, "");
  if (text === "") return { ok: false, reason: "empty" };
  if (!/^[\d.,\u066b\u066c]+$/.test(text) || !/\d/.test(text)) return { ok: false, reason: "not_a_number" };
  if (/\D$/.test(text)) return { ok: false, reason: "incomplete" };
  const units = readingOf(text, group, decimal, decimals);
  const otherwise = readingOf(text, decimal, group, decimals);
  if (units !== null && (otherwise === null || otherwise === units)) return { ok: true, units, text: formatUnits(units, decimals) };
  const readings = looseReadings(text, decimals).map((reading) => formatUnits(reading, decimals));
  return readings.length ? { ok: false, reason: "ambiguous", readings } : { ok: false, reason: fineness(text, decimal) };
}

/** Show base units to a person of this locale: in a currency such as "usd", or with the name of a token ("MUSD") behind. */
export function formatAmount(units: bigint, unit: string, locale?: string, decimals: number = FIAT_DECIMALS): string {
  const [whole = "0", fraction = ""] = formatUnits(units, decimals).split(".");
  const shown = fraction.replace(/0+$/, "").padEnd(2, "0");
  const isCurrency = /^[a-z]{3}$/i.test(unit);
  const style = isCurrency ? { style: "currency", currency: unit.toUpperCase() } : {};
  const format = new Intl.NumberFormat(locale, { ...style, minimumFractionDigits: 2, maximumFractionDigits: 2 } as Intl.NumberFormatOptions);
  const plain = new Intl.NumberFormat(locale, { useGrouping: false });
  const parts = format.formatToParts(BigInt(whole)).map(({ type, value }) =>
    type === "fraction" ? [...shown].map((digit) => plain.format(Number(digit))).join("") : value,
  );
  return isCurrency ? parts.join("") : `${parts.join("")}\u00a0${unit}`;
}

/** The signs of a locale: what separates groups, what stands before the decimals, and its own digits. */
function signsOf(locale: string | undefined) {
  const format = new Intl.NumberFormat(locale, { minimumFractionDigits: 1 });
  const parts = format.formatToParts(1234567.5);
  const decimal = parts.find(({ type }) => type === "decimal")?.value ?? ".";
  const group = parts.find(({ type }) => type === "group")?.value ?? "";
  const plain = new Intl.NumberFormat(locale, { useGrouping: false });
  const digits = new Map(Array.from({ length: 10 }, (_, digit) => [plain.format(digit), String(digit)]));
  // Where groups are separated by spaces or apostrophes, a point or comma that is not the decimal sign belongs to the other convention.
  return { decimal, group: /[.,\u066c]/.test(group) ? group : decimal === "," ? "." : ",", digits };
}

/** The amount if the text is well formed in one convention: groups of three (or as in India, two) digits, not too many decimals. */
function readingOf(text: string, group: string, decimal: string, decimals: number): bigint | null {
  const [whole = "", fraction = "", more] = text.split(decimal);
  const groups = whole.split(group);
  const digits = groups.join("");
  if (more !== undefined || fraction.length > decimals || /\D/.test(digits + fraction) || !isGrouped(groups)) return null;
  return BigInt(digits + fraction.padEnd(decimals, "0"));
}

function isGrouped([first = "", ...rest]: string[]): boolean {
  const last = rest.pop();
  if (last === undefined) return true;
  const even = [2, 3].some((size) => rest.every((digits) => digits.length === size));
  return /^[1-9]\d{0,2}$/.test(first) && last.length === 3 && even;
}

/** What a text may mean: its last sign stands before the decimals, or all of its signs separate groups. */
function looseReadings(text: string, decimals: number): bigint[] {
  const parts = text.split(/\D/);
  const fraction = (parts.at(-1) ?? "").replace(/0+$/, "");
  const readings = new Set<bigint>();
  if (parts.length > 1 && fraction.length <= decimals) readings.add(BigInt(parts.slice(0, -1).join("") + fraction.padEnd(decimals, "0")));
  if (new Set(text.match(/\D/g)).size === 1 && isGrouped(parts)) readings.add(BigInt(parts.join("") + "0".repeat(decimals)));
  return [...readings];
}

const fineness = (text: string, decimal: string) => (text.split(decimal).length === 2 ? "too_fine" : "not_a_number");
