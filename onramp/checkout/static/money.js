/**
 * Decimal money as text and BigInt. An amount never passes through a float: "100.10" stays "100.10".
 */

const DECIMAL = /^(\d+)(?:\.(\d+))?$/;

/** Base units of a plain decimal text ("1.5", 2 -> 150n); null when it is not one or has too many places. */
export function toUnits(text, places) {
  const match = DECIMAL.exec(text);
  if (!match) return null;
  const fraction = match[2] ?? "";
  if (fraction.length > places) return null;
  return BigInt(match[1] + fraction.padEnd(places, "0"));
}

/** The decimal text of base units (150n, 2 -> "1.50"). */
export function fromUnits(units, places) {
  const digits = units.toString().padStart(places + 1, "0");
  return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** A buyer's typing as the API wants it: "100" and "100.5" become "100.00" and "100.50"; null when unusable. */
export function tidy(text) {
  const units = toUnits(text, 2);
  return units === null ? null : fromUnits(units, 2);
}

/** What may stand in the amount field: one point, two places, no other signs, a comma taken as a point. */
export function typed(text) {
  const cleaned = text.replace(/,(\d{3})(?!\d)/g, "$1").replace(",", ".").replace(/[^\d.]/g, "");
  const [whole, ...rest] = cleaned.split(".");
  const left = whole.replace(/^0+(?=\d)/, "").slice(0, 9);
  return rest.length ? `${left || "0"}.${rest.join("").slice(0, 2)}` : left;
}

/** Thousands apart for reading: "12345.50" -> "12,345.50". Anything that is no decimal is returned untouched. */
export function grouped(text) {
  const match = DECIMAL.exec(text);
  if (!match) return text;
  const whole = match[1].replace(/\B(?=(\d{3})+$)/g, ",");
  return match[2] === undefined ? whole : `${whole}.${match[2]}`;
}

/** Cut, never rounded up, to at most `places`, and at least two: an estimate must not promise more than it says. */
export function clipped(text, places) {
  const match = DECIMAL.exec(text);
  if (!match) return text;
  const fraction = (match[2] ?? "").slice(0, places).replace(/0+$/, "").padEnd(2, "0");
  return `${match[1]}.${fraction}`;
}

const SYMBOLS = { usd: "$", eur: "€", gbp: "£" };

/** "1000.00", "usd" -> "$1,000.00"; an unknown currency is named behind the amount. */
export function priced(text, currency) {
  const symbol = SYMBOLS[currency];
  return symbol ? symbol + grouped(text) : `${grouped(text)} ${currency.toUpperCase()}`;
}
