"""A socket of python-socketio with what it hears in a queue, in its asyncio form and in its
synchronous one, and the broker's HTTP side.

SHARDWIRE_URL and the rest come from with-broker.mjs, which has started the broker. The synchronous
client runs in threads, so that one and the same check can be held with either.
"""

import asyncio
import functools
import json
import os
import subprocess
import urllib.request

import socketio

URL = os.environ["SHARDWIRE_URL"]
HEARD_S = 5

# A client's own choice is to poll and then to upgrade.
TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "default": None}


@functools.cache
def token(user):
    """A token from the broker's own command, once for each user."""
    command = [os.environ["SHARDWIRE_BIN"], "token", "--sub", user]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


async def post(path, body):
    """Sends what the application's back end sends; the answer."""
    request = urllib.request.Request(
        URL + path,
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['SHARDWIRE_API_KEY']}",
            "Content-Type": "application/json",
        },
    )
    return json.loads(await asyncio.to_thread(fetch, request))


async def publish(topic, data, event="message"):
    """Publishes over HTTP; how many it reached."""
    answer = await post("/api/publish", {"topic": topic, "data": data, "eventType": event})
    return answer["delivered"]


async def cut():
    """Cuts what goes by the relay; done when it lets through again."""
    await asyncio.to_thread(fetch, os.environ["SHARDWIRE_CUT"])


def fetch(request):
    """Asks, past any proxy that the environment names."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return answer.read()


class Peer:
    """A socket in one namespace; `sync` chooses the form."""

    def __init__(self, sync, namespace="/"):
        self.sync = sync
        self.namespace = namespace
        self.heard = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        options = {"reconnection_delay": 0.05, "reconnection_delay_max": 0.1}
        if sync:
            self.client = socketio.Client(handle_sigint=False, **options)
        else:
            self.client = socketio.AsyncClient(handle_sigint=False, **options)
        for name in ("connect", "disconnect", "connect_error"):
            self.client.on(name, functools.partial(self.hear, name), namespace=namespace)
        self.client.on("*", self.hear, namespace=namespace)

    def hear(self, name, *arguments):
        """Every event, in the client's own thread if it has one."""
        self.loop.call_soon_threadsafe(self.heard.put_nowait, (name, *arguments))

    async def call(self, method, *arguments, **named):
        """A method of the client, whatever its form."""
        run = getattr(self.client, method)
        if self.sync:
            return await asyncio.to_thread(run, *arguments, **named)
        return await run(*arguments, **named)

    async def dial(self, transport, auth=None, relayed=False):
        """Begins to connect."""
        await self.call(
            "connect",
            os.environ["SHARDWIRE_RELAY"] if relayed else URL,
            auth=auth,
            transports=TRANSPORTS[transport],
            namespaces=[self.namespace],
            wait_timeout=HEARD_S,
        )

    async def next(self, what="an event"):
        """The next event: its name and arguments."""
        try:
            return await asyncio.wait_for(self.heard.get(), HEARD_S)
        except TimeoutError:
            raise AssertionError(f"{what} did not come") from None

    async def expect(self, name):
        """The first argument of the next event, which has to have this name."""
        event, *arguments = await self.next(name)
        if event != name:
            raise AssertionError(f"{name} expected, came {event} {str(arguments)[:300]}")
        return arguments[0] if arguments else None

    async def emit(self, event, data=None):
        """Emits one event."""
        await self.call("emit", event, data, namespace=self.namespace)

    async def ask(self, event, data=None):
        """Emits, and answers with what the acknowledgement brings."""
        return await self.call("call", event, data, namespace=self.namespace, timeout=HEARD_S)

    @property
    def sid(self):
        """The socket's id."""
        return self.client.get_sid(self.namespace)

    async def join(self, room):
        """Joins a room, as it must be told; the number of members."""
        answer = await self.ask("join_room", {"room": room})
        count = answer.pop("memberCount")
        if answer != {"success": True, "room": room}:
            raise AssertionError(f"told {answer}")
        told = await self.expect("room_joined")
        if told != {**answer, "memberCount": count}:
            raise AssertionError(f"room_joined {told}")
        return count

    async def quiet(self):
        """Nothing but the answer to this ping may be on its way."""
        await self.emit("ping")
        await self.expect("pong")


class Kind:
    """A form and a choice of transports; opens sockets and closes them with the check."""

    def __init__(self, sync, transport):
        self.sync = sync
        self.transport = transport
        self.peers = []

    async def open(self, user, namespace="/", auth=None, relayed=False):
        """Connects, and answers once it is connected."""
        peer = Peer(self.sync, namespace)
        self.peers.append(peer)
        if auth is None:
            auth = {"token": await asyncio.to_thread(token, user)}
        await peer.dial(self.transport, auth, relayed)
        await peer.expect("connect")
        return peer

    async def members(self, room, *users):
        """Several in one room."""
        peers = [await self.open(user) for user in users]
        for peer in peers:
            await peer.join(room)
        return peers

    async def close(self):
        """Closes what the check has opened."""
        for peer in self.peers:
            await peer.call("disconnect")
        self.peers.clear()
