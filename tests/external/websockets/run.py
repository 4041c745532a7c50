"""What a user of Python's websockets sees of the broker: the core of the dialect `topics`,
compression, large messages, many clients at once (protocols.md sections 1, 2 and 3).

Run through with-broker.mjs, with shardwire.toml beside it.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from websockets.exceptions import ConnectionClosed, InvalidStatus

sys.path.append(str(Path(__file__).parents[1] / "lib"))

from checks import Checks, same
from client import URL, connect, dial, token

CLIENTS = 100
MESSAGES = 50


async def carriers():
    for carrier in ("header", "query", "subprotocol"):
        async with connect("alice", carrier=carrier) as client:
            same(client.socket.subprotocol, "bearer" if carrier == "subprotocol" else None)
            await client.subscribe("who")
            await client.send(type="message", topic="who", data=None)
            same((await client.expect("message"))["metadata"], {"senderId": "alice"}, carrier)


async def bad_token():
    try:
        async with dial(f"{URL}/ws?token=garbage", proxy=None):
            raise AssertionError("let in")
    except InvalidStatus as error:
        same(error.response.status_code, 401, "status")


async def auth_message():
    async with connect() as client:
        same((await client.ask(type="subscribe", topic="a"))["code"], 401)
        same((await client.ask(type="auth", token="garbage"))["type"], "auth_error")
        reply = await client.ask(type="auth", token=token("bob"))
        same((reply["type"], reply["userId"]), ("auth_success", "bob"))
        await client.subscribe("a")


async def three_failures():
    async with connect() as client:
        for _ in range(3):
            await client.send(type="auth", token="garbage")
        try:
            while True:
                await client.expect("auth_error")
        except ConnectionClosed as error:
            same(error.rcvd.code, 1008, "close code")


async def flow():
    async with connect("alice") as reader, connect("bob") as writer:
        await reader.subscribe("flow.*", "flow.**")
        reply = await writer.ask(type="message", topic="flow.x", data={"é": [1.5]}, id="i")
        same((reply["type"], reply["id"], reply["topic"]), ("published", "i", "flow.x"))
        message = await reader.expect("message")
        same((message["topic"], message["data"]), ("flow.x", {"é": [1.5]}))
        same(message["metadata"], {"senderId": "bob"}, "metadata")
        await reader.quiet()
        same((await reader.ask(type="unsubscribe", topic="flow.*"))["type"], "unsubscribed")
        await writer.send(type="message", topic="flow.y", data=2)
        same((await reader.expect("message"))["data"], 2)


async def errors():
    async with connect("alice") as client:
        await client.socket.send("no json")
        same((await client.expect("error"))["code"], 400)
        await client.socket.send(b"\xff\xfe")
        same((await client.expect("error"))["code"], 400)
        same((await client.ask(type="subscribe", topic="admin.x"))["code"], 403)
        await client.socket.send(b'{"type":"ping"}')
        await client.expect("pong")


async def fragments():
    async with connect("alice") as client:
        await client.subscribe("f")
        text = json.dumps({"type": "message", "topic": "f", "data": "é" * 1000})
        await client.socket.send(text[n : n + 7] for n in range(0, len(text), 7))
        same((await client.expect("message"))["data"], "é" * 1000)


async def control_frames():
    async with connect("alice") as client:
        waiter = await client.socket.ping(b"payload")
        await waiter
        await client.quiet()
        await client.socket.close(4000, "bye")
        same(client.socket.close_code, 4000, "close code")


async def compression():
    text = json.dumps([{"n": n, "name": "the same name"} for n in range(5000)])
    async with connect("alice") as packed, connect("bob", compression=None) as plain:
        names = [extension.name for extension in packed.socket.protocol.extensions]
        same((names, plain.socket.protocol.extensions), (["permessage-deflate"], []))
        await packed.subscribe("c")
        await plain.subscribe("c")
        for sender in (packed, plain):
            for _ in range(20):
                await sender.socket.send('{"type":"message","topic":"c","data":%s}' % text)
                for client in (packed, plain):
                    frame = await client.socket.recv()
                    if f'"data":{text}' not in frame:
                        raise AssertionError("not what was sent")


async def large_messages():
    for mode in ("deflate", None):
        async with connect("alice", compression=mode) as client:
            await client.subscribe("l")
            for size in (65_535, 65_536, 1 << 20, 4 << 20):
                data = os.urandom(size // 2).hex()
                await client.send(type="message", topic="l", data=data)
                if (await client.expect("message"))["data"] != data:
                    raise AssertionError(f"another text of {size} bytes")


async def too_large():
    async with connect("alice") as client:
        try:
            # Compressed it is small: what counts is the inflated size.
            await client.send(type="message", topic="l", data="x" * (8 << 20))
            await client.next()
            raise AssertionError("taken")
        except ConnectionClosed as error:
            same(error.rcvd.code, 1009, "close code")


async def many_clients():
    async def one(number, ready, go):
        async with connect("alice", compression="deflate" if number % 2 else None) as client:
            await client.subscribe("crowd.**")
            ready.release()
            await go.wait()
            if number < 10:
                for n in range(MESSAGES):
                    await client.send(type="message", topic=f"crowd.{number}", data=n)
            seen = {}
            for _ in range(10 * MESSAGES):
                message = await client.expect("message")
                topic = message["topic"]
                same(message["data"], seen.get(topic, -1) + 1, f"number on {topic}")
                seen[topic] = message["data"]
            same(seen, {f"crowd.{n}": MESSAGES - 1 for n in range(10)})
            await client.quiet()

    ready, go = asyncio.Semaphore(0), asyncio.Event()
    everyone = asyncio.gather(*(one(number, ready, go) for number in range(CLIENTS)))
    for _ in range(CLIENTS):
        await ready.acquire()
    go.set()
    await everyone


async def main():
    checks = Checks("websockets")
    for name, run in {
        "token by header, query and subprotocol": carriers,
        "a bad token at connect is HTTP 401": bad_token,
        "auth message": auth_message,
        "three failed auth messages are 1008": three_failures,
        "subscribe, publish, unsubscribe": flow,
        "errors leave the connection open": errors,
        "a message in fragments": fragments,
        "pings and our close": control_frames,
        "compressed and plain get the same text": compression,
        "messages up to 4 MiB": large_messages,
        "too large when inflated is 1009": too_large,
        f"{CLIENTS} clients at once, 10 of them publishing": many_clients,
    }.items():
        await checks.check(name, run)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
