"""Whether one contestant does what it is measured by: who subscribes gets each message once.

    check.py DIALECT URL

Two subscribers and a publisher; one message, then a burst, both to both subscribers, in order. In
the dialect `topics` also patterns: one message for a connection that two of its patterns match.
Runs in the harness's own environment (it needs `websockets`). Exit status 1 with what went wrong.
"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect

TOPIC = "check.all"
BURST = 16
SECONDS_MAX = 5
SILENCE_SECONDS = 0.2


class Topics:
    """Shardwire's own dialect."""

    subprotocols = None
    members_alone_publish = False

    def __init__(self, url):
        self.url = url

    async def open(self, _role):
        return await connect(self.url, compression=None, subprotocols=self.subprotocols)

    async def subscribe(self, socket, topic=TOPIC):
        await socket.send(json.dumps({"type": "subscribe", "topic": topic}))
        reply = json.loads(await socket.recv())
        assert (reply["type"], reply["topic"]) == ("subscribed", topic), reply

    async def publish(self, socket, text, topic=TOPIC):
        await socket.send(json.dumps({"type": "message", "topic": topic, "data": text}))

    async def receive(self, socket):
        """The texts of the next deliveries: as many as one frame brings."""
        frame = json.loads(await socket.recv())
        assert (frame["type"], frame["eventType"]) == ("message", "message"), frame
        assert frame["metadata"] == {} and frame["timestamp"].endswith("Z"), frame
        return [frame["data"]]


class SocketIo(Topics):
    """Engine.IO 4 and Socket.IO 5, as much of them as it takes."""

    # To a room of theirs; they hear what they say.
    members_alone_publish = True

    async def open(self, _role):
        socket = await connect(f"{self.url}?EIO=4&transport=websocket", compression=None)
        assert (await self.text(socket)).startswith("0{")
        await socket.send("40")
        assert (await self.text(socket)).startswith("40{")
        return socket

    async def text(self, socket):
        """The next frame that is not a heartbeat."""
        while (frame := await socket.recv()) == "2":
            await socket.send("3")
        return frame

    async def subscribe(self, socket, topic=TOPIC):
        await socket.send("421" + json.dumps(["join_room", {"room": topic}]))
        replies = sorted([await self.text(socket), await self.text(socket)])
        assert replies[0].startswith('42["room_joined",') and replies[1].startswith("431["), replies
        joined = json.loads(replies[0][2:])[1]
        assert joined["success"] and joined["room"] == topic and joined["memberCount"] > 0, joined

    async def publish(self, socket, text, topic=TOPIC):
        message = {"from": "check", "room": topic, "content": text, "type": "text"}
        await socket.send("42" + json.dumps(["message", message]))

    async def receive(self, socket):
        event, message = json.loads((await self.text(socket)).removeprefix("42"))
        assert event == "message" and message["room"] == TOPIC, (event, message)
        assert "id" in message and "timestamp" in message, message
        return [message["content"]]


class Nats(Topics):
    """The text protocol of NATS, in binary frames."""

    async def open(self, _role):
        socket = await super().open(_role)
        assert (await socket.recv()).startswith(b"INFO ")
        await socket.send(b'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n')
        assert await socket.recv() == b"PONG\r\n"
        return socket

    async def subscribe(self, socket, topic=TOPIC):
        await socket.send(f"SUB {topic} 1\r\nPING\r\n".encode())
        assert await socket.recv() == b"PONG\r\n"

    async def publish(self, socket, text, topic=TOPIC):
        await socket.send(f"PUB {topic} {len(text)}\r\n{text}\r\n".encode())

    async def receive(self, socket):
        lines = (await socket.recv()).decode().split("\r\n")
        assert all(line.startswith(f"MSG {TOPIC} 1 ") for line in lines[0:-1:2]), lines
        return lines[1::2]


class Nchan(Topics):
    """A path a topic; a frame a message."""

    async def open(self, role):
        return await connect(f"{self.url}{role}/{TOPIC}", compression=None)

    async def subscribe(self, socket, topic=TOPIC):
        """The path has said it all."""

    async def publish(self, socket, text, topic=TOPIC):
        await socket.send(text)
        assert "queued messages" in await socket.recv()

    async def receive(self, socket):
        return [await socket.recv()]


class Mqtt(Topics):
    """MQTT 3.1.1, quality of service 0; every packet here is shorter than 128 bytes."""

    subprotocols = ["mqtt"]

    @staticmethod
    def packet(kind, *parts):
        body = b"".join(parts)
        return bytes([kind, len(body)]) + body

    @staticmethod
    def string(text):
        return len(text).to_bytes(2, "big") + text.encode()

    async def open(self, _role):
        socket = await super().open(_role)
        header = self.string("MQTT") + bytes([4, 2, 0, 60])
        await socket.send(self.packet(0x10, header, self.string("")))
        assert await socket.recv() == b"\x20\x02\x00\x00"
        return socket

    async def subscribe(self, socket, topic=TOPIC):
        await socket.send(self.packet(0x82, b"\x00\x01", self.string(topic), b"\x00"))
        assert await socket.recv() == b"\x90\x03\x00\x01\x00"

    async def publish(self, socket, text, topic=TOPIC):
        await socket.send(self.packet(0x30, self.string(topic), text.encode()))

    async def receive(self, socket):
        frame, texts = await socket.recv(), []
        while frame:
            assert frame[0] == 0x30, frame
            packet, frame = frame[2 : 2 + frame[1]], frame[2 + frame[1] :]
            texts.append(packet[2 + len(TOPIC) :].decode())
        return texts


DIALECTS = {"topics": Topics, "socketio": SocketIo, "nats": Nats, "nchan": Nchan, "mqtt": Mqtt}


async def expect(dialect, socket, texts):
    received = []
    while len(received) < len(texts):
        received += await dialect.receive(socket)
    assert received == texts, f"{received} instead of {texts}"


async def silence(dialect, socket):
    """Waits for an answer of the server and a little longer: nothing may come beside."""
    await (await socket.ping())
    try:
        texts = await asyncio.wait_for(dialect.receive(socket), SILENCE_SECONDS)
    except TimeoutError:
        return
    raise AssertionError(f"one too many: {texts}")


async def check(dialect):
    subscribers = [await dialect.open("sub") for _ in range(2)]
    for socket in subscribers:
        await dialect.subscribe(socket)
    publisher = await dialect.open("pub")
    hearers = subscribers
    if dialect.members_alone_publish:
        await dialect.subscribe(publisher)
        hearers = [*subscribers, publisher]
    await dialect.publish(publisher, "first")
    for socket in hearers:
        await expect(dialect, socket, ["first"])
    burst = [f"burst {number}" for number in range(BURST)]
    for text in burst:
        await dialect.publish(publisher, text)
    for socket in hearers:
        await expect(dialect, socket, burst)
    if type(dialect) is Topics:
        for pattern in ("check.*", "**"):
            await dialect.subscribe(subscribers[0], pattern)
        await dialect.subscribe(publisher, "other.*")
        await dialect.publish(publisher, "patterns")
        for socket in subscribers:
            await expect(dialect, socket, ["patterns"])
    for socket in [*subscribers, publisher]:
        await silence(dialect, socket)
        await socket.close()


async def main(name, url):
    async with asyncio.timeout(SECONDS_MAX):
        await check(DIALECTS[name](url))


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (AssertionError, TimeoutError, OSError) as failure:
        sys.exit(f"{type(failure).__name__}: {failure}")
