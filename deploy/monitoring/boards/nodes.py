"""The dashboard of the nodes and their credits."""

from typing import Final

from deploy.monitoring.panels import RATE, Board, Panel

NODES: Final = Board(
    "nodes",
    "Onramp: nodes and credits",
    "Do the nodes answer, do they agree, and how long do their credits last?",
    (
        Panel(
            "Usable nodes",
            "short",
            "Which nodes may be used?",
            (("max by (node) (chain_node_up)", "{{node}}"),),
            "states",
        ),
        Panel(
            "Set aside",
            "short",
            "Whose vote does not count, because it contradicted the others?",
            (("max by (node) (chain_node_set_aside)", "{{node}}"),),
            "states",
        ),
        Panel(
            "Chain paused",
            "short",
            "Does the chain produce no blocks, or refuse transactions?",
            (("max(chain_paused)", "paused"),),
            "states",
        ),
        Panel(
            "Newest block",
            "short",
            "Which block does each node know?",
            (("max by (node) (chain_node_head_block)", "{{node}}"),),
        ),
        Panel(
            "Blocks behind",
            "short",
            "How far is each node behind the best one?",
            (
                ("max by (node) (chain_node_lag_blocks)", "{{node}}"),
                ("max(onramp_delivery_unread_blocks)", "unread by deliveries"),
            ),
        ),
        Panel(
            "Contradictions",
            "short",
            "Whose answers contradicted the agreed one in a quarter of an hour?",
            (("sum by (node) (increase(chain_node_dissents_total[15m]))", "{{node}}"),),
        ),
        Panel(
            "Requests",
            "reqps",
            "How many calls does each node get?",
            ((f"sum by (node) (rate(chain_rpc_requests_total[{RATE}]))", "{{node}}"),),
        ),
        Panel(
            "Errors",
            "reqps",
            "Which calls fail, and how?",
            ((f"sum by (node, kind) (rate(chain_rpc_errors_total[{RATE}]))", "{{node}} {{kind}}"),),
        ),
        Panel(
            "Time of a call, p95",
            "s",
            "How slow is each node?",
            (
                (
                    f"histogram_quantile(0.95, sum by (le, node) (rate(chain_rpc_duration_seconds_bucket[{RATE}])))",
                    "{{node}}",
                ),
            ),
        ),
        Panel(
            "Calls by method",
            "reqps",
            "What are nodes asked for?",
            ((f"sum by (method) (rate(chain_rpc_requests_total[{RATE}]))", "{{method}}"),),
        ),
        Panel(
            "Credits this month",
            "short",
            "How many credits were used, and how many are left of a limit?",
            (
                ("max by (node) (chain_node_credits_used)", "{{node}} used"),
                ("max by (node) (chain_node_credits_left)", "{{node}} left"),
            ),
        ),
        Panel(
            "Credits last for",
            "s",
            "At the pace of six hours, how long do the credits last?",
            (
                (
                    "min by (node) (chain_node_credits_left) / (sum by (node) (rate(chain_rpc_credits_total[6h])) > 0)",
                    "{{node}}",
                ),
            ),
        ),
    ),
)
