"""Create the parts that sign calls of the hot wallet for a person: the deployment of PayOnce, and its approval."""

from typing import Any

from onramp.bootstrap.container import Container
from onramp.bootstrap.factories import MAX_FEE_WEI
from onramp.treasury.policy_source import policy_in_force
from treasury.core.hot_wallets import HotWallet
from treasury.pause.service import StoredGate
from treasury.payonce.approval import Approver
from treasury.payonce.deployment import Deployer
from treasury.payonce.wallet_call import CallRefused
from treasury.policy.model import Policy
from treasury.policy.parser import PolicyError
from treasury.sender.wallet_chain import QuorumWalletChain


async def make_deployer(container: Container) -> Deployer:
    """Return the part that deploys PayOnce. Raises CallRefused if there is no hot wallet, or no policy that can be used."""
    return Deployer(**_parts(container, await _policy(container)))


async def make_approver(container: Container) -> Approver:
    """Return the part that approves PayOnce, within the policy in force.

    Raises CallRefused if there is no hot wallet, or no policy that can be used.
    """
    policy = await _policy(container)
    return Approver(**_parts(container, policy), token=container.rules.token, max_allowance=policy.max_allowance)


async def _policy(container: Container) -> Policy:
    try:
        return await policy_in_force(container.database, container.settings, container.rules)
    except PolicyError as error:
        problems = "; ".join(error.problems)
        raise CallRefused(f"The treasury policy cannot be used: {problems}. Nothing was sent.") from error


def _parts(container: Container, policy: Policy) -> dict[str, Any]:
    rules, signer = container.rules, container.signer
    if rules.hot_wallet is None or signer is None:
        raise CallRefused("there is no hot wallet: set HOT_WALLET_ADDRESS and its signer. Nothing was sent.")
    return {
        "wallet": HotWallet(rules.chain_id, rules.hot_wallet),
        "database": container.database,
        "pool": container.pool,
        "chain": QuorumWalletChain(container.pool, wallet=rules.hot_wallet, token=rules.token),
        "signer": signer,
        "gate": StoredGate(),
        "clock": container.clock,
        "ids": container.ids,
        "max_fee": min(policy.max_fee or MAX_FEE_WEI, MAX_FEE_WEI),
    }
