"""The dashboard of the processes."""

from typing import Final

from deploy.monitoring.panels import RATE, Board, Panel

SERVICE: Final = Board(
    "service",
    "Onramp: service",
    "Do the processes work, and what do they wait for?",
    (
        Panel(
            "Build",
            "short",
            "Which versions run, configured for what?",
            (
                (
                    "sum by (version, revision, mode, chain_id, environment) (onramp_build_info)",
                    "{{version}} {{revision}} {{mode}} {{chain_id}} {{environment}}",
                ),
            ),
            "stat",
        ),
        Panel(
            "Missing or stalled workers",
            "short",
            "Which worker runs in no process, or does not end a step?",
            (
                ("max by (worker) (onramp_worker_missing)", "missing: {{worker}}"),
                ("max by (worker) (onramp_worker_stalled)", "stalled: {{worker}}"),
            ),
            "states",
        ),
        Panel(
            "Stripe's circuit",
            "short",
            "Are calls refused without asking, because Stripe does not answer?",
            (("max(onramp_stripe_circuit_open)", "open"),),
            "states",
        ),
        Panel(
            "Requests",
            "reqps",
            "Which routes are called?",
            ((f"sum by (route) (rate(onramp_http_requests_total[{RATE}]))", "{{route}}"),),
        ),
        Panel(
            "Errors of the service",
            "reqps",
            "Which routes answer 5xx?",
            (
                (
                    f'sum by (route, status) (rate(onramp_http_requests_total{{status=~"5.."}}[{RATE}]))',
                    "{{route}} {{status}}",
                ),
            ),
        ),
        Panel(
            "Time to answer, p99",
            "s",
            "How slow is each route?",
            (
                (
                    f"histogram_quantile(0.99, sum by (le, route) (rate(onramp_http_request_duration_seconds_bucket[{RATE}])))",
                    "{{route}}",
                ),
            ),
        ),
        Panel(
            "Calls to Stripe",
            "reqps",
            "What came of calls to Stripe, and how many did it refuse by 429?",
            (
                (f"sum by (call, outcome) (rate(onramp_stripe_calls_total[{RATE}])) > 0", "{{call}} {{outcome}}"),
                (f"sum(rate(onramp_stripe_rate_limited_total[{RATE}]))", "429"),
            ),
        ),
        Panel(
            "Time of a call to Stripe, p95",
            "s",
            "How slow is Stripe?",
            (
                (
                    f"histogram_quantile(0.95, sum by (le, call) (rate(onramp_stripe_call_duration_seconds_bucket[{RATE}])))",
                    "{{call}}",
                ),
            ),
        ),
        Panel(
            "Steps of workers",
            "ops",
            "How often does each worker take a step, and how many fail?",
            (
                (f"sum by (worker) (rate(onramp_worker_steps_total[{RATE}]))", "{{worker}}"),
                (
                    f'sum by (worker) (rate(onramp_worker_steps_total{{outcome="error"}}[{RATE}])) > 0',
                    "failed: {{worker}}",
                ),
            ),
        ),
        Panel(
            "Since the last good step",
            "s",
            "Which worker has not succeeded for long?",
            (("time() - max by (worker) (onramp_worker_last_success_timestamp_seconds)", "{{worker}}"),),
        ),
        Panel(
            "Backlog",
            "short",
            "How many rows are due, and how many were given up?",
            (
                ("max by (worker) (onramp_worker_backlog)", "{{worker}}"),
                ("max by (worker) (onramp_worker_parked) > 0", "given up: {{worker}}"),
            ),
        ),
        Panel(
            "Age of the backlog",
            "s",
            "For how long has the oldest row been due?",
            (("max by (worker) (onramp_worker_backlog_age_seconds)", "{{worker}}"),),
        ),
        Panel(
            "Event-loop lag",
            "s",
            "By how much is each process late in what it does?",
            (("max by (instance) (onramp_process_lag_seconds)", "{{instance}}"),),
        ),
        Panel(
            "Database connections",
            "short",
            "How many connections does each process use, and how many are kept?",
            (
                ("sum by (instance, state) (onramp_database_pool_connections)", "{{instance}} {{state}}"),
                ("sum by (instance) (onramp_database_pool_size)", "{{instance}} size"),
            ),
        ),
        Panel(
            "Replica lag",
            "s",
            "How far is the read replica behind? No data without a replica.",
            (("max(onramp_replica_lag_seconds)", "behind"),),
        ),
        Panel(
            "Audit trail",
            "short",
            "Does the trail grow?",
            (
                ("max(onramp_audit_head_number)", "newest link"),
                ("sum(increase(onramp_audit_sealed_total[1h]))", "links in an hour"),
            ),
        ),
        Panel(
            "Sanctions list",
            "s",
            "How old is the list? No data without a list.",
            (("max(onramp_screening_list_age_seconds)", "age"),),
        ),
        Panel(
            "Keys and limits",
            "short",
            "New or unconfirmed keys that move money, requests that were refused by a rate limit, and those counted in memory, in an hour.",
            (
                ("sum by (alarm) (increase(onramp_key_alarms_total[1h]))", "key {{alarm}}"),
                ("sum(increase(onramp_rate_limit_fallbacks_total[1h]))", "counted in memory"),
                ("sum(increase(onramp_rate_limited_total[1h]))", "limited"),
            ),
        ),
        Panel(
            "Outgoing webhooks",
            "short",
            "What came of attempts in an hour, and to how many endpoints is nothing sent?",
            (
                ("sum by (outcome) (increase(onramp_hook_attempts_total[1h]))", "{{outcome}}"),
                ("max(onramp_hook_endpoints_disabled)", "endpoints disabled"),
            ),
        ),
        Panel(
            "Oldest undelivered webhook",
            "s",
            "For how long has an enabled endpoint not accepted a message?",
            (("max(onramp_hook_oldest_undelivered_seconds)", "oldest"),),
        ),
    ),
)
