/** What the page was given: the service's settings, the parameters of its own URL, and the buyer's language. */

import { createOnramp, type Onramp } from "../src/index.js";
import { fill } from "../src/react/sentences.js";
import { isProblem } from "../src/problem.js";
import type { Words } from "../src/words/en.js";
import { sentenceOf, walletSentence } from "./sentences.js";
import type { PageWords } from "./words/en.js";

/** The settings that the service writes into the page. */
export interface Config {
  stripeScripts: string[];
  chainId: number;
  chainName: string;
  explorerUrl: string | null;
  rpcUrls: string[];
  musdAddress: string;
  /** What a purchase may be paid in, with its limits as decimal text. */
  limits: Record<string, { min: string; max: string }>;
  sessionCreation: "open" | "keyed";
  merchantName: string | null;
  supportEmail: string | null;
  developmentWallet: string | null;
}

export type AllWords = Words & PageWords;

/** What a dApp may say in the page's URL. */
export interface Parameters {
  /** The session of `/checkout/s/ID`. */
  id: string | null;
  /** Whether the path is that of a purchase, but names none. */
  isLinkBroken: boolean;
  amount: string | null;
  currency: string | null;
  wallet: string | null;
  reference: string | null;
  returnUrl: string | null;
  locale: string | null;
  theme: "light" | "dark" | "auto";
}

/** Everything that the parts of the page share. */
export interface Page {
  onramp: Onramp;
  config: Config;
  words: AllWords;
  parameters: Parameters;
  /** The tag that amounts and dates are shown and read in, such as `de-CH`. */
  locale: string;
  /** Say what went wrong with the service or in a wallet; `instead` is what to do about a wallet that did not answer. */
  explain(error: unknown, instead: "wallet_silent" | "wallet_locked"): string;
  /** Put values into a text's `{names}`. */
  say(key: keyof AllWords, values?: Record<string, string>): string;
}

/** Return the session that a path names, and whether it names none where it should. A link that is copied out of a text often ends in the text's punctuation. */
function linkOf(path: string): Pick<Parameters, "id" | "isLinkBroken"> {
  const tail = /^\/checkout\/s(?:\/(.*))?$/.exec(path);
  if (!tail) return { id: null, isLinkBroken: false };
  let text = tail[1] ?? "";
  try {
    text = decodeURIComponent(text);
  } catch {
    // A percent sign of its own is punctuation, too.
  }
  const id = /^([\w-]*[A-Za-z0-9])[\s\p{P}\p{S}]*$/u.exec(text)?.[1] ?? null;
  return { id, isLinkBroken: id === null };
}

/** Read the parameters of a URL. What cannot be used is left out; the service checks the rest. */
export function parametersOf(url: URL): Parameters {
  const value = (name: string) => url.searchParams.get(name)?.trim() || null;
  const theme = value("theme");
  return {
    ...linkOf(url.pathname),
    amount: value("amount"),
    currency: value("currency")?.toLowerCase() ?? null,
    wallet: value("wallet"),
    reference: value("reference"),
    returnUrl: value("returnUrl"),
    locale: value("locale"),
    theme: theme === "light" || theme === "dark" ? theme : "auto",
  };
}

/** Return the tag to show amounts in: of the parameter or the browser the first that is of the page's language. */
export function numberLocale(language: string, asked: readonly (string | null)[]): string {
  const primary = language.split("-")[0];
  return asked.find((tag) => tag && tag.split("-")[0]?.toLowerCase() === primary && isTag(tag)) ?? language;
}

function isTag(tag: string): boolean {
  try {
    return Intl.NumberFormat.supportedLocalesOf(tag).length > 0;
  } catch {
    return false;
  }
}

/** Return the path of this page, or of a purchase, with the parameters that stay: how it looks and in which language. */
export function pathOf(id: string | null, { locale, theme }: Parameters): string {
  const kept = new URLSearchParams();
  if (locale) kept.set("locale", locale);
  if (theme !== "auto") kept.set("theme", theme);
  return `/checkout${id ? `/s/${id}` : ""}${kept.size ? `?${kept}` : ""}`;
}

/** Read what the service wrote into the document, and load the texts of its language. */
export async function openPage(): Promise<Page> {
  const config: Config = JSON.parse(document.getElementById("config")?.textContent ?? "");
  const parameters = parametersOf(new URL(location.href));
  const { lang, dataset } = document.documentElement;
  const { words } = (await import(dataset["words"] ?? "")) as { words: AllWords };
  const locale = numberLocale(lang, [parameters.locale, ...navigator.languages]);
  const onramp = createOnramp({ baseUrl: location.origin });
  const page: Page = {
    ...{ onramp, config, words, parameters, locale },
    say: (key, values = {}) => fill(words[key], values),
    explain: (error, instead) => (isProblem(error) ? sentenceOf(page, error) : walletSentence(page, error, instead)),
  };
  return page;
}
