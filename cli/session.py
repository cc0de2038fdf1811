"""What one command works with: the choices in force, where to print, whom to ask, with which key."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from cli.choices import Choices
from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.output import Output

if TYPE_CHECKING:
    from cli.client import Client
    from cli.outbox import Outbox
    from ledger.crypto import KeyPair
    from network.profile import Profile

DEFAULT_NODE = "http://127.0.0.1:26600"  # where the first node of a local network listens

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Session:
    """Made anew for each command; nothing is read before it is asked for."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices

    @cached_property
    def output(self) -> Output:
        """Where the command prints."""
        from cli.settings import in_force

        choices = self.choices
        is_plain = choices.is_plain if choices.is_plain is not None else not in_force("color").value
        return Output(
            is_json=bool(choices.is_json),
            is_quiet=bool(choices.is_quiet),
            verbosity=choices.verbosity,
            is_plain=is_plain,
        )

    @property
    def timeout_seconds(self) -> float:
        """How long to wait for answers and for finality."""
        from cli.settings import in_force

        chosen = self.choices.timeout_seconds
        return float(in_force("timeout").value) if chosen is None else chosen

    @property
    def is_waiting(self) -> bool:
        """Whether to wait until a transaction is final."""
        from cli.settings import in_force

        chosen = self.choices.is_waiting
        return bool(in_force("wait").value) if chosen is None else chosen

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing may be sent or changed."""
        return bool(self.choices.is_dry_run)

    @cached_property
    def profile(self) -> Profile:
        """The profile in force, its nodes replaced by those of --node; without one, a local node.

        Raises:
            LedgerError: `profile.*`.
        """
        from dataclasses import replace

        from cli.settings import in_force
        from cli.user_folder import profile_path
        from network.profile import Profile, read_profile

        name = self.choices.profile or str(in_force("profile").value)
        if name:
            path = profile_path(name)
            if not path.exists():
                raise _no_profile(name, path)
            profile = read_profile(path)
        else:
            profile = Profile(nodes=(DEFAULT_NODE,))
        if self.choices.nodes:
            profile = replace(profile, nodes=tuple(_checked_url(url) for url in self.choices.nodes))
        return profile

    @cached_property
    def client(self) -> Client:
        """The client for the nodes of the profile."""
        from cli.client import Client

        return Client(self.profile.nodes, self.timeout_seconds, self._tokens())

    def _tokens(self) -> dict[str, str]:
        """The token in the profile's token file, for the profile's first node: its site issued it.

        One that can't be read is no reason not to read the chain.
        """
        profile = self.profile
        if not profile.token_file or self.choices.nodes:
            return {}
        try:
            text = profile.beside(profile.token_file).read_text("ascii")[:200].strip()
        except (OSError, UnicodeDecodeError):
            self.output.detail(f"no token: {profile.token_file} can't be read")
            return {}
        return {profile.nodes[0]: text}

    @property
    def organisation(self) -> str:
        """For whom to act.

        Raises:
            Failure: `profile.incomplete`.
        """
        if not self.profile.organisation:
            raise self._incomplete("organisation")
        return self.profile.organisation

    def key(self) -> KeyPair:
        """The key to sign with.

        Raises:
            Failure: `profile.incomplete`. LedgerError: `key_file.*`.
        """
        from ledger.crypto import key_pair
        from node.keys import read_seed

        if not self.profile.key_file:
            raise self._incomplete("key_file")
        return key_pair(read_seed(self.profile.beside(self.profile.key_file)))

    def outbox(self) -> Outbox:
        """Where signed transactions stay until they are final.

        Raises:
            Failure: `profile.incomplete`.
        """
        from cli.outbox import Outbox

        path = self.profile.path
        if path is None:
            raise self._incomplete("key_file")
        return Outbox(path.parent / "outbox" / path.stem)

    def confirm(self, question: str) -> None:
        """Ask before something that can't be taken back.

        Raises:
            Failure: `usage.not_confirmed`.
        """
        if self.choices.says_yes:
            return
        if self.choices.takes_no_input or not sys.stdin.isatty():
            raise Failure(
                "usage.not_confirmed",
                f"{question}: nobody can be asked here",
                advice="say --yes to go on without asking",
                exit_code=ExitCode.USAGE,
            )
        if not click.confirm(question, default=False, err=True):
            raise Failure("usage.not_confirmed", "not done: the answer was no", exit_code=ExitCode.FAILED)

    def _incomplete(self, field: str) -> Failure:
        where = f"the profile {self.profile.path}" if self.profile.path else "no profile is in use, so it"
        return Failure(
            "profile.incomplete",
            f"{where} names no {field}",
            advice="name a profile with --profile NAME or FILE, or make one: farmgate profile add --help",
            exit_code=ExitCode.USAGE,
        )


def with_session(
    command: Callable[Concatenate[Session, Parameters], Result],
) -> Callable[Parameters, Result]:
    """Give a command its session as the first argument."""

    def wrapped(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        context = click.get_current_context()
        choices: Any = context.find_root().obj
        return command(Session(choices or Choices()), *arguments, **options)

    return update_wrapper(wrapped, command)


def _checked_url(url: str) -> str:
    from ledger.errors import LedgerError
    from network.profile import check_url

    try:
        return check_url(url, "--node")
    except LedgerError as problem:
        raise Failure(
            "usage.wrong_value",
            problem.message,
            advice="a node's public port, such as --node http://127.0.0.1:26600",
            exit_code=ExitCode.USAGE,
        ) from None


def _no_profile(name: str, path: Path) -> Failure:
    return Failure(
        "profile.missing",
        f"there is no profile {name}: {path} is not there",
        advice="farmgate profile list shows those that are; farmgate testnet up writes some",
        exit_code=ExitCode.NOT_FOUND,
    )
