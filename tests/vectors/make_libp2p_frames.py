"""Golden bytes of the libp2p road, spelled out by hand: requests with their length, and frames."""

BLOB = bytes(range(32))
IDS = [bytes([n]) * 32 for n in (1, 2)]
POINT = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"


def vectors() -> dict[str, object]:
    """The content of ``libp2p_frames.json``."""
    return {
        "requests": [
            {"asks": "who", "bytes": "0200" + "0101"},
            {
                "asks": "records",
                "ids": [i.hex() for i in IDS],
                "bytes": "4200" + "0102" + "".join(i.hex() for i in IDS),
            },
            {"asks": "chunk list", "blob": BLOB.hex(), "bytes": "2200" + "0103" + BLOB.hex()},
            {
                "asks": "chunks",
                "blob": BLOB.hex(),
                "indices": [0, 7, 1048575],
                "bytes": "2e00" + "0104" + BLOB.hex() + "00000000" + "07000000" + "ffff0f00",
            },
        ],
        "frames": [
            {"says": "KEY", "payload": POINT, "bytes": "01" + "21000000" + POINT},
            {"says": "RECORD", "payload": "7b7d", "bytes": "02" + "02000000" + "7b7d"},
            {"says": "LIST", "payload": "0000000000000000", "bytes": "03" + "08000000" + "0000000000000000"},
            {
                "says": "PIECE",
                "index": 7,
                "size": 5,
                "data": "68656c6c6f",
                "payload": "07000000" + "05000000" + "68656c6c6f",
                "bytes": "04" + "0d000000" + "07000000" + "05000000" + "68656c6c6f",
            },
            {"says": "END", "payload": "", "bytes": "05" + "00000000"},
            {"says": "BUSY", "payload": "dc050000", "bytes": "06" + "04000000" + "dc050000"},
            {"says": "ABSENT", "payload": "", "bytes": "07" + "00000000"},
            {"says": "REFUSED", "payload": "6e6f", "bytes": "08" + "02000000" + "6e6f"},
            {"says": "TOO_OLD", "payload": "01", "bytes": "09" + "01000000" + "01"},
            {"says": "TOO_NEW", "payload": "01", "bytes": "0a" + "01000000" + "01"},
        ],
    }
