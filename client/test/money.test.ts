import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAmount, formatUnits, parseAmount, parseUnits } from "@onramp/client";

/** What a text is read as: the text for the service, or what the person is asked. */
function read(typed: string, locale: string, decimals = 2): string {
  const amount = parseAmount(typed, locale, decimals);
  if (amount.ok) return amount.text;
  return amount.reason === "ambiguous" ? `? ${amount.readings.join(" | ")}` : amount.reason;
}

test("an amount is exact, however many digits it has", () => {
  assert.equal(parseUnits("123456789012345678.000000000000000001", 18), 123456789012345678000000000000000001n);
  assert.equal(formatUnits(123456789012345678000000000000000001n, 18), "123456789012345678.000000000000000001");
  assert.equal(formatUnits(parseUnits("0.1", 2) + parseUnits("0.2", 2), 2), "0.30");
  assert.equal(formatUnits(7n, 0), "7");
});

test("a text that is no amount, or finer than the token, is refused", () => {
  for (const text of ["", "-1", "1e3", "1,5", ".5", "1.", "0x10", " 1", "1.234"]) assert.throws(() => parseUnits(text, 2), RangeError, text);
  assert.throws(() => formatUnits(-1n, 2), RangeError);
});

for (const [typed, locale, expected] of [
  ["100", "en-US", "100.00"],
  ["99.5", "en-US", "99.50"],
  ["1,234.56", "en-US", "1234.56"],
  ["1,000", "en-US", "1000.00"],
  ["0.05", "en-US", "0.05"],
  ["1.000,50", "de-DE", "1000.50"],
  ["1.000", "de-DE", "1000.00"],
  ["99,5", "de-DE", "99.50"],
  ["1 234,56", "fr-FR", "1234.56"],
  ["1\u202f234,56", "fr-FR", "1234.56"],
  ["1’234.56", "de-CH", "1234.56"],
  ["1,00,000.50", "en-IN", "100000.50"],
  ["१२३.५", "mr-IN", "123.50"],
  ["١٢٣٫٥", "ar-EG", "123.50"],
  [" 100 ", "en-US", "100.00"],
] as const) {
  test(`"${typed}" in ${locale} is ${expected}`, () => assert.equal(read(typed, locale), expected));
}

for (const [typed, locale, expected] of [
  ["0,500", "en-US", "? 0.50"],
  ["0,500", "de-DE", "? 0.50"],
  ["1.000", "en-US", "? 1.00 | 1000.00"],
  ["1,000", "de-DE", "? 1.00 | 1000.00"],
  ["1.000,50", "en-US", "? 1000.50"],
  ["1,000.50", "de-DE", "? 1000.50"],
  ["12,50", "en-US", "? 12.50"],
  ["1.234.567", "en-US", "? 1234567.00"],
  ["1.005", "en-US", "? 1005.00"],
] as const) {
  test(`"${typed}" in ${locale} is asked about, never guessed`, () => assert.equal(read(typed, locale), expected));
}

test("with eighteen decimals three digits behind a comma may be decimals, so English is asked, too", () => {
  assert.equal(read("1,000", "en-US", 18), "? 1.000000000000000000 | 1000.000000000000000000");
  assert.equal(read("1.5", "en-US", 18), "1.500000000000000000");
});

for (const [typed, reason] of [
  ["", "empty"],
  ["  ", "empty"],
  ["100.", "incomplete"],
  ["abc", "not_a_number"],
  ["-5", "not_a_number"],
  ["1e5", "not_a_number"],
  ["$100", "not_a_number"],
  ["€100", "not_a_number"],
  ["10 50", "not_a_number"],
  ["0.005", "too_fine"],
  ["1.2345", "too_fine"],
  ["0x10", "not_a_number"],
] as const) {
  test(`"${typed}" is ${reason}`, () => assert.equal(read(typed, "en-US"), reason));
}

test("an amount is shown exactly, in the person's own form", () => {
  const spaces = (text: string) => text.replace(/[\u00a0\u202f]/g, " ");
  assert.equal(formatAmount(100050n, "usd", "en-US"), "$1,000.50");
  assert.equal(spaces(formatAmount(100050n, "eur", "de-DE")), "1.000,50 €");
  assert.equal(spaces(formatAmount(99500000000000000001n, "MUSD", "en-US", 18)), "99.500000000000000001 MUSD");
  assert.equal(spaces(formatAmount(10n ** 30n, "MUSD", "en-US", 18)), "1,000,000,000,000.00 MUSD");
  assert.equal(spaces(formatAmount(100n, "MUSD", "ar-EG", 2)), "١٫٠٠ MUSD");
});
