"""`farmgate gov` and `farmgate validator`: ballots from the command line, and what is refused before them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.exit_code import ExitCode
from contracts.governance.changes import SetWeight
from contracts.governance.voting import Propose, Vote
from ledger.crypto import key_pair
from ledger.types import ChainId
from node.registration import validator_registration, write_registration
from node.service import PeerStatus
from tests.cli.shell import Said, Site, serving, shell
from tests.contracts.chain import DAY_MS, key_of
from tests.contracts.staking.stage import make_stage, voter
from tests.node.api.fakes import FakeNode

OTHERS = ("packer", "carrier", "center")  # with the farm, four of five seats


@pytest.fixture
def council(tmp_path: Path) -> Iterator[Site]:
    """A node with four validators of 100, connected to all; node-14 of the shop is connected too."""
    node = FakeNode(make_stage().genesis)
    node.signers = (0, 1, 2, 3)
    with serving(tmp_path / "site-home", node) as site:
        connect(site, 1, 2, 3, 14)
        yield site


def connect(site: Site, *numbers: int) -> None:
    """Let the node be connected to these and to no others."""
    site.node.peers = tuple(
        PeerStatus(f"node-{number}", "validator", key_of(f"node-{number}").public, True, "")
        for number in numbers
    )


def act(site: Site, organisation: str, *words: str) -> Said:
    """A command of an organisation's admin, without questions, its answer as JSON."""
    profile = site.profile(organisation, f"{organisation}/admin")
    return shell("--profile", profile, "--yes", "--json", *words)


def read(site: Site, *words: str) -> str:
    """What a person reads."""
    said = shell("--node", site.url, *words)
    assert said.code == ExitCode.OK, said.err
    return said.out


def carry(site: Site, number: int) -> dict[str, Any]:
    """Let the other organisations say yes; the ballot as the last one was told."""
    said = None
    for organisation in OTHERS:
        said = act(site, organisation, "gov", "vote", str(number), "yes")
        assert said.code == ExitCode.OK, said.err
    assert said is not None
    found: dict[str, Any] = said.json["ballot"]
    return found


def request_of(site: Site, tmp_path: Path, number: int = 14, organisation: str = "shop") -> str:
    """validator.json of the spare node."""
    chain = ChainId(site.node.chain_id)
    path = tmp_path / "validator.json"
    asked = validator_registration(
        voter(number), node=f"node-{number}", organisation=organisation, chain_id=chain
    )
    write_registration(path, asked)
    return str(path)


# --- ballots ---------------------------------------------------------------


def test_a_proposal_is_voted_on_and_carried(council: Site) -> None:
    """The id is told before it is sent, the ballot's number afterwards; the deciding vote ends it."""
    said = act(council, "farm", "gov", "propose", "grant", "shop", "7", "--reason", "a second line")
    assert said.code == ExitCode.OK, said.err
    assert said.err.index("transaction ") < said.err.index("farmgate gov vote 1 yes")
    ballot = said.json["ballot"]
    assert (ballot["number"], ballot["status"], ballot["yes"]) == (1, "open", ["farm"])
    assert (ballot["reason"], said.json["status"]) == ("a second line", "accepted")
    assert carry(council, 1)["status"] == "enacted"
    assert "enacted" in read(council, "gov", "list")
    assert shell("--node", council.url, "gov", "list", "--open", "--json").json == {"ballots": []}
    shown = read(council, "gov", "show", "1")
    assert "grant shop 7 units" in shown
    assert "farm, packer, carrier, center" in shown


