"""Settlements: USDC that arrived, as its own chain proves or two persons claim; two persons reverse one."""
