"""A real sender in a process of its own, which stops at each point where the model lets others act: a step runs as a task between gates."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from tests.support.fake_chain import FakeChain
from tests.support.fake_signer import KeySigner
from tests.support.sender_model.state import Phase
from tests.support.treasury_world import TreasuryWorld
from treasury.ports import BroadcastReport
from treasury.signers.intent import Intent
from treasury.signers.protocol import Signed, SignerUnavailable
from treasury.transitions import MoveRefused


class Gate:
    """Where one process stands. Between `IDLE` and the next stop it runs."""

    def __init__(self) -> None:
        self.phase = Phase.IDLE
        self.intents: list[Intent] = []
        """What is to be signed in this step."""
        self.signs = 99
        """How many of them the signer answers, lowest nonce first."""
        self._may_go = asyncio.Event()
        self.reached = asyncio.Event()

    async def stop(self, phase: Phase) -> None:
        """Wait here until the process may go on."""
        self.phase = phase
        self._may_go.clear()
        self.reached.set()
        await self._may_go.wait()

    def go_on(self) -> None:
        """Let the process go on."""
        self.reached.clear()
        self._may_go.set()


class GatedSigner(KeySigner):
    """Stops before it signs what a step has allocated; the requests of one step pass together."""

    def __init__(self, gate: Gate, on_signed: Callable[[bytes], object]) -> None:
        super().__init__()
        self._gate = gate
        self._on_signed = on_signed

    async def sign(self, intent: Intent) -> Signed:
        gate = self._gate
        gate.intents.append(intent)
        if gate.phase is not Phase.ALLOCATED or gate.reached.is_set():
            await gate.stop(Phase.ALLOCATED)
        if sorted(entry.nonce for entry in gate.intents).index(intent.nonce) >= gate.signs:
            raise SignerUnavailable("The signer is down.")
        signed = await super().sign(intent)
        self._on_signed(signed.raw)
        return signed


class GatedChain:
    """The chain as one process sees it: it stops before and after the first broadcast of what it signed in this step."""

    def __init__(self, chain: FakeChain, gate: Gate) -> None:
        self._chain = chain
        self._gate = gate

    def __getattr__(self, name: str) -> object:
        return getattr(self._chain, name)

    async def broadcast(self, raw: bytes, *, in_order: bool = False) -> BroadcastReport:
        is_first = await self._before()
        report = await self._chain.broadcast(raw, in_order=in_order)
        await self._after(is_first=is_first, reached=bool(report.reached))
        return report

    async def broadcast_in_order(self, raws: Sequence[bytes]) -> list[BroadcastReport]:
        is_first = await self._before()
        reports = await self._chain.broadcast_in_order(raws)
        await self._after(is_first=is_first, reached=any(report.reached for report in reports))
        return reports

    async def _before(self) -> bool:
        is_first = self._gate.phase is Phase.ALLOCATED
        if is_first:
            await self._gate.stop(Phase.STORED)
        return is_first

    async def _after(self, *, is_first: bool, reached: bool) -> None:
        if is_first and reached:
            await self._gate.stop(Phase.SENT)


class Process:
    """One process: a sender whose step runs until the next gate."""

    def __init__(self, world: TreasuryWorld, depth: int, on_signed: Callable[[bytes], object]) -> None:
        self.gate = Gate()
        self._task: asyncio.Task[bool] | None = None
        self._sender = world.sender(
            signer=GatedSigner(self.gate, on_signed),
            chain=GatedChain(world.chain, self.gate),  # type: ignore[arg-type] # it forwards what it does not have
            max_in_flight=depth,
        )

    async def run(self) -> None:
        """Run to the next gate or to the end of the step; a step begins if none is under way."""
        gate = self.gate
        if self._task is None:
            gate.phase, gate.intents, gate.signs = Phase.IDLE, [], 99
            self._task = asyncio.create_task(self._sender.step())
        else:
            gate.go_on()
        reached = asyncio.create_task(gate.reached.wait())
        await asyncio.wait({self._task, reached}, return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        if self._task.done():
            task, self._task = self._task, None
            gate.phase = Phase.IDLE
            gate.reached.clear()
            with suppress(MoveRefused):
                # Someone changed the row meanwhile, and nothing was written: the worker logs it and goes on with the next step.
                task.result()

    async def die(self) -> None:
        """End the process where it stands."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
