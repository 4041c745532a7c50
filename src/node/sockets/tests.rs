//! Sockets that hold bytes.

use std::io::Write;
use std::os::unix::net::UnixStream;

use super::*;

#[test]
fn more_is_held_than_one_read_takes() {
    let (_waker, watched) = Waker::new().unwrap();
    let mut sockets = Sockets::new(watched, Arc::new(Census::new(1, 0))).unwrap();
    let (fd, mut client) = UnixStream::pair().unwrap();
    let key = ConnKey { index: 3, generation: 0 };
    sockets.insert(key, Wire { fd: fd.into(), tls: None }).unwrap();
    let early: Vec<u8> = (0..2 * READ_BUFFER_BYTES + 10).map(|at| at as u8).collect();
    sockets.hold(key, &early);
    client.write_all(b"later").unwrap();
    let (mut buffer, mut came) = (vec![0; READ_BUFFER_BYTES], Vec::new());
    loop {
        assert_eq!(sockets.held_bytes(), early.len() - came.len().min(early.len()));
        match sockets.read(key, &mut buffer) {
            Read::More(bytes) => {
                // Not all is taken at once, as where it causes much work.
                let taken = bytes.div_ceil(3);
                came.extend_from_slice(&buffer[..taken]);
                sockets.hold(key, &buffer[taken..bytes]);
            }
            Read::Drained(bytes) => break came.extend_from_slice(&buffer[..bytes]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(came, [&early, &b"later"[..]].concat());
}
