"""Reads a PNG as QEMU writes it (8 bits a channel, not interlaced), with the standard library. Pure."""

import struct
import zlib
from collections import Counter

_CHANNELS = {0: 1, 2: 3, 6: 4}


def pixels(data):
    """Return width, height and the rows of a PNG, each row a list of tuples (W3C PNG, sections 5-9)."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, header = 8, b"", b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + size]
        header = body if kind == b"IHDR" else header
        packed += body if kind == b"IDAT" else b""
        at += 12 + size
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    assert depth == 8
    assert interlaced == 0
    step = _CHANNELS[colour]
    return width, height, list(_rows(zlib.decompress(packed), width, height, step))


def colours(data):
    """Count the colours of a PNG."""
    _, _, rows = pixels(data)
    return Counter(pixel for row in rows for pixel in row)


def _rows(raw, width, height, step):
    length = width * step
    before = bytearray(length)
    for number in range(height):
        start = number * (length + 1)
        line = bytearray(raw[start + 1 : start + 1 + length])
        _unfilter(raw[start], line, before, step)
        yield [tuple(line[i : i + step]) for i in range(0, length, step)]
        before = line


def _unfilter(kind, line, before, step):
    """Undo the filter of one row in place (W3C PNG, section 9)."""
    for i in range(len(line)):
        left = line[i - step] if i >= step else 0
        corner = before[i - step] if i >= step else 0
        match kind:
            case 0:
                return
            case 1:
                guess = left
            case 2:
                guess = before[i]
            case 3:
                guess = (left + before[i]) // 2
            case _:
                guess = _paeth(left, before[i], corner)
        line[i] = (line[i] + guess) & 255


def _paeth(left, above, corner):
    near = left + above - corner
    distances = (abs(near - left), abs(near - above), abs(near - corner))
    return (left, above, corner)[distances.index(min(distances))]
