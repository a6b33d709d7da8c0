"""Points in time as docker prints them: "2 weeks ago", "2024-09-26 21:31:42 +0000 UTC"; and as filters take them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from pyrt.errors import UsageError

_FRACTION = re.compile(r"\.(\d+)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
NEVER = datetime(1, 1, 1, tzinfo=timezone.utc)  # Go's zero time, which docker shows for images without a date


def parse_time(text: str) -> datetime:
    """RFC 3339 with any number of digits for the fraction of a second; ``NEVER`` for what is no date."""
    plain = _FRACTION.sub(lambda match: "." + match.group(1)[:6].ljust(6, "0"), text.strip(), count=1)
    try:
        moment = datetime.fromisoformat(plain.replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        return NEVER
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def duration(seconds: float) -> str:
    """A span in words, docker's HumanDuration."""
    whole = int(seconds)
    minutes, hours, rounded_hours = whole // 60, whole // 3600, int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if rounded_hours < 48:
        return "About an hour" if rounded_hours == 1 else f"{rounded_hours} hours"
    days = hours // 24
    for limit, length, word in ((14, 1, "days"), (60, 7, "weeks"), (730, 30, "months")):
        if days < limit:
            return f"{days // length} {word}"
    return f"{days // 365} years"


def ago(moment: datetime, now: datetime) -> str:
    """``2 weeks ago``; "N/A" for an image without a date."""
    if moment == NEVER:
        return "N/A"
    return f"{duration(max(0.0, (now - moment).total_seconds()))} ago"


def go_time(moment: datetime) -> str:
    """Go's default layout, as docker's CreatedAt has it."""
    local = moment.astimezone(timezone.utc)
    return local.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").rjust(29, "0")


def parse_limit(text: str, now: datetime) -> datetime:
    """The moment that a filter ``until=`` or ``since=`` means: a span before now (``24h``, ``1h30m``), a Unix time in
    seconds, or a date by RFC 3339, also without the time or the zone. Raises UsageError."""
    if re.fullmatch(r"\d{1,11}(\.\d+)?", text, re.ASCII):
        return datetime.fromtimestamp(float(text), timezone.utc)
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        try:
            return now - timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
        except OverflowError as error:
            raise UsageError(f"{text!r} is too long a span") from error
    moment = parse_time(text)
    if moment == NEVER:
        raise UsageError(f"{text!r} is neither a span (24h) nor a date (2026-01-31T12:00:00Z)")
    return moment