def test_a_person_reads_where_a_ballot_stands(council: Site) -> None:
    """Votes, what is missing, until when, in words."""
    profile = council.profile("farm", "farm/admin")
    said = shell("--profile", profile, "--yes", "gov", "propose", "add-seat", "nobody")
    assert said.code == ExitCode.NOT_FOUND
    said = shell("--profile", profile, "--yes", "gov", "propose", "remove-seat", "shop", "--days", "2")
    assert "ballot 1 is open: 1 yes, 0 no of 5 seats, 4 carry it" in said.out
    shown = read(council, "gov", "show", "1")
    assert "take the seat of shop" in shown
    assert "3 yes" in shown
    assert "2026-01-03 00:00Z" in shown
    assert carry(council, 1)["status"] == "enacted"
    assert "4 of 5 carry a ballot" in shell("--node", council.url, "gov", "seats").err
    seats = shell("--node", council.url, "gov", "seats", "--json").json
    assert seats["next"] == ["carrier", "center", "farm", "packer"]


def test_votes_are_for_ever_and_of_seats(council: Site) -> None:
    """A second vote is exit code 5, a ballot that is not there 3, a key without the role 4."""
    act(council, "farm", "gov", "propose", "grant", "shop", "7")
    again = act(council, "farm", "gov", "vote", "1", "no")
    assert (again.code, again.error["code"]) == (ExitCode.REJECTED, "ballot.voted")
    assert act(council, "farm", "gov", "vote", "9", "no").code == ExitCode.NOT_FOUND
    operator = council.profile("packer", "packer/operator")
    said = shell("--profile", operator, "--yes", "--json", "gov", "vote", "1", "yes")
    assert (said.code, said.error["code"]) == (ExitCode.NOT_ALLOWED, "sender.role")


def test_a_ballot_is_retracted_by_its_proposer(council: Site) -> None:
    """Nobody else's is."""
    act(council, "farm", "gov", "propose", "grant", "shop", "7")
    other = act(council, "packer", "gov", "retract", "1")
    assert (other.code, other.error["code"]) == (ExitCode.REJECTED, "ballot.not_yours")
    assert act(council, "farm", "gov", "retract", "1").code == ExitCode.OK
    assert "retracted" in read(council, "gov", "list")


def test_parameters_are_proposed_by_name(council: Site) -> None:
    """What will change is shown beside what is in force; an impossible value is refused before a ballot."""
    for bad in ("staking.jail_epochs", "staking.jail_epochs=x", "staking.jail_epochs=-1", "=3"):
        said = act(council, "farm", "gov", "propose", "parameters", bad)
        assert said.code in (ExitCode.USAGE, ExitCode.REJECTED), bad
    stuck = act(council, "farm", "gov", "propose", "parameters", "quota_units_per_window=1")
    assert (stuck.code, stuck.error["code"]) == (ExitCode.REJECTED, "parameters.limit")
    opened = act(
        council, "farm", "gov", "propose", "parameters", "staking.jail_epochs=9", "block_transactions_max=50"
    )
    assert opened.code == ExitCode.OK, opened.err
    carry(council, opened.json["ballot"]["number"])
    line = next(
        line for line in read(council, "gov", "parameters").splitlines() if "staking.jail_epochs" in line
    )
    assert line.split() == ["staking.jail_epochs", "3", "9"]


def test_a_dry_run_sends_nothing(council: Site) -> None:
    """It shows the call; the node has nothing pending and no ballot."""
    said = act(council, "farm", "gov", "propose", "grant", "shop", "7", "--dry-run")
    assert said.code == ExitCode.OK
    assert said.json["arguments"]["change"] == {"type": "grant_units", "organisation": "shop", "units": 7}
    assert "nothing was sent" in said.err
    assert read(council, "gov", "list").startswith("no ballots")


def test_nobody_is_asked_without_a_terminal(council: Site) -> None:
    """A vote for ever needs a yes."""
    profile = council.profile("farm", "farm/admin")
    said = shell("--profile", profile, "--json", "gov", "propose", "grant", "shop", "7")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "usage.not_confirmed")


# --- validators ---------------------------------------------------------------


