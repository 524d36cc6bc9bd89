"""Held: connections that stay out of a client's pool, for a script that is called again and again.

The pool asks the system before each command whether the connection lives, and tells meters of it: that takes
as long as all the rest of a call. Here a dead connection shows when it is used, and the client's retry makes
it anew, as it does where one dies a moment later. So this is for what may be sent twice.
"""

import os
import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

from redis import Redis, ResponseError


class Held:
    """Of one server. Safe for threads and greenlets: there are as many connections as callers at once."""

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._idle: list[Any] = []  # redis-py has no types for what a connection does; few, see above
        weakref.finalize(self, _give_back, self._pool, self._idle).atexit = False

    def ask(self, *command: Any) -> Any:
        """The answer to the command, which may have been sent twice. Raises RedisError."""
        answer = self.ask_all([command])[0]
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def ask_all(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The answers to all of them, a ResponseError in its place; sent in one piece. Raises RedisError."""
        connection = self._taken()
        try:
            answers: list[Any] = connection.retry.call_with_retry(
                partial(_answers, connection, commands), lambda _: connection.disconnect()
            )
        except BaseException:  # an answer may still come, and is none to the next command
            connection.disconnect()
            self._pool.release(connection)
            raise
        self._idle.append(connection)
        return answers

    def _taken(self) -> Any:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread has it
                break
            if connection.pid == os.getpid():  # else it is of the process from which this one was forked
                return connection
        return self._pool.get_connection()


def _give_back(pool: Any, idle: list[Any]) -> None:
    while idle:
        pool.release(idle.pop())


def _answers(connection: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    if connection.should_reconnect():  # the server has said that it moves
        connection.disconnect()
    parts = [part for command in commands for part in connection.pack_command(*command)]
    connection.send_packed_command([b"".join(parts)])
    return [_answer(connection) for _ in commands]


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
