"""Record Access Control Point (2A52): which records a request means, and the response (Glucose Service 1.0.1, 3.5)."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

REPORT, DELETE, ABORT, COUNT = 1, 2, 3, 4
NULL, ALL, UP_TO, FROM, RANGE, FIRST, LAST = range(7)
BY_SEQUENCE = 1

(
    SUCCESS,
    OP_UNSUPPORTED,
    BAD_OPERATOR,
    OPERATOR_UNSUPPORTED,
    BAD_OPERAND,
    NO_RECORDS,
    NOT_ABORTED,
    NOT_COMPLETED,
    OPERAND_UNSUPPORTED,
) = range(1, 10)


@dataclass(frozen=True, slots=True)
class Answer:
    """Indices of the records to send first, then the bytes of the response."""

    response: bytes
    report: tuple[int, ...] = ()


class _Refused(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


def answer(request: bytes, sequences: Sequence[int]) -> Answer:
    """What a meter that holds records with these sequence numbers answers. Any bytes are a request.

    Deleting is refused as unsupported: a record on a meter is never deleted.
    """
    operation, operator, operand = request[0] if request else 0, request[1] if len(request) > 1 else NULL, request[2:]
    try:
        if operation == ABORT:
            if operator != NULL:
                raise _Refused(BAD_OPERATOR)
            return Answer(_response(ABORT, SUCCESS))
        if operation not in (REPORT, COUNT):
            raise _Refused(OP_UNSUPPORTED)
        chosen = _choose(operator, operand, sequences)
    except _Refused as refused:
        return Answer(_response(operation, refused.code))
    if operation == COUNT:
        return Answer(struct.pack("<BBH", 5, NULL, len(chosen)))
    return Answer(_response(REPORT, SUCCESS if chosen else NO_RECORDS), chosen)


def _response(operation: int, code: int) -> bytes:
    return bytes([6, NULL, operation, code])


def _choose(operator: int, operand: bytes, sequences: Sequence[int]) -> tuple[int, ...]:
    every = tuple(range(len(sequences)))
    if operator == NULL:
        raise _Refused(BAD_OPERATOR)
    if operator in (ALL, FIRST, LAST):
        if operand:
            raise _Refused(BAD_OPERAND)
        return {ALL: every, FIRST: every[:1], LAST: every[-1:]}[operator]
    if operator not in (UP_TO, FROM, RANGE):
        raise _Refused(OPERATOR_UNSUPPORTED)
    if not operand:
        raise _Refused(BAD_OPERAND)
    if operand[0] != BY_SEQUENCE:
        raise _Refused(OPERAND_UNSUPPORTED)
    if len(operand) != (5 if operator == RANGE else 3):
        raise _Refused(BAD_OPERAND)
    bounds = struct.unpack(f"<{len(operand) // 2}H", operand[1:])
    low, high = (0, bounds[0]) if operator == UP_TO else (bounds[0], bounds[-1] if operator == RANGE else 0xFFFF)
    if low > high:
        raise _Refused(BAD_OPERAND)
    return tuple(i for i in every if low <= sequences[i] <= high)
