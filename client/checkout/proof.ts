/** The end of a purchase: what was delivered, and everything needed to check it without trusting this page. */

import type { Eip1193 } from "../src/auth.js";
import type { Proof } from "../src/schema.js";
import type { Session } from "../src/status.js";
import { verifyDelivery } from "../src/verify.js";
import { addMezo, watchMusd } from "../src/wallet.js";
import { musd } from "./amounts.js";
import { copyButton } from "./copy.js";
import { byId, el, icon, type IconName, isOfTheWeb, saveFile, setText } from "./dom.js";
import type { Page } from "./page.js";

interface Line {
  label: string;
  testId: string;
  text: string | null;
  isHash?: boolean;
  extra?: Node;
}

function line(page: Page, { label, testId, text, isHash = false, extra }: Line): HTMLElement {
  const value = el("span", { class: isHash ? "mono" : null, "data-testid": testId }, text ?? "–");
  const tools = isHash && text ? copyButton(page, text, label) : null;
  return el("div", { class: "proof-line" }, el("dt", {}, label), el("dd", {}, el("span", { class: "value" }, value, extra ?? null), tools));
}

/** Make a button whose label says how its action went. */
function action(label: string, symbol: IconName, testId: string, does: () => Promise<string>, failed: string): HTMLButtonElement {
  const text = el("span", { "aria-live": "polite" }, label);
  const button = el("button", { type: "button", class: "quiet-button", "data-testid": testId }, icon(symbol), text);
  button.addEventListener("click", async () => setText(text, await does().catch(() => failed)));
  return button;
}

function linkOut(page: Page, url: string, label: string): HTMLElement {
  const attributes = { class: "quiet-button", href: url, target: "_blank", rel: "noopener noreferrer" };
  return el("a", attributes, icon("arrow"), label, el("span", { class: "visually-hidden" }, ` ${page.words.new_tab}`));
}

/** The receipt needs the purchase's id alone, so that a buyer without a wallet in this browser can file it, too. */
function receipt({ words, onramp }: Page, id: string): HTMLElement {
  const save = async () => {
    saveFile(await onramp.sessions.receiptPdf(id), `receipt-${id}.pdf`);
    return words.receipt;
  };
  return action(words.receipt, "sheet", "proof-receipt", save, words.receipt_failed);
}

function addToWallet({ words, config, say }: Page, provider: Eip1193): HTMLElement {
  const { chainId: id, chainName: name, rpcUrls, explorerUrl, musdAddress: address } = config;
  const add = async () => {
    await addMezo(provider, { chain: { id, name, rpcUrls, explorerUrl } });
    return (await watchMusd(provider, { musd: { address, decimals: 18 } })) ? words.added_musd : words.add_musd;
  };
  return action(words.add_musd, "plus", "watch-asset", add, say("add_failed", { chain: name }));
}

/** The wallet's node is asked, not the service. The token is the one pinned in the client, except on a developer's own chain. */
function checkWith({ words, config }: Page, provider: Eip1193, session: Session, proof: Proof): HTMLElement {
  const options = {
    chainId: config.chainId,
    ...(config.developmentWallet && { token: config.musdAddress }),
    ...(proof.logIndex !== null && { logIndex: proof.logIndex }),
  };
  const check = async () => ((await verifyDelivery(session, provider, options)).verified ? words.check_ok : words.check_not);
  return action(words.check_own, "check", "check-own", check, words.check_not);
}

/** Show the proof of a delivery. `provider`: a wallet in this browser, which can list MUSD and be asked for the transfer. */
export function showProof(page: Page, session: Session, proof: Proof, provider: Eip1193 | null): void {
  const { words, locale, say, config } = page;
  setText(byId("proof-amount"), musd(proof.amount ?? "0", locale));
  const nodes = proof.agreedBy.length;
  const count = say("confirmations", { count: String(proof.confirmations) });
  const lines: Line[] = [
    { label: words.to, testId: "proof-to", text: proof.to, isHash: true },
    { label: words.from, testId: "proof-from", text: proof.from, isHash: true },
    { label: words.token, testId: "proof-token", text: proof.token || config.musdAddress, isHash: true },
    { label: words.transaction, testId: "proof-tx", text: proof.txHash, isHash: true },
    {
      label: words.block,
      testId: "proof-block",
      text: proof.blockNumber === null ? null : String(proof.blockNumber),
      extra: el("span", { class: "aside", "data-testid": "proof-confirmations" }, count),
    },
    { label: words.block_hash, testId: "proof-block-hash", text: proof.blockHash, isHash: true },
    {
      label: nodes === 1 ? words.agreed_by_one : say("agreed_by", { count: String(nodes) }),
      testId: "proof-agreed",
      text: proof.agreedBy.join(", "),
    },
    { label: words.purchase, testId: "proof-session", text: session.id, isHash: true },
  ];
  const place = byId("proof-actions");
  byId("proof-lines").replaceChildren(...lines.map((each) => line(page, each)));
  // What was made before keeps what it says.
  if (place.dataset["id"] !== session.id) {
    place.dataset["id"] = session.id;
    place.replaceChildren(
      ...(proof.explorerUrl && isOfTheWeb(proof.explorerUrl) ? [linkOut(page, proof.explorerUrl, words.explorer)] : []),
      receipt(page, session.id),
      ...(provider ? [addToWallet(page, provider), checkWith(page, provider, session, proof)] : []),
    );
  }
  byId("proof").dataset["ready"] = "yes";
}
