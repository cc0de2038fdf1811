"""From a signed call to its fate: nothing is lost by a crash, a time-out or a lying node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.choices import Choices
from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.sending import Outcome, Sender, check_final
from cli.session import Session
from contracts.organisations import CONTRACT, AddSite
from ledger.transaction import decode_transaction
from tests.cli.shell import Site, shell
from tests.cli.test_client import closed_port, door, slammer

PLACE = "https://id.gs1.org/414/9520000000028"
SITE = AddSite(PLACE, "Barn")


def session_for(profile: str, **choices: object) -> Session:
    return Session(Choices(profile=profile, is_quiet=True, **choices))  # type: ignore[arg-type]


def waiting(session: Session) -> list[str]:
    return [each.id.hex() for each in session.outbox().all()]


def test_accepted(site: Site) -> None:
    """A call that becomes final leaves no trace in the outbox."""
    session = session_for(site.profile("farm", "farm/admin"))
    outcome = Sender(session).send(CONTRACT, "add_site", SITE)
    assert (outcome.status, outcome.height) == ("accepted", 1)
    assert waiting(session) == []


def test_id_is_told_before_it_is_sent(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The id is on the screen even where no node takes the bytes."""
    profile = site.profile("farm", "farm/admin")
    session = Session(Choices(profile=profile, timeout_seconds=0.3))
    sender = Sender(session)
    transaction = sender.sign(CONTRACT, "add_site", SITE)
    session.client.close()
    session.client._nodes[:] = [closed_port()]
    with pytest.raises(Failure):
        sender.deliver(transaction)
    assert f"transaction {transaction.id.hex()}" in capsys.readouterr().err


def test_kept_before_it_is_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are in the outbox when they are posted, so a crash in between loses nothing."""
    session = session_for(site.profile("farm", "farm/admin"))
    sender = Sender(session)
    seen: list[list[str]] = []
    post = session.client.post

    def watched(*arguments: object, **named: object) -> object:
        seen.append(waiting(session))
        return post(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(session.client, "post", watched)
    outcome = sender.send(CONTRACT, "add_site", SITE)
    assert seen == [[outcome.id]]


def test_not_sent(site: Site) -> None:
    """Where nobody listens, the exit code is 7 and the transaction waits in the outbox."""
    session = session_for(site.profile("farm", "farm/admin"), timeout_seconds=0.3)
    sender = Sender(session)
    transaction = sender.sign(CONTRACT, "add_site", SITE)
    session.client._nodes[:] = [closed_port()]
    with pytest.raises(Failure) as problem:
        sender.deliver(transaction)
    assert problem.value.exit_code is ExitCode.UNREACHABLE
    assert waiting(session) == [transaction.id.hex()]


def test_outcome_unknown(site: Site) -> None:
    """A node that takes the bytes and hangs up leaves exit code 6; sending the same again settles it."""
    session = session_for(site.profile("farm", "farm/admin"), timeout_seconds=0.5)
    sender = Sender(session)
    transaction = sender.sign(CONTRACT, "add_site", SITE)
    with slammer() as bad:
        session.client._nodes[:] = [bad]
        with pytest.raises(Failure) as problem:
            sender.deliver(transaction)
    assert problem.value.exit_code is ExitCode.UNKNOWN
    assert f"tx wait {transaction.id.hex()}" in problem.value.advice
    said = shell("--profile", str(session.profile.path), "outbox", "send", "--json")
    assert said.code == ExitCode.OK
    assert said.json["transactions"][0]["status"] == "accepted"
    assert waiting(session) == []


def test_not_final_in_time(site: Site) -> None:
    """A transaction that the node took and that no block holds in time is unknown, and is kept."""
    site.node.seals_on_wait = False
    session = session_for(site.profile("farm", "farm/admin"), timeout_seconds=0.4)
    with pytest.raises(Failure) as problem:
        Sender(session).send(CONTRACT, "add_site", SITE)
    assert problem.value.exit_code is ExitCode.UNKNOWN
    assert len(waiting(session)) == 1


def test_refused_at_the_door(site: Site) -> None:
    """What a node would not take is forgotten: it can never become final."""
    session = session_for(site.profile("farm", "farm/stranger"))
    with pytest.raises(Failure) as problem:
        Sender(session).send(CONTRACT, "add_site", SITE)
    assert problem.value.code == "sender.not_a_member"
    assert problem.value.exit_code is ExitCode.NOT_ALLOWED
    assert waiting(session) == []


def test_refused_by_the_contract(site: Site) -> None:
    """A refusal in a block has the receipt's code and pointer, and is final."""
    session = session_for(site.profile("packer", "packer/admin"))
    outcome = Sender(session).send(CONTRACT, "add_site", SITE)
    assert outcome.status == "refused"
    with pytest.raises(Failure) as problem:
        check_final(outcome)
    assert (problem.value.code, problem.value.pointer) == ("site.not_owned", "/id")
    assert problem.value.exit_code is ExitCode.NOT_ALLOWED
    assert waiting(session) == []


def test_sent_again_after_it_was_final(site: Site) -> None:
    """The same bytes again give the fate of the first time, not a second transaction."""
    session = session_for(site.profile("farm", "farm/admin"))
    sender = Sender(session)
    transaction = sender.sign(CONTRACT, "add_site", SITE)
    first, second = sender.deliver(transaction), sender.deliver(transaction)
    assert (first.id, first.height) == (second.id, second.height)
    assert second.status == "accepted"
    assert site.node.head()[0] == 1


def test_no_wait(site: Site) -> None:
    """--no-wait answers once the node has it; the outbox keeps it until its fate is known."""
    session = session_for(site.profile("farm", "farm/admin"), is_waiting=False)
    outcome = Sender(session).send(CONTRACT, "add_site", SITE)
    assert outcome == Outcome(outcome.id, "pending")
    assert waiting(session) == [outcome.id]


