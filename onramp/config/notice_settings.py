"""The settings of notifications for operators."""

import importlib.util
from collections.abc import Sequence

from pydantic import BaseModel, Field, SecretStr

from kit.notices.targets import Target, missing_parts, parse_targets
from onramp.config import fields


class NoticeSettings(BaseModel):
    """The variables of notifications. A part of `Settings`."""

    NOTICE_URLS: fields.NoticeUrls = Field(
        default=SecretStr(""),
        description="Where notifications of alarms go, comma-separated: `slack:https://hooks.slack.com/services/...`,"
        " `discord:https://discord.com/api/webhooks/...`, `pagerduty:ROUTING_KEY`, `mailto:ops@shop.example`,"
        " `https://host/path?secret=whsec_...` (signed JSON), or a URL of apprise. Options follow as a query, such as `?severity=page`: see"
        " [Notifications](monitoring.md#notifications). If empty, none are sent.",
    )
    NOTICE_RUNBOOK_URL: fields.OptionalUrl = Field(
        default="",
        description="Where your operators read the runbook; notifications link to its sections. If empty, they name `docs/runbook.md`.",
    )
    HEARTBEAT_URL: fields.SecretUrl = Field(
        default=SecretStr(""),
        description="A URL that the worker `notices` calls by GET each minute while every worker runs and the database takes their heartbeats,"
        " so that a monitor elsewhere notices when the service is gone.",
    )

    @property
    def notice_targets(self) -> Sequence[Target]:
        """The targets of NOTICE_URLS."""
        return parse_targets(self.NOTICE_URLS.get_secret_value())

    def notice_problems(self, *, can_mail: bool, is_production: bool) -> list[str]:
        """Return a sentence for each reason why notifications cannot be sent as configured."""
        targets = self.notice_targets
        has_apprise = importlib.util.find_spec("apprise") is not None
        problems = missing_parts(targets, can_mail=can_mail, has_apprise=has_apprise)
        if is_production:
            plain = [target.name for target in targets if target.url.startswith("http://")]
            problems += [f"NOTICE_URLS: {name} must begin with https:// in production" for name in plain]
        return problems
