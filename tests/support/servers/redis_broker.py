"""A broker over a real Redis, which is the truth then, as the server has it."""

from __future__ import annotations

from typing import Any

from fantail.broker import Broker
from fantail.broker.sources.redis.ledger import RedisLedger
from fantail.broker.sources.redis.tailer import RedisTailer


def redis_broker(url: str, **settings: Any) -> Broker:
    """One that is not running yet; `settings` are the broker's own."""
    return Broker(lambda broker: RedisTailer(broker, url), lambda broker: RedisLedger(broker, url), **settings)
