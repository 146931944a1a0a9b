import { BuyButton, OnrampProvider } from "@onramp/client/react";
import "@onramp/client/styles.css";
import { useConnection } from "wagmi";

export const TopUp = () => (
  <OnrampProvider baseUrl="http://127.0.0.1:3001">
    <BuyButton walletAddress={useConnection().address} />
  </OnrampProvider>
);
