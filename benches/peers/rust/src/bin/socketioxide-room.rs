//! A room server on socketioxide and axum: join a room, send to a room. The events are those of
//! shardwire's `socketio` dialect.
//!
//! `socketioxide-room PORT [WORKERS]`

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use axum::Router;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shardwire_peers::run;
use socketioxide::extract::{AckSender, Data, SocketRef};
use socketioxide::{SocketIo, TransportType};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Packets that may wait for one connection.
const OUTBOX_PACKETS_MAX: usize = 4096;

#[derive(Deserialize)]
struct JoinRoom {
    room: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RoomJoined {
    success: bool,
    room: String,
    member_count: usize,
}

#[derive(Deserialize, Serialize)]
struct RoomMessage {
    room: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize)]
struct Stamped {
    #[serde(flatten)]
    message: RoomMessage,
    id: u64,
    timestamp: String,
}

fn main() -> io::Result<()> {
    let (layer, io) = SocketIo::builder()
        .transports([TransportType::Websocket])
        .max_buffer_size(OUTBOX_PACKETS_MAX)
        .build_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("join_room", join_room);
        socket.on("message", message);
    });
    run(Router::new().layer(layer))
}

async fn join_room(socket: SocketRef, Data(JoinRoom { room }): Data<JoinRoom>, ack: AckSender) {
    socket.join(room.clone());
    let member_count = socket.within(room.clone()).sockets().len();
    let joined = RoomJoined { success: true, room, member_count };
    let _ = ack.send(&joined);
    let _ = socket.emit("room_joined", &joined);
}

async fn message(io: SocketIo, Data(message): Data<RoomMessage>) {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    let room = message.room.clone();
    let stamped = Stamped {
        message,
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        timestamp: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
    };
    let _ = io.to(room).emit("message", &stamped).await;
}
