//! Sockets that change hands: from one slot to another, and from one shard to another.
//!
//! With a socket go its TLS, the bytes that are held of it, and what is known of its end. Epoll is
//! edge-triggered: to be watched under another number a socket is armed anew, and whatever it has
//! is told again. Called by the shard in the midst of a turn, so what is then to be read is asked
//! for at the turn's end ([`Sockets::rebound`]).

use rustix::event::epoll::{self, EventData};

use super::{Socket, Sockets, WATCHED, Wire, data};
use crate::connection::ConnKey;

impl Sockets {
    /// Gives a connection's socket away, and the bytes that were read of it and are held. It is
    /// watched here no more; the census is not told.
    pub fn remove(&mut self, key: ConnKey) -> Option<(Wire, Box<[u8]>)> {
        self.get(key)?;
        let fd = std::mem::replace(&mut self.slots[key.index], Socket::NONE).fd?;
        // It was watched, or it would not be here.
        let _ = epoll::delete(&self.epoll, &fd);
        let tls = self.sessions.get_mut(key.index).and_then(Option::take);
        Some((Wire { fd, tls }, self.take_held(key.index).unwrap_or_default()))
    }

    /// Makes the socket of a slot that of another, which has none. What is held of it from now on
    /// under its old key goes to the new one, until the turn is over.
    pub(super) fn give(&mut self, from: u32, to: ConnKey) {
        // One that epoll refused has no socket; the shard is about to hear so.
        let Some(socket) = self.slots.get_mut(from) else { return };
        let Socket { fd: Some(fd), generation, hung_up, .. } =
            std::mem::replace(socket, Socket::NONE)
        else {
            return;
        };
        let tls = self.sessions.get_mut(from).and_then(Option::take);
        if epoll::modify(&self.epoll, &fd, EventData::new_u64(data(to)), WATCHED).is_err() {
            // It was watched, so this is not to happen: a socket of which nobody hears is closed.
            debug_assert!(false, "a socket that is watched can be watched otherwise");
            return;
        }
        self.slots.reach(to.index, || Socket::NONE);
        debug_assert!(self.slots[to.index].fd.is_none(), "one socket takes another's place");
        self.slots[to.index] =
            Socket { fd: Some(fd), generation: to.generation, hung_up, ..Socket::NONE };
        if tls.is_some() {
            self.sessions.reach(to.index, || None);
            self.sessions[to.index] = tls;
        }
        if let Some(held) = self.held.remove(&from) {
            self.held.insert(to.index, held);
        }
        self.rebound.push((ConnKey { index: from, generation }, to));
    }

    /// A connection that got another's socket since the last call, and is to be read: whether it
    /// was to be, or waited, is for its new slot to say. Until there is none, at the end of a turn.
    pub fn rebound(&mut self) -> Option<ConnKey> {
        self.rebound.pop().map(|(_, to)| to)
    }

