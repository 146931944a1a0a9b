import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { type FormOptions, mountPayment, preloadStripe, type PurchaseStore } from "@onramp/client/purchase";
import { BODY, phase, Shop } from "./support/shop.js";

/** A page that counts scripts, and in which the test decides whether they load. */
class Page {
  loads = true;
  scripts: string[] = [];
  themes: unknown[] = [];
  mounted: { secret: string; say(type: string, status?: string): void }[] = [];
  element = { shown: null as unknown, replaceChildren: () => void (this.element.shown = null) };
  head = { append: (script: { src: string } & EventTarget) => {
    this.scripts.push(script.src);
    queueMicrotask(() => script.dispatchEvent(new Event(this.loads ? "load" : "error")));
  } };

  createElement(): object {
    return Object.assign(new EventTarget(), { src: "", remove: () => {} });
  }

  addEventListener(): void {}
  removeEventListener(): void {}

  StripeOnramp = (key: string) => ({
    createSession: ({ clientSecret, appearance }: { clientSecret: string; appearance?: { theme?: string } }) => {
      assert.equal(key, "pk_test");
      this.themes.push(appearance?.theme);
      const listeners = new Map<string, (event: object) => void>();
      return {
        setAppearance: ({ theme }: { theme?: string }) => void this.themes.push(theme),
        addEventListener: (type: string, listener: (event: object) => void) => listeners.set(type, listener),
        mount: (element: Page["element"]) => {
          element.shown = clientSecret;
          const say = (type: string, status?: string) => listeners.get(type)?.({ payload: { session: { status } } });
          this.mounted.push({ secret: clientSecret, say });
        },
      };
    },
  });
}

let number = 0;

async function paying(t: TestContext): Promise<{ page: Page; shop: Shop; tab: PurchaseStore; id: string; scripts: string[]; mount: (options?: FormOptions) => () => void }> {
  const page = new Page();
  // Scripts are loaded once for a page, and these tests have one: each has scripts of its own.
  const scripts = [`https://stripe.test/${(number += 1)}.js`];
  Object.assign(globalThis, { document: page, StripeOnramp: page.StripeOnramp });
  const shop = new Shop();
  t.after(() => shop.close());
  const tab = shop.tab();
  await tab.start(BODY);
  const { id } = (await phase(tab, "pay")).session;
  const mount = (options: FormOptions = {}) => mountPayment(tab, page.element as unknown as Element, { scripts, ...options });
  return { page, shop, tab, id, scripts, mount };
}

after(() => {
  for (const name of ["document", "StripeOnramp"]) Reflect.deleteProperty(globalThis, name);
});

test("the form stands there while the purchase is to be paid, and is taken down when it is paid", async (t) => {
  const { page, shop, tab, id, mount } = await paying(t);
  const unmount = mount();
  await phase(tab, "pay", () => page.mounted.length === 1);
  page.mounted[0]?.say("onramp_ui_loaded");
  assert.equal((await phase(tab, "pay")).form, "ready");
  assert.equal(page.element.shown, "ons_1_secret");
  shop.fake.move(id, "awaiting_payment");
  shop.fake.move(id, "processing");
  await phase(tab, "track");
  assert.deepEqual([page.element.shown, page.mounted.length], [null, 1]);
  unmount();
});

test("what the form says of the payment is only a hint", async (t) => {
  const { page, tab, mount } = await paying(t);
  const unmount = mount();
  await phase(tab, "pay", () => page.mounted.length === 1);
  page.mounted[0]?.say("onramp_session_updated", "fulfillment_complete");
  const { session, mayStartOver } = await phase(tab, "track");
  assert.deepEqual([session.status, mayStartOver], ["awaiting_payment", false]);
  unmount();
});

test("a blocked script shows the way around it, and is loaded again when asked for", async (t) => {
  const { page, tab, mount } = await paying(t);
  page.loads = false;
  const unmount = mount();
  assert.ok((await phase(tab, "pay", ({ form }) => form === "blocked")).payment?.hostedUrl);
  page.loads = true;
  tab.retry();
  await phase(tab, "pay", () => page.mounted.length === 1);
  assert.equal(page.scripts.length, 2);
  unmount();
});

test("the scripts are those that the service names", async (t) => {
  const { page, tab } = await paying(t);
  const unmount = mountPayment(tab, page.element as unknown as Element);
  await phase(tab, "pay", () => page.mounted.length === 1);
  assert.deepEqual(page.scripts, ["https://stripe.test/stripe.js"]);
  unmount();
});

test("a component that is mounted twice shows one form and loads each script once", async (t) => {
  const { page, tab, mount } = await paying(t);
  mount()();
  const unmount = mount();
  await phase(tab, "pay", () => page.mounted.length === 1);
  unmount();
  assert.deepEqual([page.scripts.length, page.element.shown], [1, null]);
});

test("the form has the page's colours, and follows the browser's scheme where it is asked to", async (t) => {
  const { page, tab, mount } = await paying(t);
  const scheme = Object.assign(new EventTarget(), { matches: true });
  Object.assign(globalThis, { matchMedia: () => scheme });
  t.after(() => Reflect.deleteProperty(globalThis, "matchMedia"));
  let unmount = mount({ appearance: { theme: "light" } });
  await phase(tab, "pay", () => page.mounted.length === 1);
  scheme.dispatchEvent(new Event("change"));
  unmount();
  unmount = mount({ appearance: { theme: "auto" } });
  await phase(tab, "pay", () => page.mounted.length === 2);
  scheme.matches = false;
  scheme.dispatchEvent(new Event("change"));
  unmount();
  scheme.dispatchEvent(new Event("change"));
  assert.deepEqual(page.themes, ["light", "dark", "light"]);
});

test("scripts that were loaded in advance are not loaded again, and one that failed is", async (t) => {
  const { page, tab, scripts, mount } = await paying(t);
  page.loads = false;
  preloadStripe(scripts);
  await new Promise((resolve) => setTimeout(resolve));
  page.loads = true;
  preloadStripe(scripts);
  const unmount = mount();
  await phase(tab, "pay", () => page.mounted.length === 1);
  assert.deepEqual(page.scripts, [...scripts, ...scripts]);
  unmount();
});
