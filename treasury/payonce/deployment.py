"""Deploy PayOnce with the hot wallet's key, through the deterministic factory."""

from dataclasses import dataclass

from chain.payonce import ADDRESS, FACTORY, deployment_calldata, init_code
from chain.reads.payonce import Code, read_code
from treasury.payonce.wallet_call import Call, CallRefused, WalletCaller
from treasury.ports import FeeQuote
from treasury.signers.intent import DeployIntent


@dataclass(frozen=True, slots=True)
class Deployer(WalletCaller):
    """Deploys PayOnce, once on each chain."""

    async def deploy(self) -> str | None:
        """Sign, store and broadcast the deployment; return the transaction's hash, or None if the contract is deployed already.

        Raises CallRefused, ChainError, SignerError.
        """
        code, factory = await read_code(self.pool, ADDRESS, FACTORY)
        if code is Code.PAYONCE:
            return None
        if code is not Code.MISSING:
            raise CallRefused(f"Another contract stands at {ADDRESS}: the nodes serve a chain that is not Mezo.")
        if factory is not Code.FACTORY:
            raise CallRefused(
                f"This chain has no deterministic factory at {FACTORY} (github.com/Arachnid/deterministic-deployment-proxy), so the contract"
                " cannot have its address here. Deploy the factory first; anyone can. Nothing was sent."
            )
        creation = init_code()
        call = Call(
            "the deployment", FACTORY, deployment_calldata(creation), "contract.deploy", None, {"address": ADDRESS}
        )

        def intent(nonce: int, gas_limit: int, fees: FeeQuote) -> DeployIntent:
            return DeployIntent(
                chain_id=self.wallet.chain_id,
                wallet=self.wallet.address,
                nonce=nonce,
                init_code=creation,
                gas_limit=gas_limit,
                max_fee=fees.max_fee,
                priority_fee=fees.priority_fee,
            )

        return await self.send(call, intent)
