"""Live a history of the model on the real sender: the same things happen around both, and after each the states agree.

What happens outside the processes is done to both. A process runs to its next gate; what it did must be what the model's process can do in
one or more steps, or in none. The real sender may do less than the model (its throttles and its pipeline wait), never anything else.
"""

from collections.abc import Sequence

from chain.payonce import ADDRESS
from chain.types import to_checksum
from kit.audit.actor import Actor
from tests.support.fake_signer import KeySigner
from tests.support.hot_wallet import BUYER, CHAIN_ID, HOT_WALLET, MUSD, TOKEN, WALLET
from tests.support.sender_model import environment, leader
from tests.support.sender_model.abstraction import GWEI, Registry, abstract, observed, session
from tests.support.sender_model.engine import Engine, Label, put
from tests.support.sender_model.gates import Process
from tests.support.sender_model.invariants import is_settled
from tests.support.sender_model.rules import Feature, Guard
from tests.support.sender_model.sentences import sentence
from tests.support.sender_model.state import STRANGER, Bytes, Phase, Wait, World
from tests.support.snapshots import Snapshot, restore, snapshot
from tests.support.treasury_world import TreasuryWorld
from treasury.incidents import unmatched
from treasury.payouts import approvals
from treasury.restores import service as restores_service
from treasury.restores.model import Source
from treasury.signers.intent import TransferIntent

_MOST_STEPS = 14
"""How many steps of the model one step of the sender takes at most."""
_MOST_ROUNDS = 40
_USUAL = frozenset({"owe", "mine", "retry", "resolve"})
"""What happens sooner or later outside the processes."""
EVERYTHING = frozenset(
    {
        "owe",
        "mine",
        "mine_failed",
        "mine_refused",
        "stranger",
        "reorg",
        "forget",
        "repeat",
        "retry",
        "resolve",
        "back_up",
        "restore",
        "failover",
    }
)


