"""What a transaction brought, as enough nodes of its chain agree."""

from chain.node.config import parse_nodes
from chain.pool.pool import Pool
from chain.reads.arrivals import Arrived, Unseen, read_arrival
from tests.support.ethereum import CHAIN_ID, Ethereum
from tests.support.fake_node import FakeNode
from tests.support.service import SETTLEMENT

USDC = 10**6
DEEP = 4
STRANGER = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955"


async def test_one_wrong_node_of_three_neither_invents_nor_hides_a_transfer(ethereum: Ethereum) -> None:
    paid = await ethereum.pay(SETTLEMENT, 5 * USDC)
    correct = f"a={ethereum.anvil.url},b={ethereum.anvil.url}/?b"
    for amount in (0, 500 * USDC):
        receipt = await ethereum.receipt(paid)
        receipt["logs"][0]["data"] = "0x" + amount.to_bytes(32, "big").hex()
        wrong = FakeNode("liar")
        wrong.results |= {
            "eth_chainId": hex(CHAIN_ID),
            "eth_blockNumber": hex(10**6),
            "eth_getTransactionReceipt": receipt,
        }
        await wrong.start()
        pool = Pool([*parse_nodes(correct), wrong.config], chain_id=CHAIN_ID, agreement=2)
        arguments = {"token": ethereum.usdc, "recipients": [SETTLEMENT], "confirmations": DEEP}
        found = await read_arrival(pool, paid, **arguments)  # type: ignore[arg-type] # the cases differ in type
        assert isinstance(found, Arrived), found
        assert (found.amount, sorted(found.agreed_by)) == (5 * USDC, ["a", "b"])
        # Alone it decides nothing.
        alone = Pool([*parse_nodes("a=http://127.0.0.1:9"), wrong.config], chain_id=CHAIN_ID, agreement=2)
        assert isinstance(await read_arrival(alone, paid, **arguments), Unseen)  # type: ignore[arg-type] # as above
        await pool.close()
        await alone.close()
        await wrong.stop()


async def test_a_node_of_another_chain_is_not_believed(ethereum: Ethereum) -> None:
    paid = await ethereum.pay(SETTLEMENT, 5 * USDC)
    pool = Pool(parse_nodes(f"a={ethereum.anvil.url}"), chain_id=8453, agreement=1)
    found = await read_arrival(pool, paid, token=ethereum.usdc, recipients=[SETTLEMENT], confirmations=1)
    assert isinstance(found, Unseen)
    await pool.close()
