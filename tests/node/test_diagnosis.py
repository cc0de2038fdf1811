"""Why the chain does not advance: each reason has its sentence, says who, and an idle chain has none."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.consensus.signer import GIVEN_UP, LISTENING, NOT_STARTED, OLD_RECORD, REPORTED, Signer
from ledger.types import BlockId, Height, View
from node.diagnosis import NOT_SIGNING, Looked, Outlook, Voter, look, refusal, standing_of, why
from tests.contracts.staking.stage import SPARE, double_vote, make_stage, voter
from tests.ledger.consensus.lockstep import BASE
from tests.ledger.consensus.subject import (
    NOTARIZE,
    NULLIFY,
    Subject,
    block_on,
)

ALL = tuple(Voter(f"node-{index}", 1, True, True) for index in range(4))
STUCK = Looked(View(9), True, frozenset(range(4)), None, 0)
WELL = Outlook(
    is_disk_full=False,
    regaining=None,
    refused="",
    not_signing="",
    standing="",
    voters=ALL,
    quorum=3,
    total=4,
    leader="node-1",
    looked=STUCK._replace(is_stuck=False),
    hears_votes=True,
)


def voters(away: tuple[int, ...] = (), silent: tuple[int, ...] = ()) -> tuple[Voter, ...]:
    return tuple(
        each._replace(is_here=index not in away, has_voted=index not in away + silent)
        for index, each in enumerate(ALL)
    )


def test_a_chain_that_is_well_or_idle_has_no_reason() -> None:
    """Nothing to do, or everything on its way: nothing is said."""
    assert why(WELL) == ""
    assert why(replace(WELL, voters=voters(silent=(0, 1, 2, 3)))) == "", "nobody votes in an idle view"
    assert why(replace(WELL, voters=voters(away=(3,)))) == "", "three of four are a quorum"
    assert why(replace(WELL, looked=None)) == ""


def test_too_few_validators_up() -> None:
    """Who is missing, with stake, and how much is needed."""
    said = why(replace(WELL, voters=voters(away=(2, 3)), looked=STUCK))
    assert said == (
        "no block can become final: connected to 2 of 4 units of stake, 3 are needed; "
        "missing: node-2 (1), node-3 (1)"
    )


def test_a_node_alone_names_everybody_else() -> None:
    """A partition looks like the absence of all others."""
    said = why(replace(WELL, voters=voters(away=(1, 2, 3)), looked=STUCK))
    assert "connected to 1 of 4" in said
    assert "node-1 (1), node-2 (1), node-3 (1)" in said


def test_too_few_vote_though_they_are_here() -> None:
    """More than a third in quarantine, with a full disk, or paused: who is silent, and where to look."""
    said = why(replace(WELL, voters=voters(silent=(1, 2)), looked=STUCK))
    assert said == (
        "no block can become final: 2 of 4 units of stake vote, 3 are needed; "
        "here and silent: node-1 (1), node-2 (1) (`ledger-node doctor` there says why); "
        "if they lost their records, the operators decide: docs/how-to/recover-a-stuck-chain.md"
    )
    both = why(replace(WELL, voters=voters(away=(3,), silent=(1,)), looked=STUCK))
    assert "missing: node-3 (1); here and silent: node-1 (1)" in both
    assert "recover" not in both, "one of four: its quarantine ends when the missing one is back"
    assert why(replace(WELL, voters=voters(silent=(1, 2)))) == "", (
        "in a young view votes are still on their way"
    )
    assert why(replace(WELL, voters=voters(silent=(1, 2)), looked=STUCK, hears_votes=False)) == ""


@pytest.mark.parametrize("reason", NOT_SIGNING)
def test_a_validator_that_does_not_sign(reason: str) -> None:
    """Why, and what ends it; and if the chain can't go on without it, who else is silent."""
    said = why(replace(WELL, not_signing=reason))
    assert said.startswith("this node does not vote: ")
    if "started" not in reason and "listening" not in reason:
        assert reason in said
    more = why(replace(WELL, not_signing=reason, voters=voters(silent=(0, 1)), looked=STUCK))
    assert more.startswith(said)
    assert "; and no block can become final: 2 of 4" in more


def test_every_reason_of_the_signer_has_words() -> None:
    """A code that the signer gives and nobody put into words would be shown bare."""
    text = inspect.getsource(Signer._distrust)
    given = set(re.findall(r'"(signer\.\w+)"', text)) | {
        NOT_STARTED,
        LISTENING,
        OLD_RECORD,
        REPORTED,
        *GIVEN_UP.values(),
    }
    assert set(NOT_SIGNING) == given


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_disk_full": True}, "its disk is nearly full"),
        ({"regaining": Height(7)}, "blocks up to height 7 were lost"),
        ({"refused": "the peers refuse this node"}, "the peers refuse this node"),
        ({"standing": "this node's key is jailed"}, "this node's key is jailed"),
        ({"looked": STUCK._replace(early_ms=12_300)}, "node-1 proposes is 12.3 s ahead of this host's clock"),
        ({"looked": STUCK._replace(missing=BlockId(b"\xab" * 32))}, "block abababababababab is certified"),
    ],
)
def test_the_other_reasons(changes: dict[str, object], words: str) -> None:
    """Each by itself is the sentence; what stops this node from voting comes before who is missing."""
    said = why(replace(WELL, **changes))  # type: ignore[arg-type]  # of the field's own type
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize("code", ["handshake.wrong_chain", "handshake.wrong_genesis"])
def test_a_node_of_another_chain_than_its_peers(code: str) -> None:
    """A genesis of another network, or of another attempt at this one: its file is what to look at."""
    said = why(replace(WELL, refused=refusal(code, "chain ab, this is cd"), voters=voters(away=(1, 2, 3))))
    assert said.startswith("no peer is on this node's chain (handshake.wrong_")
    assert "chain ab, this is cd): compare its genesis.json with theirs" in said
    assert refusal("peer.refused", "peers refuse this node") == "peers refuse this node"
    assert refusal("peer.unreachable", "nobody there") == "", "that others are away is no fault of this node"


