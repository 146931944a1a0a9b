"""mezod's answers about old blocks (`[]` and null for what it lacks, an error for too large ranges), and its lockdown."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chain.monitor.monitor import MAINTENANCE
from chain.reads.transfers import TransferReader
from onramp.dev.chain.devchain import DevChain
from tests.support.fake_node import Refusal
from tests.support.receipts import log

LOCKDOWN = "transaction from 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 to 0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503 rejected by the transaction lockdown"
"""The error message of eth_sendRawTransaction during a lockdown; its code is -32000."""


async def set_lockdown(chain: DevChain, *, enabled: bool) -> None:
    """Make Mezo's Maintenance precompile return this from `getTxLockdown()`, by code at its address."""
    await chain.rpc("anvil_setCode", MAINTENANCE, f"0x60{int(enabled):02x}60005260206000f3")


@dataclass
class Mezod:
    """The blocks of one node: from `holds_from` to `head`, with a transfer in each block of `paid`."""

    head: int = 100
    holds_from: int = 1
    paid: set[int] = field(default_factory=set)
    max_blocks: int = 10_000
    max_logs: int = 10_000
    cuts_off: bool = False
    """Truncates at `max_logs` without an error, as some gateways do."""
    asked: list[tuple[int, int]] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    range_error: tuple[int, str] | None = None
    """Code and message for a range that is too large; None for mezod's own."""

    def results(self) -> dict[str, Any]:
        """Return the `results` of a FakeNode."""
        answers: dict[str, Callable[[list[Any]], Any]] = {
            "eth_blockNumber": lambda params: hex(self.head),
            "eth_getLogs": lambda params: self.logs(int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)),
            "eth_getBlockByNumber": lambda params: self.block(int(params[0], 16)),
        }
        return dict(answers)

    def logs(self, start: int, end: int) -> list[dict[str, Any]]:
        """Answer eth_getLogs."""
        self.asked.append((start, end))
        if end - start + 1 > self.max_blocks:
            code, words = self.range_error or (-32000, f"maximum [from, to] blocks distance: {self.max_blocks}")
            raise Refusal(code, words)
        if max(start, 1) < self.holds_from or end > self.head:
            return []
        transfers = [transfer(block) for block in sorted(self.paid) if start <= block <= end]
        if len(transfers) > self.max_logs and not self.cuts_off:
            raise Refusal(-32000, f"query returned more than {self.max_logs} results")
        return transfers[: self.max_logs]

    def block(self, number: int) -> dict[str, Any] | None:
        """Answer eth_getBlockByNumber, which takes 0 for the newest block."""
        self.shown.append(number)
        number = number or self.head
        return {"number": hex(number)} if self.holds_from <= number <= self.head else None


def transfer(block: int) -> dict[str, Any]:
    """Return the log of the transfer in a block."""
    return log(block, block=block, tx_hash=f"0x{block:064x}")


async def blocks(reader: TransferReader, frm: int, to: int) -> tuple[list[int], bool]:
    """Read a range; return the blocks with transfers, and whether the whole range is covered."""
    reading = await reader.read_agreed(frm, to)
    return [transfer.block.number for transfer in reading.transfers], reading.covered_from == frm
