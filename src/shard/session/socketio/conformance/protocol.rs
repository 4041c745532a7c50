//! The suite of the Socket.IO protocol: in each of its namespaces a socket hears what it said of
//! itself, and gets back what it says, in an event or as the acknowledgement.

use super::super::Said;
use crate::shard::hub::Hub;
use crate::wire::socketio::Args;

impl Hub {
    pub(super) fn enter_protocol_suite(&mut self, conn: u32, auth: &str) {
        self.emit_named(conn, None, "auth", &[auth], &[]);
    }

    pub(super) fn on_protocol_event(&mut self, said: &Said<'_>, name: &str, args: &Args<'_>) {
        let raw = args.raw();
        match name {
            "message" => {
                let args: &[&str] = if args.is_empty() { &[] } else { &[raw] };
                self.emit_named(said.socket, None, "message-back", args, said.attachments);
            }
            "message-with-ack" => self.acknowledge_with(said, raw),
            _ => {}
        }
    }
}
