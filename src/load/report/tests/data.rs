//! The page and hostile texts: nothing that a server or a file name says becomes markup or script.

use super::fixture;
use crate::load::judge;
use crate::load::outcome::Outcome;
use crate::load::report::page;

/// What breaks out of an element, an attribute, a script or a template.
const HOSTILE: &str =
    "</script><script>alert(1)</script><!-- \"' onload=x {{data}} ]]> \u{2028} </style> &lt;";

fn hostile() -> Outcome {
    let mut outcome = fixture::outcome();
    for text in [
        &mut outcome.started,
        &mut outcome.command,
        &mut outcome.version,
        &mut outcome.machine.processor,
        &mut outcome.machine.kernel,
        &mut outcome.scenario.name,
        &mut outcome.scenario.target.host,
        &mut outcome.scenario.target.path,
    ] {
        *text = HOSTILE.to_owned();
    }
    outcome.remarks = vec![HOSTILE.to_owned()];
    outcome.connecting.failed = 1;
    outcome.connecting.reasons = vec![HOSTILE.to_owned()];
    outcome.faults = judge::faults(&outcome, 0);
    assert_eq!(outcome.faults.len(), 1);
    outcome
}

/// The text between the first two.
fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    page.split_once(from).unwrap().1.split_once(to).unwrap().0
}

#[test]
fn hostile_texts_stay_texts() {
    let clean = page::of(&fixture::outcome());
    let page = page::of(&hostile());
    for markup in ["<script", "</script", "<style", "</style", "<!--", "onload=x"] {
        let allowed = clean.matches(markup).count();
        let found = page.matches(markup).count();
        // In escaped text an attribute's name is a word like any other.
        if markup != "onload=x" {
            assert_eq!(found, allowed, "{markup}");
        }
    }
    assert!(!page.contains("<script>alert"), "a script came in");
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"), "it is shown as text");
    assert!(page.contains("{{data}}"), "a hole in a text is not filled");
    let title = between(&page, "<title>", "</title>");
    assert!(!title.contains('<') && !title.contains('"'), "{title}");
}

#[test]
fn the_page_carries_the_outcome() {
    for outcome in [fixture::outcome(), fixture::idle(), hostile()] {
        let page = page::of(&outcome);
        let text = between(&page, "<script id=\"outcome\" type=\"application/json\">", "</script>");
        assert!(!text.contains(['<', '>', '&']), "nothing in it is markup");
        let back: Outcome = serde_json::from_str(text).unwrap();
        let same =
            serde_json::to_string(&back).unwrap() == serde_json::to_string(&outcome).unwrap();
        assert!(same, "it reads back as it was");
    }
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = page::of(&fixture::outcome());
    assert!(page.contains("default-src 'none'"));
    for asking in ["src=\"", "@import", "url(", "<iframe", "<img", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(asking), "{asking}");
    }
    let links: Vec<_> = page.match_indices("href=\"").map(|(at, _)| &page[at..at + 12]).collect();
    assert_eq!(links.len(), 2, "an empty icon, the JSON: {links:?}");
    assert!(page.contains("Copyright (c)") && page.contains("uPlot (v1.6.32)"));
}

#[test]
fn what_was_not_measured_has_no_plot() {
    let whole = page::of(&fixture::outcome());
    let idle = page::of(&fixture::idle());
    for id in ["curve", "latency", "rates", "memory", "floor"] {
        let place = format!("<div id=\"plot-{id}\"");
        assert!(whole.contains(&place), "{id}");
        assert!(!idle.contains(&place), "{id}");
    }
    for id in ["open", "cpu"] {
        assert!(idle.contains(&format!("<div id=\"plot-{id}\"")), "{id}");
    }
}
