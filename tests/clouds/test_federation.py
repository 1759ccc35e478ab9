"""AWS's word for us: asked for by a call that an older SDK does not know, so the functions bring its description."""

import gzip
import json
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import pytest
from botocore.loaders import Loader
from botocore.stub import Stubber

from moorings.clouds.federation import DESCRIPTIONS, knowing, web_identity
from moorings.errors import Misconfigured

STS = "sts/2011-06-15/service-2.json"
BUILT_IN = Path(botocore.__file__).parent / "data"


def _installed() -> Any:
    return json.loads(gzip.decompress((BUILT_IN / f"{STS}.gz").read_bytes()))


@pytest.fixture
def old(tmp_path: Path) -> botocore.session.Session:
    """A session of an SDK from before the call was there."""
    model = _installed()
    del model["operations"]["GetWebIdentityToken"]
    (tmp_path / STS).parent.mkdir(parents=True)
    (tmp_path / STS).write_text(json.dumps(model))
    session = botocore.session.Session()
    paths = [str(tmp_path), str(BUILT_IN)]
    session.register_component("data_loader", Loader(extra_search_paths=paths, include_default_search_paths=False))
    return session


def _sts(session: botocore.session.Session) -> Any:
    return session.create_client("sts", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


def test_an_sdk_that_is_too_old_is_named_with_the_remedy(old: botocore.session.Session) -> None:
    ask = web_identity(_sts(old), audience="api://somebody")

    with pytest.raises(Misconfigured, match="does not know sts:GetWebIdentityToken") as refused:
        ask()

    assert "update boto3" in refused.value.remedy


def test_with_the_description_an_old_sdk_asks_as_a_new_one(old: botocore.session.Session) -> None:
    sts = _sts(knowing(knowing(old)))
    asked = {"Audience": ["api://somebody"], "SigningAlgorithm": "RS256", "DurationSeconds": 300}

    with Stubber(sts) as stub:
        stub.add_response("get_web_identity_token", {"WebIdentityToken": "signed"}, asked)
        assert web_identity(sts, audience="api://somebody")() == "signed"
    assert sts.meta.endpoint_url == "https://sts.eu-west-1.amazonaws.com"


def test_the_description_is_what_the_installed_sdk_has() -> None:
    ours, theirs = json.loads((DESCRIPTIONS / STS).read_text()), _installed()

    (operation,) = ours["operations"].values()
    assert operation == {key: theirs["operations"][operation["name"]][key] for key in operation}
    assert {**ours["metadata"], "auth": theirs["metadata"]["auth"]} == theirs["metadata"]
    for shape in (operation["input"], operation["output"], *operation["errors"]):
        assert _bare(ours, shape["shape"]).items() <= _bare(theirs, shape["shape"]).items()


def _bare(model: Any, name: str) -> dict[str, str]:
    """Every scalar of a shape and of what it holds, by its place; names of shapes and words for people left out."""
    found: dict[str, str] = {}

    def walk(value: Any, place: str) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                if key == "shape":
                    walk(model["shapes"][each], place)
                elif key not in {"documentation", "required"}:
                    walk(each, f"{place}/{key}")
        else:
            found[place] = repr(value)

    walk(model["shapes"][name], "")
    return found
