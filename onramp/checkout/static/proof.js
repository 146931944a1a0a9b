/**
 * The end of a purchase: what was delivered, and everything needed to check it without trusting this page.
 */

import { byId, copyButton, el, icon, saveFile, setText } from "./dom.js";
import { grouped } from "./money.js";
import { watchMusd } from "./wallet.js";

function line(label, testId, text, { mono = false, copy = false, extra = null } = {}) {
  const value = el("span", { class: mono ? "mono" : null, "data-testid": testId }, text);
  const tools = copy ? copyButton(text, label.toLowerCase()) : null;
  return el("div", { class: "proof-line" }, el("dt", {}, label), el("dd", {}, el("span", { class: "value" }, value, extra), tools));
}

function confirmations(count) {
  return `${grouped(String(count))} ${count === 1 ? "confirmation" : "confirmations"}`;
}

function linkOut(url, label, symbol) {
  if (!/^https?:\/\//.test(url)) return null;
  const attributes = { class: "quiet-button", href: url, target: "_blank", rel: "noopener noreferrer" };
  return el("a", attributes, icon(symbol), label, el("span", { class: "visually-hidden" }, " (opens in a new tab)"));
}

/** The receipt needs the purchase's id alone, so that a buyer without a wallet in this browser can file it, too. */
function receipt(api, sessionId) {
  const label = el("span", { "aria-live": "polite" }, "Receipt (PDF)");
  const button = el("button", { type: "button", class: "quiet-button", "data-testid": "proof-receipt" }, icon("sheet"), label);
  button.addEventListener("click", async () => {
    try {
      saveFile(await api.receiptPdf(sessionId), `receipt-${sessionId}.pdf`);
      setText(label, "Receipt (PDF)");
    } catch {
      setText(label, "No receipt just now; try again");
    }
  });
  return button;
}

/** A button that asks the connected wallet to list MUSD; null for a pasted address. */
function addToWallet(provider, config) {
  if (!provider) return null;
  const label = el("span", { "aria-live": "polite" }, "Add MUSD to wallet");
  const button = el("button", { type: "button", class: "quiet-button", "data-testid": "watch-asset" }, icon("plus"), label);
  button.addEventListener("click", async () => {
    try {
      const added = await watchMusd(provider, config);
      setText(label, added ? "MUSD added" : "Add MUSD to wallet");
    } catch {
      setText(label, `Switch your wallet to ${config.chainName} and try again`);
    }
  });
  return button;
}

/**
 * Shows the proof of a delivery, `GET /sessions/{id}/delivery`.
 * @param {object} proof
 * @param {{config: object, api: import("./api.js").Api, provider: object|null, sessionId: string}} around
 */
export function showProof(proof, { config, api, provider, sessionId }) {
  setText(byId("proof-amount"), grouped(proof.amount));
  const agreed = (proof.agreedBy ?? []).join(", ");
  const nodes = proof.agreedBy?.length ?? 0;
  byId("proof-lines").replaceChildren(
    line("To", "proof-to", proof.to, { mono: true, copy: true }),
    line("From", "proof-from", proof.from, { mono: true, copy: true }),
    line("Token", "proof-token", proof.token ?? config.musdAddress, { mono: true, copy: true }),
    line("Transaction", "proof-tx", proof.txHash, { mono: true, copy: true }),
    line("Block", "proof-block", String(proof.blockNumber), {
      extra: el("span", { class: "aside", "data-testid": "proof-confirmations" }, confirmations(proof.confirmations)),
    }),
    line("Block hash", "proof-block-hash", proof.blockHash, { mono: true, copy: true }),
    line(nodes === 1 ? "Seen by 1 node" : `Agreed by ${nodes} nodes`, "proof-agreed", agreed),
    line("Purchase", "proof-session", sessionId, { mono: true, copy: true }),
  );
  const actions = [
    proof.explorerUrl ? linkOut(proof.explorerUrl, "View on explorer", "arrow") : null,
    receipt(api, sessionId),
  ];
  const kept = byId("proof-actions").querySelector('[data-testid="watch-asset"]') ?? addToWallet(provider, config);
  byId("proof-actions").replaceChildren(...[...actions, kept].filter(Boolean));
  byId("proof").dataset.ready = "yes";
}