class Replay:
    """The model's state, or those it may be in, beside the real one."""

    def __init__(self, engine: Engine, world: TreasuryWorld, *, blocks: int = 3) -> None:
        """`blocks`: how many empty ones pass before each step of a process. With none, receipts are not yet asked for."""
        self.engine = engine
        self.world = world
        self.candidates: list[World] = [engine.initial()]
        self.told: list[str] = []
        """The history so far, as sentences."""
        self.blocks = blocks
        self._count = len(engine.config.kinds)
        self._registry = Registry(self._count)
        self._processes: list[Process | None] = [None, None]
        self._backup: Snapshot | None = None
        self._first: Snapshot = {}
        world.chain.room = engine.config.depth
        world.contract = ADDRESS if engine.config.batch else None
        world.policy.batch = engine.config.batch or world.policy.batch
        world.stripe.rebuild = None
        accept = world.chain.accept

        def registering(raw: bytes) -> None:
            accept(raw)
            self._registry.raws[self._registry.name(raw)] = raw

        world.chain.accept = registering  # type: ignore[method-assign]

    async def begin(self) -> None:
        """Keep the empty database, which a restore may bring back."""
        self._first = await snapshot(self.world)

    @property
    def state(self) -> World:
        """One of the states that the model may be in."""
        return self.candidates[0]

    def choices(self) -> list[Label]:
        """Return what may happen next outside the processes."""
        return [label for label, _ in environment.steps(self.engine, self.state) if label[0] in EVERYTHING]

    async def happen(self, label: Label) -> None:
        """Let something happen outside the processes, to the model and to the real world."""
        after = [
            reached
            for state in self.candidates
            for name, reached in environment.steps(self.engine, state)
            if name == label
        ]
        await getattr(self, f"_{label[0]}")(*label[1:])
        self.told.append(sentence(label))
        await self._agree(after)

    async def lead(self) -> None:
        """Let another process become the leader."""
        taken = [step for state in self.candidates if (step := leader.take_lease(self.engine, state))]
        place = self.state.leaders.index(None)
        self._processes[place] = Process(self.world, self.engine.config.depth, self._registry.name)
        self.told.append(sentence(("lead",)))
        # It takes the lease at the beginning of its first step.
        self.candidates = [reached for _, reached in taken]
        await self.run(place)

    async def die(self, place: int) -> None:
        """End a process where it stands."""
        process = self._processes[place]
        assert process is not None
        self.told.append(sentence(("crash", process.gate.phase)))
        await process.die()
        self._processes[place] = None
        await self._agree([put(state, place, None) for state in self.candidates])

    async def run(self, place: int, *, deaf: bool = False, signs: int = 99) -> None:
        """Let a process run to its next gate; `deaf`: no node hears it. Raises AssertionError if it did what the model does not."""
        process, chain, clock = self._processes[place], self.world.chain, self.world.clock
        assert process is not None
        clock.seconds += 100
        chain.head += self.blocks
        chain.fee = (1 + self.state.life) * GWEI
        process.gate.signs, chain.deaf = signs, deaf
        await process.run()
        chain.deaf = False
        after = [reached for state in self.candidates for reached in self._reachable(state, place)]
        self.told.append(f"Process {place} runs to {process.gate.phase}.")
        await self._agree(after)

    def _reachable(self, state: World, place: int) -> list[World]:
        """Return the states that the process can reach by its own steps, the state itself first."""
        seen, fresh = {state: None}, [state]
        for _ in range(_MOST_STEPS):
            reached = [
                after
                for world in fresh
                if (entry := world.leaders[place]) is not None
                for _, after in leader.process_steps(self.engine, world, place, entry)
            ]
            fresh = [after for after in dict.fromkeys(reached) if after not in seen]
            seen |= dict.fromkeys(fresh)
        return list(seen)

    async def _agree(self, candidates: list[World]) -> None:
        """Keep only the model states that match the real state. Raises AssertionError if no state matches."""
        phases = tuple(Phase.IDLE if process is None else process.gate.phase for process in self._processes)
        real = await abstract(self.world, self._registry, self._count, phases)
        self.candidates = [
            state
            for state in dict.fromkeys(map(_without_losers, candidates))
            if observed(state) == real and all(bytes_ in self._registry.raws for bytes_ in state.wild)
        ]
        if not self.candidates:
            nearest = "\n".join(f"model: {observed(state)}" for state in candidates[:6])
            raise AssertionError("\n".join([*self.told, f"real:  {real}", nearest]))
        for place, entry in enumerate(self.state.leaders):
            if entry is None:
                self._processes[place] = None

    async def settle(self) -> None:
        """Let persons, nodes and blocks do their work until every operation is paid. Raises AssertionError if that does not happen.

        One that failed on the chain and was found there after a restore stays held, because its reference is spent: persons make it good.
        """
        for _ in range(_MOST_ROUNDS):
            held = [entry for entry in self.state.database.operations if entry and entry.wait is Wait.REFERENCE_SPENT]
            if held or is_settled(self.engine, self.state):
                return
            for label in self.choices():
                if label[0] in _USUAL and label in self.choices():
                    await self.happen(label)
            places = [place for place, entry in enumerate(self.state.leaders) if entry is not None]
            for place in places:
                if self.state.leaders[place] is not None:
                    await self.run(place)
            if leader.take_lease(self.engine, self.state) is not None and not places:
                await self.lead()
        raise AssertionError("\n".join([*self.told, "not every operation was paid", str(observed(self.state))]))

    async def end(self) -> None:
        """End all processes."""
        for place, process in enumerate(self._processes):
            if process is not None:
                await process.die()
            self._processes[place] = None

    async def _owe(self, index: int) -> None:
        self.world.clock.seconds += 1
        await self.world.owe(session(index), to=_recipient(index))

    async def _mine(self, bytes_: Bytes) -> None:
        chain, raw = self.world.chain, self._registry.raws[bytes_]
        chain.pending.pop(bytes_.nonce, None)
        chain.accept(raw)
        chain.mine(1)
        newest = max(chain.mined.values(), key=lambda mined: mined.tx.nonce)
        self._registry.branches[newest.block.hash] = self.state.branch

    async def _mine_failed(self, bytes_: Bytes) -> None:
        self.world.chain.reverts = True
        await self._mine(bytes_)
        self.world.chain.reverts = False

    async def _mine_refused(self, bytes_: Bytes, index: int) -> None:
        self.world.chain.refused.add(_recipient(index))
        await self._mine(bytes_)
        self.world.chain.refused.clear()

    async def _stranger(self, nonce: int) -> None:
        intent = TransferIntent(CHAIN_ID, WALLET, nonce, TOKEN, BUYER, MUSD, None, 80_000, GWEI, 0)
        raw = (await KeySigner().sign(intent)).raw
        self._registry.raws[self._registry.name(raw)] = raw
        await self._mine(Bytes(nonce, STRANGER, 0))

    async def _reorg(self, nonce: int) -> None:
        chain = self.world.chain
        last = next(mined for mined in chain.mined.values() if mined.tx.nonce == nonce)
        chain.unmine(last.tx.hash)
        chain.pending.clear()

    async def _forget(self) -> None:
        self.world.chain.pending.clear()

    async def _repeat(self, bytes_: Bytes) -> None:
        self.world.chain.accept(self._registry.raws[bytes_])

    async def _retry(self, index: int) -> None:
        payout = await self.world.payout(session(index))
        for person in ("anna", "bert"):
            async with self.world.database.write() as conn:
                actor, now = Actor(f"key_{person}", person), self.world.clock.now()
                await approvals.retry(conn, payout.id, actor, wallet=WALLET, now=now)

    async def _resolve(self, nonce: int) -> None:
        async with self.world.database.write() as conn:
            rows = await unmatched.list_open(conn, HOT_WALLET)
            entry = next(row for row in rows if row.nonce == nonce)
            await unmatched.resolve(conn, entry.id, by="key_anna", note="a test", now=self.world.clock.now())

    async def _back_up(self) -> None:
        self._backup = await snapshot(self.world)

    async def _restore(self, _: object) -> None:
        await self._go_back(self._processes)
        if Guard.EMPTY_TRANSFERS in self.engine.config.guards:
            await self._declare_restore()

    async def _declare_restore(self) -> None:
        world, depth = self.world, self.engine.config.depth
        async with world.database.write() as conn:
            await restores_service.declare(
                conn,
                HOT_WALLET,
                Source.DECLARED,
                depth=depth,
                by="key_anna",
                note="a test",
                now=world.clock.now(),
                ids=world.ids,
            )

    async def _failover(self, _: object) -> None:
        outlived = Feature.OUTLIVED in self.engine.config.features
        inside = [entry for entry in self._processes if entry and entry.gate.phase is not Phase.IDLE]
        await self._go_back([] if outlived else inside)

    async def _go_back(self, dying: Sequence[Process | None]) -> None:
        for place, process in enumerate(self._processes):
            if process is not None and process in dying:
                await process.die()
                self._processes[place] = None
        await restore(self.world, self._backup or self._first)


def _recipient(index: int) -> str:
    """Return the buyer of an operation; a batch pays each recipient once."""
    return to_checksum("0x" + f"{0xB0B + index:040x}")


def _without_losers(world: World) -> World:
    """Return the state without idle processes that lost the lease, which is all that they would notice in their next step."""
    kept = [
        None if entry and entry.phase is Phase.IDLE and entry.lease != world.database.lease else entry
        for entry in world.leaders
    ]
    return world._replace(leaders=(kept[0], kept[1]))
