/** Amounts as the page shows them. */

import { FIAT_DECIMALS, formatAmount, formatUnits, MUSD_DECIMALS, parseAmount, parseUnits } from "../src/money.js";

/** Decimals that fees may have; the service writes those below the cent, too. */
const FINE = 18;
const QUOTE_DECIMALS = 4;
const PLAIN = /^\d{1,9}(\.\d{1,2})?$/;
const USUAL = "100";

/** What the field holds at first; empty if a URL's amount is not in the service's form, with what that may mean. */
export interface AskedAmount {
  text: string;
  readings: string[];
}

/** Read the amount of a URL. One in any other form than the service's is never guessed: the buyer is asked. */
export function askedAmount(parameter: string | null): AskedAmount {
  if (parameter === null || PLAIN.test(parameter)) return { text: parameter ?? USUAL, readings: [] };
  const amount = parseAmount(parameter, "en");
  if (amount.ok) return { text: "", readings: [amount.text] };
  return { text: "", readings: amount.reason === "ambiguous" ? amount.readings : [] };
}

/** Show a decimal text in a currency; a fee below the cent is shown as it is. */
export function priced(text: string, currency: string, locale: string): string {
  return formatAmount(parseUnits(text, FINE), currency, locale, FINE);
}

/** Show an amount without decimals that are zero, for buttons and limits. */
export function pricedWhole(text: string, currency: string, locale: string): string {
  const units = parseUnits(text, FIAT_DECIMALS);
  if (units % 100n !== 0n) return priced(text, currency, locale);
  const style = { style: "currency", currency: currency.toUpperCase(), maximumFractionDigits: 0 } as const;
  return new Intl.NumberFormat(locale, style).format(units / 100n);
}

/** Show MUSD as a number; `decimals` cuts it, and never rounds up: an estimate must not promise more than it says. */
export function musd(text: string, locale: string, decimals = MUSD_DECIMALS): string {
  const cut = parseUnits(text, MUSD_DECIMALS) / 10n ** BigInt(MUSD_DECIMALS - decimals);
  return formatAmount(cut, "MUSD", locale, decimals).replace(/\u00a0MUSD$/, "");
}

/** Show MUSD of an estimate, to four decimals. */
export const musdAbout = (text: string, locale: string): string => musd(text, locale, QUOTE_DECIMALS);

/** Return whether a fee is more than nothing. */
export function isSome(fee: string): boolean {
  return parseUnits(fee, FINE) > 0n;
}

/** Write an amount of the service's form as a person of this locale types it: "1000.50" is "1000,50" in German. */
export function typedForm(text: string, locale: string): string {
  const [whole, fraction] = formatUnits(parseUnits(text, FIAT_DECIMALS), FIAT_DECIMALS).split(".");
  const sign = new Intl.NumberFormat(locale, { minimumFractionDigits: 1 }).formatToParts(0.5).find(({ type }) => type === "decimal");
  return fraction === "00" ? `${whole}` : `${whole}${sign?.value ?? "."}${fraction}`;
}

/** Return a currency's sign for the field. */
export function signOf(currency: string, locale: string): string {
  const format = new Intl.NumberFormat(locale, { style: "currency", currency: currency.toUpperCase(), currencyDisplay: "narrowSymbol" });
  return format.formatToParts(0).find(({ type }) => type === "currency")?.value ?? currency.toUpperCase();
}
