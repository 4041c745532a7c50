"""What a user of python-socketio sees of the broker: rooms, acknowledgements, bytes, messages to a
socket, refusals, the notification gateway, a cut connection; with its asyncio client and with its
synchronous one, over each of its transports (protocols.md sections 5 and 11).

Run through with-broker.mjs with --relay, with ../shardwire.toml.
"""

import asyncio
import sys
from pathlib import Path

import socketio

sys.path.append(str(Path(__file__).parents[2] / "lib"))

from checks import Checks, same
from client import TRANSPORTS, Kind, Peer, cut, post, publish

BYTES = bytes(range(256))
MESSAGES = 100
# Of a poll's answer with more than 16 packets the client makes a transport error.
BURST = 5
NOTIFICATION = {"id": 7, "message": "Paid 日本", "sentAt": "2026-01-31T12:00:00.000Z", "readAt": None}


def stripped(message):
    """A message less what the broker adds."""
    return {key: value for key, value in message.items() if key not in ("id", "timestamp")}


async def rooms(kind):
    ann, bob = await kind.open("ann"), await kind.open("bob")
    same(await ann.join("python"), 1, "members")
    same(await bob.join("python"), 2, "members")
    same(await ann.join("python"), 2, "members when joined again")
    sent = {"from": "bob", "room": "python", "content": {"é": [1.5, None]}, "type": "text"}
    told = await bob.ask("message", sent)
    same(told["success"], True, "success")
    for peer in (ann, bob):
        message = await peer.expect("message")
        same(stripped(message), sent)
        same((message["id"], message["timestamp"]), (told["id"], told["timestamp"]))
    same(await ann.ask("leave_room", {"room": "python"}), {"success": True, "room": "python"})
    same(await ann.expect("room_left"), {"success": True, "room": "python"})
    await bob.ask("message", {"room": "python", "content": 2})
    same((await bob.expect("message"))["content"], 2)
    await ann.quiet()


async def order(kind):
    peers = await kind.members("python-order", "ann", "bob")
    following = {peer: {"ann": 0, "bob": 0} for peer in peers}
    for start in range(0, MESSAGES, BURST):
        for n in range(start, start + BURST):
            for peer in peers:
                await peer.emit("message", {"room": "python-order", "content": n})
        for peer in peers:
            for _ in range(BURST * len(peers)):
                message = await peer.expect("message")
                sender = message["from"]
                same(message["content"], following[peer][sender], f"the next of {sender}")
                following[peer][sender] += 1
    for peer in peers:
        await peer.quiet()


async def published(kind):
    (ann,) = await kind.members("python-http", "ann")
    for data in ({"n": 1}, [1, "two"], "text", 7):
        same(await publish("python-http", data, "news"), 1, "delivered")
        same(await ann.expect("news"), data)
    await ann.quiet()


async def binary(kind):
    peers = await kind.members("python-bytes", "ann", "bob")
    sent = {"from": "ann", "room": "python-bytes", "content": [BYTES, b""], "type": "file"}
    same((await peers[0].ask("message", sent))["success"], True, "success")
    for peer in peers:
        same(stripped(await peer.expect("message")), sent)
        await peer.quiet()


async def direct(kind):
    ann, bob = await kind.open("ann"), await kind.open("bob")
    answer = await ann.ask("message", {"to": bob.sid, "content": b"psst"})
    same((answer["success"], answer["delivered"]), (True, 1))
    same((await bob.expect("message"))["content"], b"psst")
    same((await ann.ask("message", {"to": "nobody", "content": 1}))["delivered"], 0, "delivered")
    await ann.quiet()


async def people(kind):
    ann, bob = await kind.members("python-people", "ann", "bob")
    await ann.emit("typing_start", {"room": "python-people"})
    typing = await bob.expect("typing_start")
    same((typing["room"], typing["userId"], typing["socketId"]), ("python-people", "ann", ann.sid))
    await ann.emit("presence_update", "away")
    presence = await bob.expect("presence_update")
    same((presence["userId"], presence["status"]), ("ann", "away"))
    await ann.quiet()


async def refusals(kind):
    ann = await kind.open("ann")
    for event, by, data, code in (
        ("join_room", "room_error", {"room": "a..b"}, "INVALID_ROOM"),
        ("join_room", "room_error", {"room": "admin.x"}, "AUTHORIZATION_FAILED"),
        ("message", "error", {"room": "not-joined", "content": 1}, "AUTHORIZATION_FAILED"),
        ("message", "error", {"content": 1}, "INVALID_MESSAGE"),
        ("dance", "error", "python", "INVALID_MESSAGE"),
    ):
        answer = await ann.ask(event, data)
        same((answer["success"], answer["code"]), (False, code), event)
        same((await ann.expect(by))["code"], code, by)


async def bad_token(kind):
    for auth in ({"token": "garbage"}, {}):
        peer = Peer(kind.sync)
        kind.peers.append(peer)
        try:
            await peer.dial(kind.transport, auth)
        except socketio.exceptions.ConnectionError:
            error = await peer.expect("connect_error")
            same((error["message"], error["data"]["code"]), ("AUTHENTICATION_FAILED",) * 2)
        else:
            raise AssertionError("let in")


async def gateway(kind):
    gina, bob = await kind.open("gina", "/ws"), await kind.open("bob", "/ws")
    for peer in (gina, bob):
        same(await peer.ask("SUBSCRIBE_NOTIFICATIONS"), {"success": True})
    same(await post("/api/users/gina/notify", {"message": NOTIFICATION}), {"delivered": 1})
    same(await gina.expect("NEW_NOTIFICATION"), NOTIFICATION)
    await post("/api/users/bob/notify", {"message": {**NOTIFICATION, "id": 8}})
    same((await bob.expect("NEW_NOTIFICATION"))["id"], 8)


async def gateway_refused(kind):
    for auth, text in (({"user": "ann"}, "Missing token"), ({"token": "garbage"}, "Invalid token")):
        peer = await kind.open(None, "/ws", auth)
        await peer.emit("SUBSCRIBE_NOTIFICATIONS")
        same(await peer.expect("ERROR"), text)
        await peer.expect("disconnect")


async def comes_back(kind):
    ann = await kind.open("ann", relayed=True)
    await ann.join("python-cut")
    sid = ann.sid
    await cut()
    await ann.expect("disconnect")
    event = None
    while event != "connect":
        event, *_ = await ann.next("connect")
    if ann.sid == sid:
        raise AssertionError("the same id")
    await ann.join("python-cut")
    await publish("python-cut", 1, "news")
    same(await ann.expect("news"), 1)


async def main():
    checks = Checks("python-socketio")
    for sync in (False, True):
        for transport in TRANSPORTS:
            kind = Kind(sync, transport)
            form = f"{'sync' if sync else 'asyncio'} {transport}"
            for name, run in {
                "rooms: join, message to all, leave": rooms,
                "messages from two in their order, once": order,
                "a publish over HTTP is an event": published,
                "bytes in a message": binary,
                "a message to a socket's id": direct,
                "typing and presence": people,
                "refusals as event and acknowledgement": refusals,
                "a bad token": bad_token,
                "the notification gateway": gateway,
                "the gateway without a good token": gateway_refused,
                "a cut connection comes back": comes_back,
            }.items():
                await checks.check(f"{form}: {name}", lambda: run(kind))
                await kind.close()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