def test_wrong_chain(site: Site) -> None:
    """Nothing is signed where the node is of another chain than the profile."""
    session = session_for(site.profile("farm", "farm/admin", chain_id="ab" * 32))
    with pytest.raises(Failure) as problem:
        Sender(session).send(CONTRACT, "add_site", SITE)
    assert problem.value.exit_code is ExitCode.CONFLICT
    assert waiting(session) == []


@pytest.mark.parametrize("missing", ["chain_id", "key_file"])
def test_incomplete_profile(site: Site, missing: str) -> None:
    """A profile without chain or key signs nothing, and says what it lacks."""
    session = session_for(site.profile("farm", "farm/admin", **{missing: ""}))
    with pytest.raises(Failure) as problem:
        Sender(session)
    assert problem.value.code == "profile.incomplete"
    assert missing in problem.value.message


def test_key_that_others_can_read(site: Site) -> None:
    """A key file that is open to others is not used."""
    profile = site.profile("farm", "farm/admin")
    (site.folder / "keys" / "farm-admin.key").chmod(0o644)
    said = shell("--profile", profile, "org", "site", "add", PLACE, "--title", "Barn", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.NOT_ALLOWED, "key_file.permissions")


def test_lying_receipt(site: Site, tmp_path: Path) -> None:
    """A receipt that cannot be read is told as a bad answer; the events count as not known."""
    node = {"chain_id": site.node.chain_id.hex(), "node": "x", "role": "validator", "height": 1}
    node |= {"block_id": "00" * 32, "state_root": "00" * 32, "lag_blocks": 0, "peers": [], "version": "x"}
    receipt = {"status": "accepted", "code": "", "pointer": "", "result": "ff", "events": []}
    answer = {"id": "00" * 32, "status": "accepted", "height": 1, "index": 0, "receipt": receipt}
    document = tmp_path / "event.json"
    document.write_text(json.dumps(event()))
    with door((200, node), (202, answer)) as liar:
        profile = site.profile("farm", nodes=(liar.url,))
        said = shell("--profile", profile, "capture", str(document), "--json")
    assert said.code != ExitCode.OK
    assert said.error["code"] == "node.bad_answer"


def event() -> dict[str, object]:
    return {
        "@context": "https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
        "type": "ObjectEvent",
        "eventTime": "2025-12-01T08:00:00.000Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": ["urn:farmgate:test:1"],
    }


def test_outbox_survives_damage(site: Site) -> None:
    """A damaged file of the outbox is named, and what stands beside it is not touched."""
    session = session_for(site.profile("farm", "farm/admin"), is_waiting=False)
    outcome = Sender(session).send(CONTRACT, "add_site", SITE)
    folder = Path(str(session.profile.path)).parent / "outbox" / "farm-admin"
    (folder / f"{'ab' * 32}.tx").write_bytes(b"nonsense")
    (folder / "notes.txt").write_text("not ours")
    said = shell("--profile", str(session.profile.path), "outbox", "list", "--json")
    assert said.error["code"] == "outbox.damaged"
    kept = session.outbox().get(outcome.id)
    assert decode_transaction(kept.raw).id == kept.id


def test_outbox_refuses_another_name(site: Site) -> None:
    """A file whose content is another transaction than its name says is not sent."""
    session = session_for(site.profile("farm", "farm/admin"), is_waiting=False)
    outcome = Sender(session).send(CONTRACT, "add_site", SITE)
    folder = Path(str(session.profile.path)).parent / "outbox" / "farm-admin"
    (folder / f"{outcome.id}.tx").rename(folder / f"{'ab' * 32}.tx")
    with pytest.raises(Failure) as problem:
        session.outbox().get("ab" * 32)
    assert problem.value.code == "outbox.damaged"


@pytest.mark.parametrize("identifier", ["", "x", "../../etc/passwd", "AB" * 32, "ab" * 33, "ab" * 32 + "\n"])
def test_outbox_takes_only_ids(site: Site, identifier: str) -> None:
    """What is no transaction id never becomes a path."""
    session = session_for(site.profile("farm", "farm/admin"))
    with pytest.raises(Failure) as problem:
        session.outbox().get(identifier)
    assert problem.value.code == "usage.not_an_id"


def test_outbox_drop(site: Site) -> None:
    """Dropping asks first; with --yes the transaction is forgotten."""
    profile = site.profile("farm", "farm/admin")
    outcome = Sender(session_for(profile, is_waiting=False)).send(CONTRACT, "add_site", SITE)
    said = shell("--profile", profile, "outbox", "drop", outcome.id, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "usage.not_confirmed")
    assert shell("--profile", profile, "outbox", "drop", outcome.id, "--yes").code == ExitCode.OK
    assert shell("--profile", profile, "outbox", "drop", outcome.id, "--yes").code == ExitCode.NOT_FOUND


def test_settings_are_read_before_anything_is_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting ends the command while nothing is signed; the outbox stays empty."""
    profile = site.profile("farm")
    monkeypatch.setenv("FARMGATE_WAIT", "maybe")
    said = shell("--profile", profile, "record", "observe", "urn:x:1", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "config.wrong_value")
    assert "transaction" not in said.err.splitlines()[0].split(":")[0]
    assert waiting(session_for(profile)) == []


def test_interrupted_while_it_waits(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves the bytes in the outbox and says how to ask for them again."""
    profile = site.profile("farm")

    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(Sender, "_post", interrupted)
    said = shell("--profile", profile, "record", "observe", "urn:x:1")
    assert said.code == ExitCode.INTERRUPTED
    (identifier,) = waiting(session_for(profile))
    assert f"{identifier} may become final all the same: farmgate outbox send" in said.err
