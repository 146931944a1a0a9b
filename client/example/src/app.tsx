/** What the pages share: the chain from the service's configuration, wagmi, TanStack Query, and the frame around each page. */

import { type ConfigResponse, createOnramp } from "@onramp/client";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ComponentType, createContext, StrictMode, useContext } from "react";
import { createRoot } from "react-dom/client";
import { defineChain } from "viem";
import { createConfig, http, WagmiProvider } from "wagmi";
import "./example.css";

/** The service: `make run`, or the one that VITE_ONRAMP_URL names. */
export const onramp = createOnramp({ baseUrl: import.meta.env["VITE_ONRAMP_URL"] ?? "http://127.0.0.1:3001" });

const Configuration = createContext<ConfigResponse | null>(null);

/** The service's configuration, which was there before anything was shown. */
export function useConfiguration(): ConfigResponse {
  return useContext(Configuration)!;
}

/** wagmi with Mezo alone. viem knows Mezo, too, but names a node that Mezo does not; the service names those that pages may ask. */
function wagmiOf({ chain }: ConfigResponse) {
  const mezo = defineChain({
    id: chain.id,
    name: chain.name,
    nativeCurrency: { name: "Bitcoin", symbol: "BTC", decimals: 18 },
    rpcUrls: { default: { http: chain.rpcUrls } },
    ...(chain.explorerUrl && { blockExplorers: { default: { name: "Explorer", url: chain.explorerUrl } } }),
  });
  // Without connectors: wallets announce themselves (EIP-6963), and wagmi lists them.
  return createConfig({ chains: [mezo], transports: { [mezo.id]: http(chain.rpcUrls[0]) } });
}

const PAGES = { "": "Components", hooks: "Hooks", "ten-lines": "Ten lines" };

function Frame({ page, Page }: { page: string; Page: ComponentType }) {
  return (
    <>
      <header>
        <h1>MUSD shop</h1>
        <nav aria-label="Variants">
          {Object.entries(PAGES).map(([name, title]) => (
            <a key={name} href={name ? `/${name}.html` : "/"} aria-current={name === page ? "page" : undefined}>
              {title}
            </a>
          ))}
        </nav>
      </header>
      <main>
        <Page />
      </main>
    </>
  );
}

/** Show a page, once the service has said where it sells. */
export async function show(page: keyof typeof PAGES, Page: ComponentType): Promise<void> {
  const root = createRoot(document.getElementById("app")!);
  const queries = new QueryClient();
  try {
    const configuration = await onramp.config();
    if (configuration.environment === "development") (await import("./development-wallet")).announce(configuration);
    root.render(
      <StrictMode>
        <Configuration.Provider value={configuration}>
          <WagmiProvider config={wagmiOf(configuration)}>
            <QueryClientProvider client={queries}>
              <Frame page={page} Page={Page} />
            </QueryClientProvider>
          </WagmiProvider>
        </Configuration.Provider>
      </StrictMode>,
    );
  } catch (problem) {
    root.render(
      <main role="alert">
        <h1>The shop is closed</h1>
        <p>
          {problem instanceof Error ? problem.message : String(problem)} The service is expected at <code>{onramp.baseUrl}</code>; `make run` starts one.
        </p>
      </main>,
    );
  }
}
