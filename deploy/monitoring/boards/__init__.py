"""The four dashboards. To add a panel, add it to its dashboard and run `make docs`; a test names every metric that has no panel."""

from typing import Final

from deploy.monitoring.boards.nodes import NODES
from deploy.monitoring.boards.purchases import PURCHASES
from deploy.monitoring.boards.service import SERVICE
from deploy.monitoring.boards.treasury import TREASURY

BOARDS: Final = (PURCHASES, TREASURY, NODES, SERVICE)