def test_validators_are_listed_and_shown(council: Site) -> None:
    """By node, by key, by the beginning of a key."""
    listed = read(council, "validator", "list")
    assert "25.0 %" in listed
    key = voter(2).public.hex()
    for name in ("node-2", key, key[:10]):
        shown = read(council, "validator", "show", name)
        assert "carrier" in shown
        assert key in shown
    missing = shell("--node", council.url, "validator", "show", "node-99", "--json")
    assert (missing.code, missing.error["code"]) == (ExitCode.NOT_FOUND, "validator.unknown")


def test_a_validator_is_added_weighted_and_removed(council: Site, tmp_path: Path) -> None:
    """Each by a ballot; what the set will be is told in words before it is sent."""
    request = request_of(council, tmp_path)
    said = act(council, "farm", "validator", "add", request, "--units", "100")
    assert said.code == ExitCode.OK, said.err
    assert "now       4 validators with 400 units, a quorum is 267; any 1 may fail" in said.err
    assert "turn 1    5 validators with 500 units, a quorum is 334; any 1 may fail" in said.err
    assert carry(council, 1)["change"]["type"] == "admit_validator"
    listed = shell("--node", council.url, "validator", "list", "--json").json
    (joining,) = listed["others"]
    assert (joining["node"], joining["standing"]["status"]) == ("node-14", "joining")
    weighed = act(council, "farm", "validator", "weight", "node-14", "50")
    assert weighed.code == ExitCode.OK, weighed.err
    carry(council, 2)
    removed = act(council, "farm", "validator", "remove", "node-14")
    assert removed.code == ExitCode.OK, removed.err
    assert carry(council, 3)["status"] == "enacted"


def test_a_removal_that_would_stop_the_chain_is_refused(council: Site) -> None:
    """node-2 is down: without node-3 there is no quorum. Exit code 5, and --force goes on."""
    connect(council, 1, 3)
    said = act(council, "farm", "validator", "remove", "node-3")
    assert (said.code, said.error["code"]) == (ExitCode.REJECTED, "outlook.no_quorum")
    assert "not known to be up: node-2" in said.error["message"]
    assert "--force" in said.error["try"]
    assert read(council, "gov", "list").startswith("no ballots")
    forced = act(council, "farm", "validator", "remove", "node-3", "--force")
    assert forced.code == ExitCode.OK, forced.err
    assert "warning: " in forced.err


def test_a_yes_that_would_stop_the_chain_is_refused(council: Site) -> None:
    """What was harmless when it was proposed is looked at again by each who votes."""
    act(council, "farm", "validator", "remove", "node-3")
    connect(council, 1, 3)
    said = act(council, "packer", "gov", "vote", "1", "yes")
    assert (said.code, said.error["code"]) == (ExitCode.REJECTED, "outlook.no_quorum")
    assert act(council, "packer", "gov", "vote", "1", "no").code == ExitCode.OK
    assert act(council, "carrier", "gov", "vote", "1", "yes", "--force").code == ExitCode.OK


def test_one_organisation_with_more_than_a_third_is_refused(council: Site) -> None:
    """More than a third where none held it before; with --force it is a warning."""
    said = act(council, "farm", "validator", "weight", "node-0", "300")
    assert (said.code, said.error["code"]) == (ExitCode.REJECTED, "outlook.one_third")
    assert "farm alone would hold" in said.error["message"]


