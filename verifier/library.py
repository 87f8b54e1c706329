"""The tables that ship inside the package: policies and messages, read once per process.

Spec: docs/spec/verdicts.md. Effectful: reads package data.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from mingzheng.verifier.messages import Messages, parse_messages
from mingzheng.verifier.policy import Policy, parse_policies

PACKAGE: Final = "mingzheng.verifier"


@cache
def load_policies() -> Mapping[str, Policy]:
    """The shipped policy table."""
    return parse_policies(files(PACKAGE).joinpath("policies.json").read_bytes())


@cache
def load_messages() -> Messages:
    """The shipped words."""
    return parse_messages(files(PACKAGE).joinpath("messages.json").read_bytes())
