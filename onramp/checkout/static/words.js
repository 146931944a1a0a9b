/**
 * What each state of a session means for the buyer, in words. Pure: session in, sentences out.
 */

const REASONS = {
  waiting_for_second_node:
    "Your transfer is on the chain. We are waiting for a second, independent node to say the same before we call it done.",
  chain_paused:
    "The Mezo network is not producing blocks at the moment. Your delivery goes on by itself as soon as it does.",
  payouts_paused:
    "Deliveries are paused for a check on our side. Your payment is recorded, and your MUSD is sent when they resume.",
  awaiting_approval: "A purchase like this one is approved by a person before it is sent. That can take a little while.",
  screening: "The receiving address is going through a routine check before the transfer is sent.",
  insufficient:
    "Our MUSD reserve is being refilled. Your payment is recorded and your place is kept: paid first, delivered first.",
  reorg: "The network replaced the block that held your transfer. It is being confirmed again; nothing is lost.",
};

const DELIVERING = "Your payment is complete. MUSD is being sent to your wallet and confirmed on Mezo, usually within a minute.";
const SEEN = "Your transfer is on the chain and gathering confirmations.";

const CARD = "Your card details go straight to Stripe. If a card is declined, simply try again or use another.";
/** The buyer of MUSD would else wonder at what Stripe's own form says. */
const USDC = "Stripe's form names USDC and our address: that pays for your MUSD, which goes to your own wallet.";

function attention(session) {
  if (session.delivery.status === "mismatch") {
    return {
      title: "This purchase needs a person",
      detail:
        "What arrived does not match what was ordered, so everything about it is on hold while we look. " +
        "Please do not pay again. Write to us with the purchase number below and we will put it right.",
    };
  }
  const why = REASONS[session.delivery.reason] ?? "Your payment is recorded and nothing is lost.";
  return {
    title: "This is taking longer than it should",
    detail:
      `${why} We have been alerted; please do not pay again. This page updates by itself, ` +
      "and you can write to us with the purchase number below.",
  };
}

/**
 * @param {object} session
 * @returns {{title: string, detail: string, tone: "calm"|"good"|"warn"|"bad"}}
 */
export function explain(session) {
  switch (session.status) {
    case "awaiting_payment":
      return {
        tone: "calm",
        title: "Pay by card",
        detail: session.delivery.mode === "payout" ? `${CARD} ${USDC}` : CARD,
      };
    case "processing":
      return {
        tone: "calm",
        title: "Processing your payment",
        detail: "Stripe has your payment and is completing it. You can leave this page open; there is nothing to do.",
      };
    case "delivering": {
      const seen = session.delivery.status === "seen" ? SEEN : DELIVERING;
      return { tone: "calm", title: "Your MUSD is on its way", detail: REASONS[session.delivery.reason] ?? seen };
    }
    case "completed":
      return { tone: "good", title: "MUSD is in your wallet", detail: "Confirmed on Mezo. The proof is below, and yours to check." };
    case "rejected":
      return {
        tone: "bad",
        title: "Stripe declined this purchase",
        detail:
          "No MUSD was sent. Stripe does not tell us why; it is usually an identity or fraud check. " +
          "You can start a new purchase, or write to us if your statement shows a charge.",
      };
    case "expired":
      return {
        tone: "warn",
        title: "This purchase has expired",
        detail:
          "It was not paid in time. You can start a new one. If you did pay, it still counts: " +
          "keep this page open, or write to us with the purchase number below.",
      };
    case "attention":
      return { tone: "warn", ...attention(session) };
    default:
      return { tone: "calm", title: "Checking your purchase", detail: "One moment, please." };
  }
}
