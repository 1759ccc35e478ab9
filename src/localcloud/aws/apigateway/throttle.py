"""Throttling of methods: a token bucket per method of a stage.

Source: API Gateway developer guide, "Throttle requests to your REST APIs" (limits hold per method of a stage; the burst
is the bucket's size).
"""

import threading
from datetime import datetime

from localcloud.aws.apigateway.model import MethodSetting


class Buckets:
    """All buckets; threads may share it. A bucket starts full and is filled anew when its limits change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, ...], tuple[MethodSetting, float, datetime]] = {}

    def take(self, key: tuple[str, ...], setting: MethodSetting, *, now: datetime) -> bool:
        """Take one token; False if there is none."""
        with self._lock:
            known, tokens, at = self._buckets.get(key, (setting, float(setting.burst), now))
            if (known.rate, known.burst) != (setting.rate, setting.burst):
                tokens = float(setting.burst)
            tokens = min(float(setting.burst), tokens + max(0.0, (now - at).total_seconds()) * setting.rate)
            allowed = tokens >= 1
            self._buckets[key] = (setting, tokens - 1 if allowed else tokens, max(now, at))
            return allowed
