"""zstd, bounded: what `wire` is handed, since it knows the standard library and msgpack only."""

import zstandard

LEVEL = 3  # one 2 KB job to a quarter in 6 µs (limits.md)


def compress(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=LEVEL).compress(data)


def decompress(data: bytes, most: int) -> bytes:
    """At most `most` bytes: a small frame may unpack to gigabytes. Raises ValueError if damaged or larger."""
    try:
        if zstandard.frame_content_size(data) > most:
            raise ValueError("the frame says it is larger")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=most)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
