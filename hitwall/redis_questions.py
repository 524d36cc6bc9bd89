"""What a Redis server that was just started is asked."""

from contextlib import suppress

from redis import Redis, RedisError


def answers(client: Redis, pid: int) -> bool:
    """Whether it is this process that answers, and no other Redis, and its data is loaded."""
    with suppress(RedisError):
        info = client.info()
        return bool(info["process_id"] == pid and not info["loading"])
    return False


def replace_cut_file(client: Redis, said: bytes) -> None:
    """Have the append-only file written anew where the server says that it has cut a broken end off.

    It cuts within a transaction, and at its next start takes what is left of that one for the
    beginning of the transaction that was written next.
    """
    if b"Truncating the AOF" in said:
        client.bgrewriteaof()
