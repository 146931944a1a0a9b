// The hosted page: shows the purchase, takes a test card, and follows it to its end.
// Inside a frame it is told the client secret by the script that made the frame; alone it reads the hash of its own address.

const part = (id) => document.getElementById(id);
const framed = parent !== window;
const WORDS = {
  fulfillment_processing: ["Payment received", "Delivering your purchase. This takes a moment."],
  fulfillment_complete: ["Delivered", ""],
  rejected: ["This purchase was rejected", "You have not been charged."],
};
let key = new URLSearchParams(location.search).get("session_hash");
let told = "";
let drawn = "";

function tell(message) {
  // No secret travels here; the frame's maker knows the client secret already.
  if (framed) parent.postMessage({ onramp: message.kind, ...message }, "*");
}

async function ask(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key, ...body }) });
  const value = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(value.error?.message ?? "Something went wrong. Try again."), { param: value.error?.param });
  return value;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const trimmed = (amount) => amount.replace(/(\.\d\d\d*?)0+$/, "$1");
const money = (amount, currency) => `${currency.currency_symbol ?? ""}${amount}${currency.currency_symbol ? "" : ` ${currency.asset_display_name}`}`;
const crypto = (quote) => `${trimmed(quote.destination_amount)} ${quote.destination_currency.asset_display_name}`;

/** What the buyer changed; only what this session leaves open is sent. */
function wishes() {
  const made = {};
  if (!part("amount-field").hidden) made.source_amount = part("amount").value.trim().replace(",", ".");
  if (!part("wallet-field").hidden && part("wallet").value.trim()) made.wallet_address = part("wallet").value.trim();
  if (!part("asset-field").hidden) [made.destination_currency, made.destination_network] = part("asset").value.split(" ");
  return made;
}

function showForm({ quote, wallet_address, sandbox }) {
  const { source_currency: fiat } = quote;
  if (drawn !== "form") {
    part("amount-field").hidden = !sandbox.amount_editable;
    part("fixed").hidden = sandbox.amount_editable;
    part("amount").value = quote.source_amount;
    part("symbol").textContent = fiat.currency_symbol ?? "";
    part("currency").textContent = fiat.asset_display_name;
    part("wallet-field").hidden = !sandbox.wallet_editable;
    part("fixed-wallet").hidden = sandbox.wallet_editable;
    part("wallet").value = wallet_address ?? "";
    part("asset-field").hidden = sandbox.options.length < 2;
    for (const { currency, network } of sandbox.options) {
      const chosen = currency === quote.destination_currency.asset_code && network === quote.destination_currency.currency_network;
      part("asset").append(new Option(`${currency.toUpperCase()} on ${network}`, `${currency} ${network}`, chosen, chosen));
    }
    drawn = "form";
  }
  part("fixed").textContent = money(quote.source_amount, fiat);
  part("gets").textContent = `${crypto(quote)} on ${quote.destination_currency.currency_network}`;
  part("to").textContent = wallet_address ? `${wallet_address.slice(0, 8)}…${wallet_address.slice(-6)}` : "";
  part("to").title = wallet_address ?? "";
  part("network-fee").textContent = money(quote.fees.network_fee, fiat);
  part("transaction-fee").textContent = money(quote.fees.transaction_fee, fiat);
  part("total").textContent = money(quote.total_amount, fiat);
  part("pay").textContent = `Pay ${money(quote.total_amount, fiat)}`;
}

function showProgress({ status, quote }) {
  const [title, text] = WORDS[status] ?? ["This purchase cannot go on", `Its state is "${status}".`];
  part("progress").dataset.status = status;
  part("stage").textContent = title;
  part("detail").textContent = status === "fulfillment_complete" && quote ? `${crypto(quote)} was sent. You can go back to the shop.` : text;
}

function show(session) {
  const { sandbox, ...shared } = session;
  const waits = session.status === "requires_payment";
  part("waiting").hidden = true;
  part("form").hidden = !waits;
  part("progress").hidden = waits;
  if (waits) showForm(session);
  else showProgress(session);
  if (session.status !== told) {
    told = session.status;
    tell({ kind: "session", session: shared });
  }
}

async function follow() {
  for (;;) {
    const session = await ask("/pay/state", {});
    show(session);
    if (session.status !== "fulfillment_processing") return;
    await pause(250);
  }
}

function complain(text, field) {
  part("message").textContent = text;
  part("message").hidden = !text;
  for (const input of part("form").querySelectorAll("input")) input.setAttribute("aria-invalid", String(text !== "" && input === field));
  field?.focus();
}

const FIELDS = { number: "number", source_amount: "amount", wallet_address: "wallet" };
const digits = (text) => text.replace(/\D/g, "");

function missing() {
  if (digits(part("number").value).length < 12) return ["Fill in the card number.", part("number")];
  if (digits(part("expiry").value).length !== 4) return ["Fill in the expiry; in test mode any will do.", part("expiry")];
  if (digits(part("cvc").value).length < 3) return ["Fill in the security code; in test mode any will do.", part("cvc")];
  return null;
}

part("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  complain("");
  const gap = missing();
  if (gap) return complain(...gap);
  part("pay").disabled = true;
  try {
    show(await ask("/pay/confirm", { ...wishes(), number: part("number").value }));
    await follow();
  } catch (error) {
    complain(error.message, part(FIELDS[error.param] ?? "number"));
  } finally {
    part("pay").disabled = false;
  }
});

let asked = 0;
async function reprice() {
  const mine = ++asked;
  await pause(150);
  if (mine !== asked) return;
  try {
    const session = await ask("/pay/state", wishes());
    if (mine !== asked) return;
    complain("");
    show(session);
  } catch (error) {
    if (mine === asked) complain(error.message, part(FIELDS[error.param] ?? "amount"));
  }
}
part("amount").addEventListener("input", reprice);
part("asset").addEventListener("change", reprice);

part("number").addEventListener("input", ({ target }) => {
  if (target.selectionStart === target.value.length) target.value = digits(target.value).replace(/(\d{4})(?=\d)/g, "$1 ");
});
part("expiry").addEventListener("input", ({ target, inputType }) => {
  const given = digits(target.value);
  if (inputType !== "deleteContentBackward" && given.length >= 2) target.value = `${given.slice(0, 2)} / ${given.slice(2, 4)}`;
});
part("fill").addEventListener("click", () => {
  part("number").value = "4242 4242 4242 4242";
  part("expiry").value = "12 / 34";
  part("cvc").value = "123";
  part("pay").focus();
});

async function begin() {
  try {
    await follow();
    tell({ kind: "loaded" });
  } catch (error) {
    part("waiting").hidden = true;
    part("progress").hidden = false;
    part("progress").dataset.status = "error";
    part("stage").textContent = "This payment cannot be shown";
    part("detail").textContent = error.message;
  }
}

if (framed) {
  new ResizeObserver(() => tell({ kind: "height", height: document.documentElement.offsetHeight })).observe(document.body);
  window.addEventListener("message", ({ source, data }) => {
    if (source !== parent) return;
    if (data?.theme === "light" || data?.theme === "dark") document.documentElement.dataset.theme = data.theme;
    if (typeof data?.clientSecret === "string" && !key) {
      key = data.clientSecret;
      begin();
    }
  });
  tell({ kind: "ready" });
} else if (!key) {
  part("waiting").textContent = "This address names no payment. Go back to the shop and start again.";
}
if (key) begin();
