/** English, the source of all translations. Each state says whether money moved, and what to do. `{name}` is replaced. */

export const en = {
  amount: "You pay",
  amount_ambiguous: "Please say which you mean: {readings}.",
  amount_empty: "Enter an amount.",
  amount_not_a_number: "Enter an amount in digits, such as {example}.",
  amount_too_fine: "Enter at most two decimals.",
  amount_range: "Enter between {min} and {max}.",
  quote: "You receive about {musd}. In total you pay {total}.",
  wallet_missing: "Connect a wallet to buy.",
  pay: "Buy MUSD",
  paused: "Sales are paused at the moment. Nothing has been charged; please try again later.",
  start_over: "Start a new purchase",
  try_again: "Try again",
  offline: "We cannot reach the service just now. Your purchase goes on without this page, and updates return by themselves.",
  creating: "Preparing your purchase. Nothing has been charged.",
  creating_again: "Preparing your purchase takes longer than usual. Nothing has been charged; we keep trying.",
  resuming: "Looking up your purchase. Please do not pay again.",
  form_loading: "Loading Stripe's payment form. Nothing has been charged.",
  form_ready: "Pay by card below. Your card details go straight to Stripe. If a card is declined, nothing was charged: use another.",
  form_usdc: "Stripe's form names USDC and an address of ours: that pays for your MUSD, which goes to your own wallet.",
  form_blocked: "Stripe's payment form cannot be shown here; an ad blocker may be the reason. Nothing has been charged.",
  form_hosted: "Pay on Stripe's own page",
  form_elsewhere: "This purchase waits for its payment on the device where you began it. Nothing has been charged.",
  processing: "Your payment is being processed. There is nothing to do, and you can close this page.",
  delivering: "You have paid. Your MUSD is being sent to your wallet, usually within a minute.",
  seen: "You have paid, and your MUSD is on the chain. Independent nodes are confirming it.",
  attention: "You have paid, and this takes longer than it should. We have been alerted; please do not pay again. Quote {id} if you write to us.",
  unknown: "Your purchase is in progress. Please do not pay again. Quote {id} if you write to us.",
  completed: "{musd} arrived in your wallet.",
  proof: "See the transaction",
  rejected: "Stripe declined this purchase, and no MUSD was sent. If your statement shows a charge, write to us and quote {id}.",
  expired: "This purchase was not paid in time, and nothing was charged. If you did pay, it still counts: quote {id} if you write to us.",
};

/** The texts of one language. */
export type Words = Record<keyof typeof en, string>;
