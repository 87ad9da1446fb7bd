"""The callers file is read strictly: what is wrong is named with the file, the entry and what to do."""

import hashlib
from pathlib import Path

import pytest

from payments_service.errors import ConfigurationError, UnauthenticatedError
from payments_service.rpc.callers import AnyCaller, Credentials, KnownCallers, open_callers
from payments_service.rpc.callers_file import CallersFile, parse_callers_file
from payments_service.scope import EVERYTHING, Caller, Scope

PATH = Path("/etc/payments/callers.toml")
A, B, C = (hashlib.sha256(token.encode()).hexdigest() for token in "abc")
CALLER = f"""
[[callers]]
name = "course-service"
token_sha256 = ["{A}", "{B}"]
role = "caller"
organizations = ["org_1"]
purchase_types = ["course"]
"""
OPERATOR = f"""
[[callers]]
name = "console"
token_sha256 = ["{C}"]
role = "operator"
organizations = ["*"]
purchase_types = ["*"]
"""
ORGANIZATION = """
[[organizations]]
id = "org_7"
stripe_account = "acct_1"
"""


def parsed(text: str) -> CallersFile:
    return parse_callers_file(text.encode(), PATH)


def test_a_good_file_gives_each_caller_its_scope() -> None:
    file = parsed(CALLER + OPERATOR + ORGANIZATION)

    course, console = file.callers
    assert (course.name, course.operator, len(course.token_digests)) == ("course-service", False, 2)
    assert course.scope == Scope(frozenset({"org_1"}), frozenset({"course"}))
    assert (console.operator, console.scope) == (True, EVERYTHING)
    assert file.stripe_accounts == {"org_7": "acct_1"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no caller: add a"),
        ("[[callers]", "is not TOML"),
        ("\xff", "is not TOML"),
        ("callers = 1", "write [[callers]] above each entry"),
        (CALLER + "[other]\n", "'other' is no key that is known here: it takes callers, organizations"),
        (CALLER + "admin = true", "callers[0] ('course-service'): 'admin' is no key"),
        (CALLER.replace('name = "course-service"', ""), "callers[0]: name is missing"),
        (CALLER.replace('"course-service"', "7"), "callers[0]: name is missing or no text"),
        (CALLER.replace('"course-service"', '" "'), "name is missing or no text"),
        (CALLER.replace('role = "caller"', ""), "role is missing"),
        (CALLER.replace('role = "caller"', 'role = "admin"'), 'role is \'admin\': write "caller" or "operator"'),
        (CALLER.replace(A, A[:-1]), "a token_sha256 is not the 64 hex digits"),
        (CALLER.replace(A, "z" * 64), "a token_sha256 is not the 64 hex digits"),
        (CALLER.replace(f'["{A}", "{B}"]', f'"{A}"'), "token_sha256 is missing or no list of texts"),
        (CALLER.replace('["org_1"]', "[]"), "organizations must name some"),
        (CALLER.replace('["org_1"]', '["*", "org_1"]'), 'organizations must name some, or be ["*"] alone'),
        (CALLER.replace('purchase_types = ["course"]', ""), "purchase_types is missing"),
        (CALLER + CALLER.replace(A, C).replace(B, "0" * 64), "two callers are named 'course-service'"),
        (CALLER + OPERATOR.replace(C, A), "'course-service' and 'console' share a token"),
        (CALLER.replace(B, A), "'course-service' and 'course-service' share a token"),
        (CALLER + ORGANIZATION + ORGANIZATION, "organizations[1]: the organization 'org_7' comes twice"),
        (CALLER + ORGANIZATION.replace("acct_1", "ca_1"), "organizations[0]: stripe_account is 'ca_1'"),
        (CALLER + ORGANIZATION + "x = 1", "organizations[0]: 'x' is no key that is known here: it takes id"),
    ],
)
def test_a_wrong_file_is_refused_with_what_to_do(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_callers_file(text.encode("latin-1"), PATH)

    assert caught.value.message.startswith(f"PAYMENTS_CALLERS_FILE: {PATH}")
    assert sentence in caught.value.message
    assert not {A, B, C} & set(caught.value.message.replace("'", " ").split())


def test_a_token_that_was_pasted_in_place_of_its_hash_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed(CALLER.replace(A, "my-secret-token"))

    assert "my-secret-token" not in caught.value.message


def test_a_caller_without_a_token_is_locked_out_and_no_mistake() -> None:
    assert parsed(CALLER.replace(f'["{A}", "{B}"]', "[]")).callers[0].token_digests == ()


def known(tmp_path: Path, text: str = CALLER + OPERATOR + ORGANIZATION) -> KnownCallers:
    path = tmp_path / "callers.toml"
    path.write_text(text)
    return KnownCallers(path)


def test_each_of_a_callers_tokens_stands_for_it(tmp_path: Path) -> None:
    callers = known(tmp_path)

    assert {callers.resolve(Credentials(f"Bearer {token}")).name for token in "ab"} == {"course-service"}
    assert callers.resolve(Credentials("bearer  c ")) == Caller("console", operator=True, scope=EVERYTHING)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Bearer d", "Basic a", "a", f"Bearer {A}"])
def test_anything_else_stands_for_nobody(tmp_path: Path, authorization: str) -> None:
    with pytest.raises(UnauthenticatedError):
        known(tmp_path).resolve(Credentials(authorization))


def test_an_organization_sells_by_its_account_or_by_ours(tmp_path: Path) -> None:
    callers = known(tmp_path)

    assert (callers.stripe_account("org_7"), callers.stripe_account("org_1")) == ("acct_1", "")


def test_credentials_do_not_show_their_token() -> None:
    assert "secret" not in repr(Credentials("Bearer secret"))


async def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing.toml cannot be read \(No such file"):
        async with open_callers(tmp_path / "missing.toml"):
            pass


async def test_without_a_file_there_is_one_anonymous_operator() -> None:
    async with open_callers(None) as callers:
        assert isinstance(callers, AnyCaller)
        assert callers.resolve(Credentials("Bearer x")) == Caller("anonymous", operator=True, scope=EVERYTHING)
