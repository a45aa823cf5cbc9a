"""Who signed whose key, and when: reads OpenPGP key rings (RFC 4880), for the build script of key-signatures.

Only what a web of trust needs is read: keys of version 4 and signatures on names. Nothing is verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pandas as pd

PUBLIC_KEY, SIGNATURE, USER_ID, SUBKEY, USER_ATTRIBUTE = 6, 2, 13, 14, 17  # section 4.3
CERTIFICATIONS = range(0x10, 0x14)  # kinds of signatures on a name, section 5.2.1
CREATED, ISSUER, FINGERPRINT = 2, 16, 33  # subpackets of a signature, section 5.2.3.1


def read_key_rings(rings: list[bytes]) -> tuple[pd.Series, pd.DataFrame]:
    """Return when each key was made, by key id, and who signed whose key when for the first time.

    Returns:
        Seconds since 1970, and a table of `signer`, `key` and `time` in the same unit. Both ends are keys of
        the rings; what a key says of itself is left out.
    """
    made: dict[str, int] = {}
    rows = []
    for ring in rings:
        key, on_name = "", False
        for tag, body in packets(ring):
            if tag == PUBLIC_KEY:
                digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest()
                key, on_name = digest[-16:], False
                made[key] = int.from_bytes(body[1:5], "big")
            elif tag in (USER_ID, SUBKEY, USER_ATTRIBUTE):
                on_name = tag == USER_ID
            elif tag == SIGNATURE and on_name and (found := read_certification(body)):
                rows.append((found[0], key, found[1]))
    table = pd.DataFrame(rows, columns=["signer", "key", "time"])
    table = table[table["signer"].isin(made) & (table["signer"] != table["key"])]
    return pd.Series(made), table.groupby(["signer", "key"], as_index=False)["time"].min()


def packets(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, body) of each packet (section 4.2)."""
    place = 0
    while place < len(stream):
        head = stream[place]
        if head & 0x40:
            tag, (length, size) = head & 0x3F, _length(stream, place + 1)
        else:
            tag, size = (head >> 2) & 0xF, 1 << (head & 3)
            length = int.from_bytes(stream[place + 1 : place + 1 + size], "big")
        start = place + 1 + size
        yield tag, stream[start : start + length]
        place = start + length


def read_certification(body: bytes) -> tuple[str, int] | None:
    """Return issuer and time of a signature on somebody's name; None for signatures of other kinds."""
    if body[0] == 3:
        kind, issuer, time = body[2], body[7:15].hex(), int.from_bytes(body[3:7], "big")
        return (issuer, time) if kind in CERTIFICATIONS else None
    if body[0] != 4 or body[1] not in CERTIFICATIONS:
        return None
    hashed = int.from_bytes(body[4:6], "big")
    unhashed = int.from_bytes(body[6 + hashed : 8 + hashed], "big")
    areas = body[6 : 6 + hashed], body[8 + hashed : 8 + hashed + unhashed]
    found = {kind: value for area in reversed(areas) for kind, value in _subpackets(area)}
    return found.get(ISSUER, found.get(FINGERPRINT, b"")[-8:]).hex(), int.from_bytes(found[CREATED], "big")


def _subpackets(area: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(area):
        length, size = _length(area, place)
        start = place + size
        yield area[start] & 0x7F, area[start + 1 : start + length]
        place = start + length


def _length(data: bytes, place: int) -> tuple[int, int]:
    """Return a length, and in how many bytes it is written."""
    first = data[place]
    if first < 192:
        return first, 1
    if first < 255:
        return ((first - 192) << 8) + data[place + 1] + 192, 2
    return int.from_bytes(data[place + 1 : place + 5], "big"), 5
