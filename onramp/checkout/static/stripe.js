/**
 * Stripe's own widget: loads its scripts, mounts one session, and passes on what it reports.
 *
 * Card data lives in Stripe's frame alone. The widget's reports are hints to look at the session again, never proof.
 */

const loaded = new Map();

function load(url) {
  if (!loaded.has(url)) {
    const loading = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = url;
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => {
        loaded.delete(url);
        script.remove();
        reject(new Error(`${new URL(url, location.href).host} could not be reached`));
      });
      document.head.append(script);
    });
    loaded.set(url, loading);
  }
  return loaded.get(url);
}

/** Starts the downloads while the buyer still types. A failure shows when the widget is mounted, not here. */
export function warmUp(urls) {
  loadAll(urls).catch(() => {});
}

async function loadAll(urls) {
  for (const url of urls) await load(url);
}

const darkness = matchMedia("(prefers-color-scheme: dark)");
const appearance = () => ({ theme: darkness.matches ? "dark" : "light" });

/**
 * Mounts the session's payment form into `element`.
 * @param {object} given
 * @param {string[]} given.scripts
 * @param {string} given.publishableKey
 * @param {string} given.clientSecret lives in this call only
 * @param {HTMLElement} given.element
 * @param {() => void} given.onReady the form can be used
 * @param {() => void} given.onChange something happened in it
 * @returns {Promise<() => void>} a function that takes the form down again
 * @throws {Error} when the scripts cannot be loaded or refuse
 */
export async function mountPayment({ scripts, publishableKey, clientSecret, element, onReady, onChange }) {
  await loadAll(scripts);
  if (typeof window.StripeOnramp !== "function") throw new Error("Stripe's payment form is not available");
  const session = window.StripeOnramp(publishableKey).createSession({ clientSecret, appearance: appearance() });
  session.addEventListener("onramp_ui_loaded", onReady);
  session.addEventListener("onramp_session_updated", onChange);
  session.mount(element);
  const repaint = () => session.setAppearance?.(appearance());
  darkness.addEventListener("change", repaint);
  return () => {
    darkness.removeEventListener("change", repaint);
    element.replaceChildren();
  };
}