    /// Whose socket a connection's is by now.
    pub(super) fn holder(&self, key: ConnKey) -> ConnKey {
        if self.get(key).is_some() {
            return key;
        }
        // The last is the one that was just read.
        let moved = self.rebound.iter().rev().find(|(from, _)| *from == key);
        moved.map_or(key, |(_, to)| *to)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{IpAddr, Ipv4Addr};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;

    use super::super::{Read, Waker};
    use super::*;
    use crate::limits::READ_BUFFER_BYTES;
    use crate::node::census::Census;
    use crate::node::tls::Session;
    use crate::shard::{Port, Sent};

    const PROBE: ConnKey = ConnKey { index: 3, generation: 9 };
    /// On another page.
    const ENGINE: ConnKey = ConnKey { index: 700, generation: 1 };

    fn sockets() -> Sockets {
        let (_, watched) = Waker::new().unwrap();
        Sockets::new(watched, Arc::new(Census::new(10, 0))).unwrap()
    }

    fn connect(sockets: &mut Sockets, key: ConnKey) -> UnixStream {
        let (fd, client) = UnixStream::pair().unwrap();
        client.set_nonblocking(true).unwrap();
        sockets.insert(key, Wire { fd: fd.into(), tls: None }).unwrap();
        client
    }

    /// Who is to be read and who can be sent to.
    fn poll(sockets: &mut Sockets) -> (Vec<ConnKey>, Vec<ConnKey>) {
        let (mut ready, mut writable) = (Vec::new(), Vec::new());
        sockets.poll(&mut ready, &mut writable);
        (ready, writable)
    }

    fn read(sockets: &mut Sockets, key: ConnKey) -> Vec<u8> {
        let (mut buffer, mut came) = (vec![0; READ_BUFFER_BYTES], Vec::new());
        while let Read::More(bytes) | Read::Drained(bytes) = sockets.read(key, &mut buffer) {
            came.extend_from_slice(&buffer[..bytes]);
        }
        came
    }

    #[test]
    fn what_came_before_and_after_is_read_in_the_new_slot() {
        let mut sockets = sockets();
        let mut client = connect(&mut sockets, PROBE);
        assert_eq!(poll(&mut sockets).1, [PROBE]);
        client.write_all(b"unread").unwrap();
        // The event is told, and nothing of it read.
        assert_eq!(poll(&mut sockets).0, [PROBE]);
        sockets.hold(PROBE, b"held, ");
        Port::rebind(&mut sockets, PROBE.index, ENGINE);
        // The rest of the read that made it change hands goes first.
        sockets.hold(PROBE, b"first, ");
        assert_eq!(sockets.rebound(), Some(ENGINE));
        assert_eq!(sockets.rebound(), None);
        assert!(sockets.begin(ENGINE) && !sockets.begin(PROBE));
        // Armed anew: all of it is told under the new number.
        assert_eq!(poll(&mut sockets), (vec![], vec![ENGINE]));
        assert_eq!(read(&mut sockets, PROBE), b"");
        assert_eq!(read(&mut sockets, ENGINE), b"first, held, unread");
        assert_eq!(sockets.held_bytes(), 0);
        sockets.was_read(ENGINE, false, false);
        client.write_all(b"later").unwrap();
        assert_eq!(poll(&mut sockets).0, [ENGINE]);
        assert_eq!(read(&mut sockets, ENGINE), b"later");
        assert_eq!(sockets.send(PROBE.index, b"x"), Sent::Gone);
        assert_eq!(sockets.send(ENGINE.index, b"x"), Sent::Bytes(1));
        // The old key is nobody's once the turn is over.
        sockets.hold(PROBE, b"lost");
        assert_eq!(sockets.held_bytes(), 0);
    }

    #[test]
    fn an_end_that_was_told_is_known_in_the_new_slot() {
        let mut sockets = sockets();
        let client = connect(&mut sockets, PROBE);
        drop(client);
        poll(&mut sockets);
        assert!(sockets.is_hung_up(PROBE));
        Port::rebind(&mut sockets, PROBE.index, ENGINE);
        assert!(sockets.is_hung_up(ENGINE) && !sockets.is_hung_up(PROBE));
        assert!(sockets.begin(ENGINE));
        assert_eq!(sockets.read(ENGINE, &mut vec![0; READ_BUFFER_BYTES]), Read::End);
    }

    #[test]
    fn a_pause_ends_with_the_slot_that_made_it() {
        let mut sockets = sockets();
        let _client = connect(&mut sockets, PROBE);
        sockets.was_read(PROBE, false, true);
        Port::rebind(&mut sockets, PROBE.index, ENGINE);
        assert!(!sockets.resume(ENGINE) && !sockets.resume(PROBE));
        assert!(sockets.begin(ENGINE));
    }

    #[test]
    fn a_slot_without_a_socket_gives_none() {
        let mut sockets = sockets();
        Port::rebind(&mut sockets, PROBE.index, ENGINE);
        let _client = connect(&mut sockets, PROBE);
        Port::rebind(&mut sockets, PROBE.index + 1, ENGINE);
        assert_eq!(sockets.rebound(), None);
        assert!(sockets.begin(PROBE) && !sockets.begin(ENGINE));
    }

    #[test]
    fn a_socket_goes_to_another_shard_with_all_that_came() {
        let (mut here, mut there) = (sockets(), sockets());
        let mut client = connect(&mut here, PROBE);
        client.write_all(b"unread").unwrap();
        poll(&mut here);
        here.hold(PROBE, b"held, ");
        let other = ConnKey { generation: 8, ..PROBE };
        assert!(here.remove(other).is_none());
        let (wire, held) = here.remove(PROBE).unwrap();
        assert!(here.remove(PROBE).is_none() && here.held_bytes() == 0);
        client.write_all(b", later").unwrap();
        assert_eq!(poll(&mut here), (vec![], vec![]));
        assert_eq!(read(&mut here, PROBE), b"");
        there.insert(ENGINE, wire).unwrap();
        there.hold(ENGINE, &held);
        assert_eq!(poll(&mut there), (vec![ENGINE], vec![ENGINE]));
        assert_eq!(read(&mut there, ENGINE), b"held, unread, later");
        // The slot may serve another.
        let _next = connect(&mut here, PROBE);
        assert_eq!(poll(&mut here).1, [PROBE]);
    }

    #[test]
    fn tls_goes_along() {
        let certificate = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key)
            .unwrap();
        let tls = Some(Box::new(Session::new(Arc::new(config)).unwrap()));
        let mut sockets = sockets();
        let (fd, _client) = UnixStream::pair().unwrap();
        sockets.insert(PROBE, Wire { fd: fd.into(), tls }).unwrap();
        let plain = ConnKey { index: 5, generation: 0 };
        let _plain = connect(&mut sockets, plain);
        Port::rebind(&mut sockets, PROBE.index, ENGINE);
        assert!(sockets.remove(plain).unwrap().0.tls.is_none());
        // Who gets the slot next does not speak it.
        let _next = connect(&mut sockets, PROBE);
        assert!(sockets.remove(PROBE).unwrap().0.tls.is_none());
        assert!(sockets.remove(ENGINE).unwrap().0.tls.is_some());
        assert!(sockets.sessions.get(ENGINE.index).unwrap().is_none());
    }

    #[test]
    fn who_was_never_counted_is_not_counted_out() {
        let (_, watched) = Waker::new().unwrap();
        let census = Arc::new(Census::new(10, 0));
        let mut sockets = Sockets::new(watched, Arc::clone(&census)).unwrap();
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        census.enter(address).unwrap();
        let mut client = connect(&mut sockets, PROBE);
        sockets.hold(PROBE, b"held");
        sockets.discard(PROBE.index);
        assert_eq!((census.connections(), sockets.held_bytes()), (1, 0));
        assert!(sockets.has_closed() && sockets.remove(PROBE).is_none());
        let end = client.read(&mut [0]);
        assert!(matches!(end, Ok(0)) || end.is_err_and(|it| it.kind() != ErrorKind::WouldBlock));
        let _other = connect(&mut sockets, PROBE);
        sockets.close(PROBE.index, address);
        assert_eq!(census.connections(), 0);
    }
}
