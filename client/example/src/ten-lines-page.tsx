/** A wagmi app that has no use for more: the button of `ten-lines.tsx`. */

import { show } from "./app";
import { TopUp } from "./ten-lines";
import { Wallet } from "./wallet";

show("ten-lines", () => (
  <>
    <Wallet />
    <section className="card">
      <h2>Top up</h2>
      <TopUp />
    </section>
  </>
));
