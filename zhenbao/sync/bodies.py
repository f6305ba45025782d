"""Values of the model as bodies: CBOR maps with integer keys, and back, strictly checked.

What equals its default is left out, an id is 16 bytes, a whole number that is a float travels as an integer, digests
in a text as bytes. The numbers of the fields are in ``fields.toml``. Bodies of the first version, maps with names and
ids as text, are read as well: they lie in older databases.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from enum import Enum
from functools import cache
from importlib import resources
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from zhenbao.model.errors import Rejected
from zhenbao.sync.cbor import dumps, loads

_MAX_INT = (1 << 63) - 1
"""Every store here keeps 64-bit integers; what does not fit is no number of ours."""
_HEX = re.compile(r"((?:[0-9a-f]{2}){8,})")
"""Digests inside a text travel as bytes, half as long."""
_EXACT = 1 << 53
"""Up to here every whole number is a float of its own."""
_PLAIN = frozenset((bytes, float, bool, NoneType))
Walk = Callable[[Any], Any]


def pack_value(value: Any) -> bytes:
    """A value of the model as a body."""
    type_: Any = type(value)
    walk = _encoder(type_)
    return dumps(value if walk is None else walk(value))


def unpack_value(body: bytes, type_: Any) -> Any:
    """The value in a body.

    Raises:
        Rejected: ``envelope-body``; the reason names the place and the type that was expected, never the content.
    """
    try:
        # An id is 16 bytes, which the strict check makes a UUID; elsewhere bytes stay what they are.
        return msgspec.convert(_decoder(type_)(loads(body)), type_, builtin_types=(bytes,))
    except Rejected as error:
        raise Rejected("envelope-body", reason=error.facts.get("reason", error.code)) from error
    except (msgspec.ValidationError, RecursionError) as error:
        # msgspec names the place and the type that was expected; a wrong enum or date it would quote.
        raise Rejected(
            "envelope-body", reason=str(error).partition(" - at ")[2][:200] or type(error).__name__
        ) from error


@cache
def _numbers() -> dict[str, list[str]]:
    text = resources.files("zhenbao.sync").joinpath("fields.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


# A walk turns a value into what CBOR holds, or back. On the way out there is none (None) where the two are the same; on
# the way back every text and integer is looked at, so that nothing comes in that no database here can keep.


@cache
def _encoder(type_: Any) -> Walk | None:
    origin, inner = get_origin(type_), get_args(type_)
    if isinstance(type_, type) and is_dataclass(type_):
        return _encode_dataclass(type_)
    if type_ is float:
        return _short
    if type_ is str:
        return _text
    if type_ is UUID:
        return lambda value: value.bytes
    if type_ is date:
        return date.isoformat
    if isinstance(type_, type) and issubclass(type_, Enum):
        return lambda value: value.value
    if origin in (Union, UnionType):
        return _optional(_encoder(_only(inner)))
    if origin is tuple and inner[-1] is not ... and any(_encoder(each) for each in inner):
        return _each([_encoder(each) for each in inner])
    if origin in (tuple, list):
        return _all(_encoder(inner[0]))
    if origin is dict:
        return _values(_encoder(inner[1]))
    return None


@cache
def _decoder(type_: Any) -> Walk:
    origin, inner = get_origin(type_), get_args(type_)
    if isinstance(type_, type) and is_dataclass(type_):
        return _decode_dataclass(type_)
    if type_ is str:
        return _joined
    if origin in (Union, UnionType):
        return _decoder(_only(inner))
    if origin is tuple and inner[-1] is not ...:
        return _decode_each([_decoder(each) for each in inner])
    if origin in (tuple, list):
        return _decode_all(_decoder(inner[0]))
    if origin is dict:
        return _decode_values(_decoder(inner[1]))
    return _storable


def _encode_dataclass(type_: type[Any]) -> Walk:
    numbers = {name: number for number, name in enumerate(_numbers().get(type_.__name__, ()), 1)}
    hints = get_type_hints(type_)
    plan = []
    for field in fields(type_):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        plan.append((numbers.get(field.name, field.name), field.name, default, _encoder(hints[field.name])))

    def walk(value: Any) -> dict[int | str, Any]:
        made: dict[int | str, Any] = {}
        for key, name, default, inner in plan:
            held = getattr(value, name)
            # ``is``, as NaN differs from itself; type, as 0 equals False.
            if default is not MISSING and (held is default or (type(held) is type(default) and held == default)):
                continue
            made[key] = held if inner is None else inner(held)
        return made

    return walk


def _decode_dataclass(type_: type[Any]) -> Walk:
    known = {name: (name, _decoder(hint)) for name, hint in get_type_hints(type_).items()}
    numbers = enumerate(_numbers().get(type_.__name__, ()), 1)
    # Whatever else there is, is of a newer sender, and is ignored.
    plan: dict[Any, tuple[str, Walk]] = known | {number: known[name] for number, name in numbers if name in known}

    def walk(plain: Any) -> Any:
        # The first question is the quick one; so below.
        if type(plain) is not dict and not isinstance(plain, Mapping):
            return _storable(plain)
        made: dict[str, Any] = {}
        for key, held in plain.items():
            if (planned := plan.get(key)) is None:
                continue
            name, inner = planned
            # Most of what is held is plain, and none of it needs a call.
            kind = type(held)
            if kind is str:
                if "\0" in held:
                    raise Rejected("envelope-body", reason="NUL in text")
            elif kind is int:
                if not -_MAX_INT <= held <= _MAX_INT:
                    raise Rejected("envelope-body", reason="integer beyond 64 bits")
            elif kind not in _PLAIN:
                held = inner(held)
            made[name] = held
        return made

    return walk


def _decode_all(walk: Walk) -> Walk:
    return lambda value: (
        [walk(each) for each in value] if type(value) is list or isinstance(value, list | tuple) else _storable(value)
    )


def _decode_each(walks: list[Walk]) -> Walk:
    def walk(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(walks):
            return _storable(value)
        return [inner(each) for each, inner in zip(value, walks, strict=True)]

    return walk


def _decode_values(walk: Walk) -> Walk:
    return lambda value: (
        {k: walk(v) for k, v in value.items()}
        if type(value) is dict or isinstance(value, Mapping)
        else _storable(value)
    )


def _storable(plain: Any) -> Any:
    """The same; refused where no database here can keep it: integers beyond 64 bits, NUL in text."""
    kind = type(plain)
    if kind is str:
        if "\0" in plain:
            raise Rejected("envelope-body", reason="NUL in text")
    elif kind is int:
        if not -_MAX_INT <= plain <= _MAX_INT:
            raise Rejected("envelope-body", reason="integer beyond 64 bits")
    elif kind not in _PLAIN:
        if isinstance(plain, Mapping):
            for each in plain.values():
                _storable(each)
        elif isinstance(plain, list | tuple):
            for each in plain:
                _storable(each)
    return plain


def _only(inner: tuple[Any, ...]) -> Any:
    """The one type of an optional; of several plain ones, any: nothing is done to them."""
    types = [each for each in inner if each is not NoneType]
    return types[0] if len(types) == 1 else object


def _optional(walk: Walk | None) -> Walk | None:
    if walk is None:
        return None
    return lambda value: None if value is None else walk(value)


def _all(walk: Walk | None) -> Walk | None:
    if walk is None:
        return None
    return lambda value: [walk(each) for each in value] if isinstance(value, list | tuple) else value


def _each(walks: list[Walk | None]) -> Walk:
    def walk(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(walks):
            return value
        return [each if inner is None else inner(each) for each, inner in zip(value, walks, strict=True)]

    return walk


def _values(walk: Walk | None) -> Walk | None:
    if walk is None:
        return None
    return lambda value: {k: walk(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _short(value: float) -> float | int:
    """A whole number as an integer: 1 to 5 bytes instead of 9. Minus zero stays a float."""
    if isinstance(value, int):
        return value
    if value.is_integer() and -_EXACT < value < _EXACT and (value or math.copysign(1, value) > 0):
        return int(value)
    return float(value)


def _text(value: str) -> str | list[str | bytes]:
    """A text; one with digests as a list of texts and bytes in turn."""
    if len(value) < 16 or len(pieces := _HEX.split(value)) == 1:
        return value
    return [bytes.fromhex(piece) if n % 2 else piece for n, piece in enumerate(pieces)]


def _joined(plain: Any) -> Any:
    if isinstance(plain, list) and all(isinstance(piece, str | bytes) for piece in plain):
        plain = "".join(piece if isinstance(piece, str) else piece.hex() for piece in plain)
    return _storable(plain)
