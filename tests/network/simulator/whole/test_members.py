"""Who takes part changes while faults go on: what the judge notices, and what shows nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from contracts.governance.ballots import Ballot
from ledger.consensus.epochs import Epochs
from ledger.consensus.messages import VotesMessage
from ledger.genesis import chain_id
from ledger.vote import SignedVote, Vote, VoteKind, sign_vote
from network.simulator.whole.assembly import Assembly
from network.simulator.whole.followers import Followers
from network.simulator.whole.founding import consortium_of
from network.simulator.whole.havoc import Havoc
from network.simulator.whole.judge import Judge
from network.simulator.whole.laboratory import WholeLaboratory, run_whole
from network.simulator.whole.scenario import plan_of
from network.simulator.whole.site import SimulatedSite
from node import assemble

SEED = 2  # of whole-members: no liar, and who was removed comes back
NEW_SEED = 3  # who is admitted when all is well has never had a seat before
STAKES = (1, 1, 1, 1, 0, 0)


def rules(violations: tuple[str, ...] | list[str]) -> set[str]:
    return {each.partition(":")[0] for each in violations}


async def nothing(*arguments: object) -> None:
    pass


def test_validators_come_go_and_come_back_by_ballot() -> None:
    """In one run a key enters the set, another leaves it and is there again at the end; a site joins."""
    laboratory = WholeLaboratory(plan_of(SEED, 4, "whole-members"))
    report = laboratory.run()
    assert report.is_green, report.violations
    sets = laboratory.judge.roll.sets
    first, last = sets[0].keys(), sets[max(sets)].keys()
    gone = [key for key in first if any(key not in each for each in sets.values())]
    assert last - first
    assert [key for key in gone if key in last]
    assert report.changes["admit enacted"] == 2
    assert report.changes["remove enacted"] == 1
    assert report.changes["caught up"] >= 1
    assert len(report.heights) == 6


def test_a_signature_without_a_seat_is_found() -> None:
    """By a follower, in whatever epoch; what it passes on is no sin."""
    consortium = consortium_of(STAKES, 9, late=(5,))
    validator, follower = consortium.members[0], consortium.members[4]
    site = cast(SimulatedSite, SimpleNamespace(member=follower))

    def said(member: Any, epoch: int) -> list[str]:
        judge = Judge(consortium.genesis)
        vote = Vote(chain_id(consortium.genesis), epoch, 1, VoteKind.NULLIFY, None)
        signed = SignedVote(vote, 0, sign_vote(member.validator, vote))
        judge.sent(site, VotesMessage((signed,)))
        return judge.violations

    assert rules(said(follower, 0)) == {"unseated"}
    assert rules(said(follower, 7)) == {"unseated"}
    assert said(validator, 0) == []


def test_who_was_admitted_and_does_not_sign_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that takes its signer along only where its key has a seat when it starts."""

    def begun(chain: Any, epoch: Any, signer: Any) -> Epochs:
        has_seat = signer is not None and epoch.validators.index_of(signer.public_key) is not None
        return Epochs(chain, epoch, signer if has_seat else None)

    monkeypatch.setattr(assemble, "Epochs", begun)
    assert rules(run_whole(NEW_SEED, 4, "whole-members").violations) == {"silent"}


def test_a_ballot_that_half_of_the_seats_carry_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """G7: more than two thirds; the judge counts the votes itself."""
    monkeypatch.setattr(Ballot, "is_carried", property(lambda self: 2 * len(self.yes) >= self.seats))
    assert "ballot" in rules(run_whole(SEED, 4, "whole-members").violations)


def test_a_run_without_a_carried_ballot_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The organisations sleep."""
    monkeypatch.setattr(Assembly, "_vote_on", nothing)
    assert rules(run_whole(SEED, 4, "whole-members").violations) == {"empty"}


@pytest.mark.parametrize("scenario", ["whole-observers", "whole-members"])
def test_a_run_in_which_no_follower_comes_along_fails(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody was seen behind and then not."""
    monkeypatch.setattr(Followers, "look", lambda self: None)
    assert rules(run_whole(SEED, 4, scenario).violations) == {"empty"}


def test_a_run_in_which_nobody_joins_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registered site is never started."""
    monkeypatch.setattr(Followers, "join", nothing)
    assert "empty: nobody joined" in run_whole(SEED, 4, "whole-observers").violations


def test_a_run_without_faults_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Incidents that never begin."""
    monkeypatch.setattr(Havoc, "run", nothing)
    assert rules(run_whole(SEED, 4, "whole-members").violations) == {"empty"}


def test_a_follower_that_holds_another_state_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end every state database is the same, also where nobody votes."""
    end = WholeLaboratory._judge_end

    def spoilt(self: WholeLaboratory) -> None:
        self._sites[5].contents.state.entries[b"x"] = b""
        end(self)

    monkeypatch.setattr(WholeLaboratory, "_judge_end", spoilt)
    assert rules(run_whole(SEED, 4, "whole-observers").violations) == {"roots"}