def test_a_preview_answers_what_the_quorum_will_be(council: Site, tmp_path: Path) -> None:
    """In words and as JSON, of each kind of change, a ballot, and of nothing; exit code 5 in danger."""
    request = request_of(council, tmp_path)
    said = read(council, "validator", "preview", "--add", request, "--units", "100")
    assert "5 validators with 500 units, a quorum is 334; any 1 may fail; 500 units are up" in said
    assert "the set stays as it is" in read(council, "validator", "preview")
    weighed = read(council, "validator", "preview", "--weight", "node-1", "120")
    assert "4 validators with 420 units" in weighed
    connect(council, 1, 3)
    act(council, "packer", "gov", "propose", "grant", "shop", "1")
    assert "not known to be up: node-2 (not connected)" in read(
        council, "validator", "preview", "--ballot", "1"
    )
    danger = shell("--node", council.url, "--json", "validator", "preview", "--remove", "node-3")
    assert (danger.code, danger.error["code"]) == (ExitCode.REJECTED, "outlook.no_quorum")
    assert danger.json["stages"][1]["quorum_stake"] == 201
    forced = shell("--node", council.url, "validator", "preview", "--remove", "node-3", "--force")
    assert forced.code == ExitCode.OK
    assert "none may fail: all must be up" in forced.out
    twice = shell("--node", council.url, "validator", "preview", "--remove", "node-3", "--ballot", "1")
    assert twice.code == ExitCode.USAGE


def test_an_organisation_moves_its_own_units(council: Site) -> None:
    """Bond what was granted, take it back; units that it does not hold are refused by the contract."""
    act(council, "farm", "gov", "propose", "grant", "packer", "30")
    carry(council, 1)
    bonded = act(council, "packer", "validator", "bond", "node-1", "30")
    assert bonded.code == ExitCode.OK, bonded.err
    assert "a quorum is" in bonded.err
    more = act(council, "packer", "validator", "bond", "node-1", "1")
    assert (more.code, more.error["code"]) == (ExitCode.REJECTED, "units.too_few")
    back = act(council, "packer", "validator", "unbond", "node-1", "130")
    assert back.code == ExitCode.OK, back.err
    assert "leaving" in read(council, "validator", "list")
    free = act(council, "packer", "validator", "unjail", "node-1")
    assert (free.code, free.error["code"]) == (ExitCode.REJECTED, "validator.not_jailed")


def test_unbonding_that_would_stop_the_chain_is_refused(council: Site) -> None:
    """An organisation's own step is looked at like a ballot."""
    connect(council, 1, 3)
    said = act(council, "packer", "validator", "unbond", "node-1", "100")
    assert (said.code, said.error["code"]) == (ExitCode.REJECTED, "outlook.no_quorum")


def test_a_request_for_another_chain_or_without_proof(council: Site, tmp_path: Path) -> None:
    """Refused here, or by the node's preview, before anything is signed."""
    request = Path(request_of(council, tmp_path))
    asked = json.loads(request.read_text())
    request.write_text(json.dumps({**asked, "chain_id": "ab" * 32}))
    said = act(council, "farm", "validator", "add", str(request), "--units", "1")
    assert (said.code, said.error["code"]) == (ExitCode.CONFLICT, "registration.wrong_chain")
    request.write_text(json.dumps({**asked, "organisation": "farm"}))
    said = act(council, "farm", "validator", "add", str(request), "--units", "1")
    assert (said.code, said.error["code"]) == (ExitCode.REJECTED, "key.no_proof")
    request.write_text(json.dumps({**asked, "public_key": key_pair(bytes(32)).public.hex()[:-2]}))
    said = act(council, "farm", "validator", "add", str(request), "--units", "1")
    assert said.error["code"].startswith("readable.")


def test_a_failed_ballot_says_why(council: Site) -> None:
    """Carried, and impossible by then: the code stands in the answer and in the list."""
    node = council.node
    change = SetWeight(voter(3).public, 120)
    closes_ms = node.status().time_ms + DAY_MS
    calls = [node.sign("farm/admin", "governance", "propose", Propose(change, closes_ms, ""))]
    council.do(node.seal(calls))
    act(council, "farm", "validator", "remove", "node-3")
    carry(council, 2)
    for organisation in OTHERS[:2]:
        council.do(node.seal([node.sign(f"{organisation}/admin", "governance", "vote", Vote(1, True))]))
    said = shell("--profile", council.profile("center", "center/admin"), "--yes", "gov", "vote", "1", "yes")
    assert "validator.removed" in said.out + said.err
