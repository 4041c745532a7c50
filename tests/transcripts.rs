//! Golden transcripts: what is said on each endpoint and what is answered, to the byte.
//!
//! `tests/transcripts/*.txt` are conversations in a form to be read (`script.rs`), played with real
//! shards in virtual time (`player.rs`). They are the contract by example: protocols.md sections 3,
//! 4 and 11, and the clients of the systems that the broker replaces.

#[path = "transcripts/client.rs"]
mod client;
#[path = "transcripts/player.rs"]
mod player;
#[path = "transcripts/script.rs"]
mod script;
#[path = "transcripts/setting.rs"]
mod setting;

use std::fs;
use std::path::{Path, PathBuf};

/// Transcripts of dialects that shards do not speak yet. Each must fail: who makes one pass takes it
/// off the list.
const TO_COME: &[&str] = &[];

/// Name and text of each transcript.
fn transcripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = fs::read_dir(folder).expect("the folder of this test");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "txt")).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("a text"))
    };
    paths.iter().map(read).collect()
}

#[test]
fn every_transcript_holds() {
    let all = transcripts();
    assert!(all.len() > TO_COME.len(), "transcripts are missing");
    for name in TO_COME {
        assert!(
            all.iter().any(|(there, _)| there == name),
            "{name}.txt is on a list and not there"
        );
    }
    let mut wrong = Vec::new();
    for (name, text) in &all {
        match (player::play(text), TO_COME.contains(&&**name)) {
            (Ok(()), false) => {}
            (Err(why), true) => println!("{name}.txt is still to come: {why}"),
            (Ok(()), true) => wrong.push(format!("{name}.txt holds: take it off the list")),
            (Err(why), false) => wrong.push(format!("{name}.txt, {why}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is on no list is checked to be readable at least: a transcript to come fails for what
/// shards do not do, never for its own form.
#[test]
fn every_line_is_one() {
    for (name, text) in transcripts() {
        for (number, line) in (1..).zip(text.lines().map(str::trim_end)) {
            let speaks = !line.is_empty() && !line.starts_with('#') && !line.starts_with("== ");
            assert!(!speaks || script::line(line).is_some(), "{name}.txt, line {number}: {line}");
        }
    }
}

#[test]
fn a_transcript_that_is_wrong_fails() {
    const OPEN: &str = "ann opens /echo on 0\n";
    for (text, why) in [
        ("", "no scene"),
        ("ann > hello", "nobody is called ann"),
        ("ann opens /nowhere on 0", "there is no endpoint"),
        ("ann opens /echo on 2", "there is no such shard"),
        ("set nothing 1", "no such setting"),
        (&format!("{OPEN}ann > hello\n"), "at the end ann has heard more"),
        (&format!("{OPEN}ann > hello\nann > hello\n"), "line 3: ann has heard more"),
        (&format!("{OPEN}ann > hello\nann < Hello\n"), "hears other than it says"),
        (&format!("{OPEN}ann < hello\n"), "ann hears nothing"),
        (&format!("{OPEN}set shards 1\n"), "ahead of all else"),
        (&format!("{OPEN}ann > ${{T}}\n"), "names what is not there"),
        (&format!("{OPEN}ann sings\n"), "is no line"),
        (&format!("{OPEN}== another scene\nann > hello\n"), "nobody is called ann"),
        ("server > publish a 1\n", "server has heard more"),
    ] {
        let failure = player::play(text).expect_err(text);
        assert!(failure.contains(why), "{text}\n{failure}");
    }
    player::play(&format!("{OPEN}ann > hello\nann < hello\n")).expect("a transcript that holds");
}