# --- on machines -------------------------------------------------------------------------------


def test_a_machine_that_waits_for_votes_tells_who_gave_theirs() -> None:
    """Stuck after the time of a view, not before; an idle view is never stuck."""
    subject = Subject(me=0)
    subject.wait(20_000)
    assert not look(subject.machine.state).is_stuck
    subject.pending()
    subject.hear_votes([1], NULLIFY, 1)
    assert not look(subject.machine.state).is_stuck
    subject.wait(5_000)
    looked = look(subject.machine.state)
    assert looked.is_stuck
    assert looked.voted == {0, 1}


def test_a_vote_for_a_block_is_no_sign_of_life_when_the_view_is_over() -> None:
    """Who voted for the block and fell silent since does not count; who moved on to the next view does."""
    subject = Subject(me=Subject(me=None).leader(2))
    subject.pending()
    header = block_on(BASE)
    first, second, _ = subject.others
    subject.hear_proposal(1, header)
    subject.hear_votes([first], NOTARIZE, 1, header)
    subject.hear_votes([second], NULLIFY, 2)
    subject.wait(5_000)
    assert look(subject.machine.state).voted == {subject.me, second}


def test_a_machine_that_waits_for_a_body_names_its_block() -> None:
    """Certified, asked for, and with nobody."""
    subject = Subject(me=0, has_bodies=False)
    header = block_on(BASE)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header, signers=[1, 2, 3]))
    subject.wait(10_000)
    looked = look(subject.machine.state)
    assert looked.missing is not None
    assert look(Subject(me=0).machine.state).missing is None


def test_a_machine_with_an_early_block_tells_by_how_much() -> None:
    """The block is 9 s ahead of the clock: more than a voter allows, so it waits."""
    subject = Subject(me=Subject(me=None).leader(2))
    subject.pending()
    subject.hear_proposal(1, block_on(BASE, time_ms=subject.wall_ms + 9_000))
    assert look(subject.machine.state).early_ms == 9_000


# --- by the chain itself -----------------------------------------------------------------------


def test_a_key_that_votes_is_told_nothing_and_one_without_stake_how_it_gets_some() -> None:
    """A validator in the set; a node that was made as a validator's and that nobody has admitted yet."""
    stage = make_stage()
    assert standing_of(stage.state, "node-0") == ""
    assert "has no stake: the consortium admits it by a ballot" in standing_of(stage.state, "node-10")


def test_a_jailed_key_is_told_from_when_on_it_may_come_back() -> None:
    """Absent for two epochs: the epoch, and the command."""
    stage = make_stage()
    for _ in range(2):
        stage.sign(4, (2,))
        stage.turn()
    said = standing_of(stage.state, "node-2")
    assert f"is jailed: from epoch {stage.bond_of(2).jailed_until} on" in said
    assert "farmgate validator unjail" in said


def test_a_slashed_key_is_told_that_this_is_for_good() -> None:
    """Two votes in one view, reported: it never votes again."""
    stage = make_stage()
    stage.report(double_vote(stage.chain_id, voter(1), stage.epoch, stage.voters))
    stage.turn()
    assert "it never votes again" in standing_of(stage.state, "node-1")


def test_a_key_that_was_taken_out_or_let_in_is_told_so() -> None:
    """Removed by the consortium; admitted, before its turn comes."""
    stage = make_stage()
    stage.remove(3)
    stage.turn(2)
    assert stage.weights().get("node-3", 0) == 0
    assert "has left the validator set" in standing_of(stage.state, "node-3")
    stage.admit(SPARE, 50)
    assert "has no vote yet: it gets up to 50 units" in standing_of(stage.state, "node-10")


def test_the_page_of_the_doctor_says_what_the_code_says() -> None:
    """Each sentence of docs/reference/doctor.md, in the pieces between what varies, stands in the code."""
    root = Path(__file__).resolve().parents[2]
    files = ("node/diagnosis.py", "cli/node_commands/doctor.py")
    text = "".join((root / file).read_text("utf-8") for file in files)
    code = re.sub(r'"\s*\n?\s*f?"', "", text)
    rows = [
        line for line in (root / "docs/reference/doctor.md").read_text("utf-8").splitlines() if "|" in line
    ]
    pieces = [
        piece.strip(" ;:,") for row in rows[2:] for piece in re.split(r"\.\.\.|\(`.*?`\)", row.split("|")[1])
    ]
    assert len(pieces) > 30
    assert [piece for piece in pieces if piece not in code] == []
