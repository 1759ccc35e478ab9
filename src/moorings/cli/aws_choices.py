"""What AWS options are completed with: the Regions and profiles known on this computer. No SDK is loaded."""

import configparser
import json
from importlib.util import find_spec
from pathlib import Path

from moorings.settings import aws_files


def regions(incomplete: str) -> list[str]:
    """AWS Regions, as the installed SDK knows them, read without loading it."""
    spec = find_spec("botocore")
    place = Path(spec.origin).parent / "data" / "partitions.json" if spec and spec.origin else None
    if place is None or not place.is_file():
        return []
    partitions = json.loads(place.read_text(encoding="utf-8"))["partitions"]
    names = [name for each in partitions for name in each["regions"] if not name.endswith("-global")]
    return [name for name in names if name.startswith(incomplete)]


def profiles(incomplete: str) -> list[str]:
    """AWS profiles that are configured on this computer."""
    found: dict[str, None] = {}
    for file in aws_files():
        parser = configparser.RawConfigParser(strict=False)
        parser.read(file, encoding="utf-8")
        found |= dict.fromkeys(section.removeprefix("profile ").strip() for section in parser.sections())
    other = ("sso-session ", "services ")
    return [name for name in found if name.startswith(incomplete) and not name.startswith(other)]
