"""A capture job in XML: the fields that the standard has, and ours in a namespace of their own.

Source: EPCIS 2.0, XML schema of the capture interface (EPCISCaptureJob).
"""

from __future__ import annotations

from typing import Any, Final

from node.epcis_xml.markup import XML_HEAD, Markup

_CAPTURE: Final = "urn:epcglobal:epcis-capture:xsd:2"
_OURS: Final = {"farmgate": "urn:farmgate:capture"}
_FIELDS: Final = ("captureID", "running", "success", "createdAt", "finishedAt", "captureErrorBehaviour")
_OF_A_PROBLEM: Final = ("type", "title", "status", "detail")


def job_xml(job: dict[str, Any]) -> bytes:
    """The job as an `EPCISCaptureJob`."""
    listed = "".join(f"<error>{_elements(error, _OF_A_PROBLEM)}</error>" for error in job["errors"])
    errors = f"<errors>{listed}</errors>" if listed else ""
    markup = Markup(_OURS, b"")
    ours = markup.foreign("farmgate:transactions", job["transactions"])
    inner = f"{_elements(job, _FIELDS)}{errors}{ours}"
    start = f'<epcisc:EPCISCaptureJob xmlns:epcisc="{_CAPTURE}"{markup.declarations()}>'
    return f"{XML_HEAD}{start}{inner}</epcisc:EPCISCaptureJob>\n".encode()


def _elements(value: dict[str, Any], names: tuple[str, ...]) -> str:
    told = [(name, Markup.text(Markup.scalar(value[name]))) for name in names if name in value]
    return "".join(f"<{name}>{text}</{name}>" for name, text in told)
