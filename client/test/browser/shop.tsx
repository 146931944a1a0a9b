/** A dApp's page for tests in a browser: the component as the guide shows it, in React's strict mode. Its settings are in the URL. */

import { BuyMusd, OnrampProvider } from "@onramp/client/react";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";

const settings = new URLSearchParams(location.search);
const completions: string[] = [];
Object.assign(globalThis, { completions });

function Shop() {
  // A parent that renders again must not take down a form in use.
  const [renders, setRenders] = useState(0);
  return (
    <main>
      <h1>Shop</h1>
      <OnrampProvider baseUrl={settings.get("api") ?? ""} locale={settings.get("locale") ?? "en-US"} form={{ appearance: { theme: "light" } }}>
        <BuyMusd walletAddress={settings.get("wallet")} onCompleted={(session) => completions.push(session.id)} />
      </OnrampProvider>
      <button type="button" onClick={() => setRenders(renders + 1)}>
        Render again ({renders})
      </button>
    </main>
  );
}

const place = document.getElementById("app");
if (place) {
  createRoot(place).render(
    <StrictMode>
      <Shop />
    </StrictMode>,
  );
}
