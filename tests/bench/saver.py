"""The way in which several comparable services send: broadcast, then save. It runs in its own process and kills itself at a step.

It claims a row, signs, sends, and only then stores what it sent; after a crash it begins with the rows that are not stored as sent.
A missing response is an error, and the row is tried again.
"""

import json
import os
import signal
import sqlite3
import sys
import time
from contextlib import suppress
from typing import Any

from eth_account import Account
from requests.exceptions import RequestException
from web3 import HTTPProvider, Web3

from chain.abi.erc20 import encode_transfer
from chain.types import to_checksum
from tests.support.hot_wallet import CHAIN_ID, TOKEN


def main() -> None:
    """Send until every row is done."""
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    web3, key = Web3(HTTPProvider(arguments["rpc"])), Account.from_key(arguments["key"])
    rows = sqlite3.connect(arguments["database"], isolation_level=None)

    def step(name: str) -> None:
        if name == arguments["at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def pay(row: int, to: str, amount: str) -> None:
        step("claimed")
        fields = {
            "type": 2, "chainId": CHAIN_ID, "nonce": web3.eth.get_transaction_count(key.address, "pending"), "to": to_checksum(TOKEN),
            "value": 0, "gas": 80_000, "data": "0x" + encode_transfer(to, int(amount)).hex(),
            "maxFeePerGas": web3.eth.gas_price * 2, "maxPriorityFeePerGas": 1,
        }  # fmt: skip
        step("nonce_taken")
        signed = key.sign_transaction(fields)
        step("signed")
        sent = web3.eth.send_raw_transaction(signed.raw_transaction)
        step("broadcast")
        rows.execute("UPDATE payouts SET hash = ?, status = 'sent' WHERE id = ?", (sent.to_0x_hex(), row))
        step("stored")

    while True:
        row = rows.execute("SELECT id, recipient, amount, hash, status FROM payouts WHERE status <> 'done'").fetchone()
        if row is None:
            return
        if row[4] == "queued":
            with suppress(RequestException):
                pay(*row[:3])
            continue
        with suppress(Exception):
            web3.eth.wait_for_transaction_receipt(row[3], timeout=5)
            step("mined")
            rows.execute("UPDATE payouts SET status = 'done' WHERE id = ?", (row[0],))
            step("final")
        time.sleep(0.05)


main()
