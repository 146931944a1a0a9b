/**
 * The page's settings, written by the server into a JSON data block.
 */

/**
 * @typedef {object} Config
 * @property {string} apiBase origin of the API, "" for this one
 * @property {string} publishableKey Stripe's publishable key
 * @property {string[]} stripeScripts scripts that define window.StripeOnramp, in order
 * @property {number} chainId
 * @property {string} chainName
 * @property {string|null} explorerUrl
 * @property {string} musdAddress
 * @property {string} minAmount in the source currency, as decimal text
 * @property {string} maxAmount likewise
 * @property {string|null} merchantName
 * @property {string|null} supportEmail
 * @property {string|null} developmentWallet
 * @property {string} environment
 */

/** @returns {Config} */
export function readConfig() {
  const given = JSON.parse(document.getElementById("config").textContent);
  const limits = { minAmount: String(given.minAmount), maxAmount: String(given.maxAmount) };
  return Object.freeze({ ...given, ...limits, currency: "usd" });
}
