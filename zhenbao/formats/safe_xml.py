"""XML of strangers: no document type, no entities, no depth or length without end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

from zhenbao.model.errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_DEEPEST = 40
_MOST_ELEMENTS = 200_000


def parse_xml(data: bytes) -> Element:
    """The root element.

    A document type is refused before anything in it is looked at: with it fall entity bombs and files fetched from
    elsewhere.

    Raises:
        InputError: ``xml-doctype``, or ``summary-damaged`` (not well formed, too deep, too many elements).
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    depth = elements = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth += 1
        elements += 1
        if depth > _DEEPEST or elements > _MOST_ELEMENTS:
            raise InputError("summary-damaged", format="XML")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> int:
        raise InputError("xml-doctype")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, ValueError, LookupError, AssertionError):
        raise InputError("summary-damaged", format="XML") from None
