//! What conformance suites ask of a server, said in our own words to a whole node: on one shard, and
//! on four, where the requests of a session come to others than its own.
//!
//! A table says which case of the protocols' two suites is which test of ours, so that none is
//! missing: cases are counted as the suites have them, from one on. What the suites of the stock
//! clients take for granted stands behind.

mod client;
mod engine;
mod messages;
mod stock_engine;
mod stock_socket;
mod world;

/// Where a case is tried.
#[derive(Clone, Copy)]
struct Place {
    path: &'static str,
    shards: u8,
}

/// The suite of Engine.IO, version 4.
const EIO: (&str, u8) = ("/engine.io/", 25);
/// The suite of Socket.IO, version 5.
const SIO: (&str, u8) = ("/socket.io/", 32);

/// Tries a case wherever its suites do.
fn try_out(numbers: &[((&'static str, u8), u8)], case: fn(Place)) {
    for ((path, _), _) in numbers {
        for shards in [1, 4] {
            case(Place { path, shards });
        }
    }
}

/// A test for each case, and the table.
macro_rules! cases {
    ($($module:ident :: $name:ident: $($suite:ident $number:literal),+;)*) => {
        $(
            #[test]
            fn $name() {
                try_out(&[$(($suite, $number)),+], $module::$name);
            }
        )*

        const TABLE: &[(&str, &[((&str, u8), u8)])] =
            &[$((stringify!($name), &[$(($suite, $number)),+])),*];
    };
}

cases! {
    engine::a_poll_opens_a_session: EIO 1, SIO 1;
    engine::a_poll_of_another_version_is_refused: EIO 2, SIO 2;
    engine::a_poll_of_no_transport_of_ours_is_refused: EIO 3, SIO 3;
    engine::a_session_is_opened_by_get: EIO 4, SIO 4;
    engine::a_websocket_opens_a_session: EIO 5, SIO 5;
    engine::a_websocket_of_another_version_is_refused: EIO 6, SIO 6;
    engine::a_websocket_of_no_transport_of_ours_is_refused: EIO 7, SIO 7;
    engine::a_text_comes_back_by_a_poll: EIO 8;
    engine::three_texts_come_back_by_one_poll: EIO 9;
    engine::bytes_come_back_by_a_poll: EIO 10;
    engine::what_is_no_packet_ends_a_polling_session: EIO 11;
    engine::a_second_poll_ends_the_session: EIO 12;
    engine::a_poll_that_goes_away_ends_the_session: EIO 13;
    engine::a_text_comes_back_over_a_websocket: EIO 14;
    engine::bytes_come_back_over_a_websocket: EIO 15;
    engine::what_is_no_packet_ends_a_websocket: EIO 16;
    engine::who_polls_is_pinged: EIO 17, SIO 8;
    engine::who_polls_and_does_not_answer_is_gone: EIO 18, SIO 9;
    engine::a_websocket_is_pinged: EIO 19, SIO 10;
    engine::a_websocket_that_does_not_answer_is_closed: EIO 20, SIO 11;
    engine::a_polling_session_is_ended: EIO 21, SIO 12;
    engine::a_websocket_session_is_ended: EIO 22, SIO 13;
    engine::a_websocket_takes_over: EIO 23, SIO 14;
    engine::nobody_polls_behind_a_websocket: EIO 24, SIO 15;
    engine::a_second_websocket_is_closed: EIO 25, SIO 16;
    messages::a_socket_connects: SIO 17;
    messages::a_socket_connects_and_says_who_it_is: SIO 18;
    messages::a_socket_connects_to_a_namespace: SIO 19;
    messages::a_socket_connects_to_a_namespace_and_says_who_it_is: SIO 20;
    messages::a_namespace_that_is_not_there_is_refused: SIO 21;
    messages::what_is_no_connect_packet_ends_the_engine: SIO 22;
    messages::an_engine_without_a_socket_is_closed: SIO 23;
    messages::a_socket_disconnects_and_the_engine_stays: SIO 24;
    messages::a_namespace_is_left_and_another_stays: SIO 25;
    messages::an_event_comes_back: SIO 26;
    messages::an_event_with_bytes_comes_back: SIO 27;
    messages::an_event_is_acknowledged: SIO 28;
    messages::an_event_with_bytes_is_acknowledged: SIO 29;
    messages::a_packet_of_no_type_ends_the_engine: SIO 30;
    messages::an_event_that_is_no_array_ends_the_engine: SIO 31;
    messages::an_acknowledgement_by_no_number_ends_the_engine: SIO 32;
}

#[test]
fn each_case_of_the_suites_is_there_once() {
    for (suite, count) in [EIO, SIO] {
        let all = TABLE.iter().flat_map(|(_, numbers)| *numbers);
        let of = all.filter(|((path, _), _)| *path == suite).map(|(_, number)| *number);
        let mut numbers: Vec<u8> = of.collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{suite}");
    }
}
