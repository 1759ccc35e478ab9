"""The values: what they show of themselves."""

from tests.enrolment.strategies import NOW, a_pool

from moorings.enrolment.api import Answer
from moorings.enrolment.model import Ask, NewActivation, Source, Vended, grant_of_lease, key_hash, single_use_lease

SECRET = "Zm9vYmFyYmF6cXV4"


def test_no_value_shows_its_secret() -> None:
    values = [
        NewActivation(id="a", code=SECRET, expires_at=NOW),
        Vended(activation_id="a", code=SECRET, pool=a_pool(), expires_at=NOW, repeated=False),
        Ask(source=Source(vpce_id="vpce-1", ip="10.0.0.5"), key=SECRET),
        Answer(status=200, body=f'{{"ActivationCode": "{SECRET}"}}'),
    ]

    for value in values:
        for shown in (repr(value), str(value), f"{value}", repr([value]), repr({"x": value})):
            assert SECRET not in shown


def test_a_key_is_kept_as_a_hash_alone() -> None:
    assert key_hash("a") != key_hash("b")
    assert len(key_hash("a")) == 40
    assert SECRET not in key_hash(SECRET)


def test_a_single_use_lease_names_its_grant() -> None:
    assert grant_of_lease(single_use_lease("abc", "nonce")) == "abc"
    assert grant_of_lease("5a0c7e9e-8a44-4d0b-8f4b-0d6f7f1f2c11") == ""
