"""What to try after a refusal that does not say so itself: contracts and nodes know codes, not commands."""

from __future__ import annotations

from typing import Final

_SPLIT: Final = "split it: a document has at most 8 MiB and 5,000 events"
_IDENTIFIER: Final = (
    'scan the label again, or type it as it is printed, such as "(01)09521001001106(10)N-0504"'
)
_TRY: Final = {
    "epcis.event_too_large": "split the event: it may have at most 128 KiB",
    "epcis.not_a_document": "what is captured is an EPCISDocument, EPCISQueryDocument or one event",
    "epcis.too_many_events": _SPLIT,
    "identifier.invalid": _IDENTIFIER,
    "identifier.not_recognised": _IDENTIFIER,
    "item.unknown": "is the identifier right, and was the event captured? --node URL asks another node",
    "json.malformed": "is it the right file? What is captured is EPCIS 2.0 in JSON, saved as UTF-8",
    "json.too_large": _SPLIT,
    "key_file.missing": "farmgate key list shows the keys of this machine; farmgate key new makes one",
    "organisation.unknown": "farmgate org list shows the members",
    "profile.wrong_value": "farmgate profile --help",
    "sender.not_a_member": "farmgate org show lists the keys in force; an admin adds one: farmgate key add",
    "transaction.unknown": "farmgate tx list shows the newest; --node URL asks another node",
    "xml.doctype": "take the DOCTYPE out: EPCIS has none",
    "xml.malformed": "is it the right file? What is captured is EPCIS 2.0 or 1.2 in well-formed XML",
    "xml.too_large": _SPLIT,
    "xml.too_many_nodes": _SPLIT,
    "transaction.wrong_chain": "is it the right profile? farmgate profile list shows those that are",
}
_NOTHING: Final = ("system.failed",)  # its message says it all


def advice_for(code: str) -> str:
    """One sentence or command to try; "" where there is nothing better than the message."""
    from cli.reference import meanings

    if code in _TRY:
        return _TRY[code]
    return f"farmgate explain {code}" if code not in _NOTHING and meanings(code) else ""
