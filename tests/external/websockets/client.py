"""A connection of a user of Python's websockets, and the tokens for it.

SHARDWIRE_URL and SHARDWIRE_BIN come from with-broker.mjs, which has started the broker.
"""

import functools
import json
import os
import subprocess

from websockets.asyncio.client import connect as dial

URL = os.environ["SHARDWIRE_URL"].replace("http", "ws", 1)
# A large message has to come back whole.
MESSAGE_BYTES_MAX = 16 << 20


@functools.cache
def token(user, *flags):
    """A token from the broker's own command, once for each kind."""
    command = [os.environ["SHARDWIRE_BIN"], "token", "--sub", user, *flags]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Client:
    """An open connection that speaks JSON."""

    def __init__(self, socket):
        self.socket = socket

    async def send(self, **message):
        """Sends one message."""
        await self.socket.send(json.dumps(message))

    async def next(self):
        """The next frame, parsed."""
        return json.loads(await self.socket.recv())

    async def expect(self, kind):
        """The next frame, which has to be of this type."""
        message = await self.next()
        if message["type"] != kind:
            raise AssertionError(f"{kind} expected, came {str(message)[:300]}")
        return message

    async def ask(self, **message):
        """Sends, and answers with the next frame."""
        await self.send(**message)
        return await self.next()

    async def subscribe(self, *topics):
        """Subscribes; in force when it returns."""
        for topic in topics:
            await self.send(type="subscribe", topic=topic)
            await self.expect("subscribed")

    async def quiet(self):
        """Nothing but the answer to this ping may be on its way."""
        await self.send(type="ping")
        await self.expect("pong")


class connect:
    """`async with connect(user)`: an authenticated client; without a user, one that is not."""

    def __init__(self, user=None, path="/ws", carrier="header", compression="deflate"):
        headers = {}
        if user and carrier == "header":
            headers["Authorization"] = f"Bearer {token(user)}"
        if user and carrier == "query":
            path = f"{path}?token={token(user)}"
        self.dialing = dial(
            URL + path,
            additional_headers=headers,
            subprotocols=["bearer", token(user)] if user and carrier == "subprotocol" else None,
            compression=compression,
            max_size=MESSAGE_BYTES_MAX,
            max_queue=None,
            # The environment may name a proxy; the broker is next door.
            proxy=None,
        )

    async def __aenter__(self):
        return Client(await self.dialing.__aenter__())

    async def __aexit__(self, *error):
        await self.dialing.__aexit__(*error)
