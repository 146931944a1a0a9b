"""PayOnce on the development chain with MUSD and with tokens that misbehave, compiled by the pinned compiler."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from chain.abi.erc20 import encode_allowance, encode_approve, encode_balance_of
from chain.abi.payonce import AlreadyPaid, Event, Failed, Paid, Payment, decode_event, encode_paid
from chain.abi.words import WORD, address_word, uint256_word
from chain.types import Address, data_bytes, keccak, to_checksum, to_hex
from contracts.build import compile_sources
from onramp.dev.chain.artifacts import call_data
from onramp.dev.chain.devchain import DevChain
from tests.support.paths import ROOT

FULL_GAS: Final = 9_900_000
"""Mezo's block has ten million."""
TOKENS: Final = (
    "GoodToken", "FalseToken", "LyingToken", "SilentToken", "OddToken", "FeeToken", "HeavyToken", "GasBurner", "ReturnBomb", "Reentrant",
)  # fmt: skip
BLOCKED: Final = to_checksum("0x" + "b10c" * 10)
"""A recipient that every hostile token treats in its own way."""
_PAY: Final = keccak(b"pay(address,(bytes32,address,uint256)[])")[:4]


@cache
def compiled() -> dict[str, bytes]:
    """The creation code of each token of `tests/contracts/tokens.sol`."""
    source = (ROOT / "tests/contracts/tokens.sol").read_text()
    output = compile_sources({"tokens.sol": source})
    return {name: bytes.fromhex(contract["evm"]["bytecode"]["object"]) for name, contract in output.items()}


def calldata(token: Address, payments: Sequence[Payment]) -> bytes:
    """The calldata of any batch, also of those that the encoder refuses: empty ones, repeated references, nothing to pay."""
    entries = (payment.reference + address_word(payment.to) + uint256_word(payment.amount) for payment in payments)
    return _PAY + address_word(token) + uint256_word(2 * WORD) + uint256_word(len(payments)) + b"".join(entries)


@dataclass(frozen=True)
class Outcome:
    """A mined batch: whether the transaction succeeded, its gas, and the events of PayOnce in their order."""

    succeeded: bool
    block: int
    gas: int
    events: tuple[Event, ...] = ()

    @property
    def kinds(self) -> str:
        """One letter for each event: paid, failed, already paid."""
        return "".join({Paid: "p", Failed: "f", AlreadyPaid: "a"}[type(event)] for event in self.events)


@dataclass
class PayOnceChain:
    """Sends batches, and reads what they changed. Payers are accounts of the node, all of them able to pay gas."""

    chain: DevChain
    tokens: dict[str, Address] = field(default_factory=dict)
    payers: list[Address] = field(default_factory=list)

    @property
    def contract(self) -> Address:
        return self.chain.deployment.payonce

    async def prepare(self) -> None:
        """Deploy the tokens, and give each payer a million of each."""
        self.payers = [to_checksum(account) for account in (await self.chain.rpc("eth_accounts"))[3:6]]
        self.tokens = {"MUSD": self.chain.deployment.musd}
        for name in TOKENS:
            receipt = await self.send(self.payers[0], None, compiled()[name])
            self.tokens[name] = to_checksum(receipt["contractAddress"])
            await self.send(self.payers[0], self.tokens[name], call_data("block_(address)", BLOCKED))
        for payer in self.payers:
            for name in self.tokens:
                await self.mint(name, payer, 10**6)

    async def mint(self, token: str, to: Address, amount: int) -> None:
        if token == "MUSD":
            await self.chain.mint(to, amount)
        else:
            await self.send(self.payers[0], self.tokens[token], call_data("mint(address,uint256)", to, amount))

    async def approve(self, token: str, payer: Address, amount: int = 2**256 - 1) -> None:
        receipt = await self.send(payer, self.tokens[token], encode_approve(self.contract, amount))
        assert receipt["status"] == "0x1"

    async def pay(self, token: str, payer: Address, payments: Sequence[Payment], gas: int = FULL_GAS) -> Outcome:
        return await self.call(payer, calldata(self.tokens[token], payments), gas)

    async def call(self, sender: Address, data: bytes, gas: int = FULL_GAS, value: int = 0) -> Outcome:
        receipt = await self.send(sender, self.contract, data, gas, value)
        logs = [log for log in receipt["logs"] if to_checksum(log["address"]) == self.contract]
        events = [decode_event(log["topics"], data_bytes(log["data"])) for log in logs]
        return Outcome(
            succeeded=receipt["status"] == "0x1",
            block=int(receipt["blockNumber"], 16),
            gas=int(receipt["gasUsed"], 16),
            events=tuple(event for event in events if event is not None),
        )

    async def send(
        self, sender: Address, to: Address | None, data: bytes | str, gas: int = FULL_GAS, value: int = 0
    ) -> dict[str, Any]:
        text = data if isinstance(data, str) else to_hex(data)
        fields = {"from": sender, "data": text, "gas": hex(gas), "value": hex(value)} | ({"to": to} if to else {})
        tx_hash = await self.chain.rpc("eth_sendTransaction", fields)
        async with asyncio.timeout(30):
            while (receipt := await self.chain.rpc("eth_getTransactionReceipt", tx_hash)) is None:
                await asyncio.sleep(0.005)
        found: dict[str, Any] = receipt
        return found

    async def balance(self, token: str, holder: Address) -> int:
        return await self.number(self.tokens[token], encode_balance_of(holder))

    async def allowance(self, token: str, payer: Address) -> int:
        return await self.number(self.tokens[token], encode_allowance(payer, self.contract))

    async def paid(self, payer: Address, reference: bytes) -> int:
        return await self.number(self.contract, encode_paid(payer, reference))

    async def number(self, to: Address, data: bytes) -> int:
        return int(await self.chain.rpc("eth_call", {"to": to, "data": to_hex(data)}, "latest"), 16)
