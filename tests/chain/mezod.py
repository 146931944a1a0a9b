"""How mezod answers about its past, `[]` and null for what it lacks, an error for what is too much; and in a lockdown."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chain.monitor.monitor import MAINTENANCE
from chain.reads.transfers import TransferReader
from onramp.dev.chain.devchain import DevChain
from tests.chain.lying_node import Refusal
from tests.chain.receipts import log

LOCKDOWN = "transaction from 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 to 0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503 rejected by the transaction lockdown"
"""What it says to eth_sendRawTransaction, with the code -32000."""


async def set_lockdown(chain: DevChain, *, enabled: bool) -> None:
    """Put the answer of `getTxLockdown()` where Mezo's Maintenance precompile stands: code that returns this one word."""
    await chain.rpc("anvil_setCode", MAINTENANCE, f"0x60{int(enabled):02x}60005260206000f3")


@dataclass
class Mezod:
    """One node's store: blocks from `holds_from` to `head`, and a transfer in each of `paid`."""

    head: int = 100
    holds_from: int = 1
    paid: set[int] = field(default_factory=set)
    most_blocks: int = 10_000
    most_logs: int = 10_000
    cuts_off: bool = False
    """Says nothing of what is beyond `most_logs`, as some gateways do."""
    asked: list[tuple[int, int]] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    range_error: tuple[int, str] | None = None
    """Code and words in which it refuses a range; None: mezod's own."""

    def results(self) -> dict[str, Any]:
        """What a scripted node needs."""
        answers: dict[str, Callable[[list[Any]], Any]] = {
            "eth_blockNumber": lambda params: hex(self.head),
            "eth_getLogs": lambda params: self.logs(int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)),
            "eth_getBlockByNumber": lambda params: self.block(int(params[0], 16)),
        }
        return dict(answers)

    def logs(self, start: int, end: int) -> list[dict[str, Any]]:
        """eth_getLogs."""
        self.asked.append((start, end))
        if end - start + 1 > self.most_blocks:
            code, words = self.range_error or (-32000, f"maximum [from, to] blocks distance: {self.most_blocks}")
            raise Refusal(code, words)
        if max(start, 1) < self.holds_from or end > self.head:
            return []
        found = [transfer(block) for block in sorted(self.paid) if start <= block <= end]
        if len(found) > self.most_logs and not self.cuts_off:
            raise Refusal(-32000, f"query returned more than {self.most_logs} results")
        return found[: self.most_logs]

    def block(self, number: int) -> dict[str, Any] | None:
        """eth_getBlockByNumber, which takes 0 for the newest."""
        self.shown.append(number)
        number = number or self.head
        return {"number": hex(number)} if self.holds_from <= number <= self.head else None


def transfer(block: int) -> dict[str, Any]:
    """The one transfer of a block, as a log."""
    return log(block, block=block, tx_hash=f"0x{block:064x}")


async def blocks(reader: TransferReader, frm: int, to: int) -> tuple[list[int], bool]:
    """The blocks of which a transfer is told, and whether that is all."""
    reading = await reader.read_agreed(frm, to)
    return [transfer.block.number for transfer in reading.transfers], reading.covered_from == frm
