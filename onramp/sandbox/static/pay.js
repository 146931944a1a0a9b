// The hosted page: shows the purchase, takes a test card, and follows it to its end.
// Inside a frame it is told the client secret by the script that made the frame; alone it reads the hash of its own address.

const part = (id) => document.getElementById(id);
const words = {
  fulfillment_processing: "Payment received. Delivering…",
  fulfillment_complete: "Delivered. You can go back to the shop.",
  rejected: "This purchase was rejected.",
};
let key = new URLSearchParams(location.search).get("session_hash");
let told = "";

function tell(session) {
  if (parent !== window && session.status !== told) {
    told = session.status;
    parent.postMessage({ onramp: "session", session }, "*");
  }
}

async function ask(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error?.message ?? "Something went wrong. Try again.");
  return value;
}

function show(session) {
  const waits = session.status === "requires_payment" || session.status === "initialized";
  part("form").hidden = !waits;
  part("progress").hidden = waits;
  part("progress").classList.toggle("done", session.status === "fulfillment_complete");
  part("stage").textContent = words[session.status] ?? "";
  part("amount").textContent = `${session.quote.source_amount} ${session.quote.source_currency.toUpperCase()}`;
  part("gets").textContent = `${session.quote.destination_currency.toUpperCase()} on ${session.quote.destination_network}`;
  part("wallet").textContent = session.lock_wallet_address ? "the shop's treasury" : "your wallet";
  part("pay").textContent = `Pay ${part("amount").textContent}`;
  tell(session);
}

async function follow() {
  for (;;) {
    const session = await ask("/pay/state", { key });
    show(session);
    if (session.status === "fulfillment_complete" || session.status === "rejected") return;
    if (session.status !== "fulfillment_processing") return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

function complain(text) {
  part("message").textContent = text;
  part("message").hidden = !text;
}

part("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  complain("");
  if (!part("expiry").value.trim() || !part("cvc").value.trim()) return complain("Fill in expiry and security code; in test mode any will do.");
  part("pay").disabled = true;
  try {
    await ask("/pay/confirm", { key, number: part("number").value });
    await follow();
  } catch (error) {
    complain(error.message);
  } finally {
    part("pay").disabled = false;
  }
});

async function begin() {
  try {
    await follow();
    if (parent !== window) parent.postMessage({ onramp: "loaded" }, "*");
  } catch (error) {
    part("progress").hidden = false;
    part("stage").textContent = error.message;
  }
}

if (key) begin();
else {
  window.addEventListener("message", (event) => {
    if (event.source === parent && typeof event.data?.clientSecret === "string" && !key) {
      key = event.data.clientSecret;
      begin();
    }
  });
  if (parent !== window) parent.postMessage({ onramp: "ready" }, "*");
}
