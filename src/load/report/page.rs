//! The outcome as one self-contained page: figures as tables, plots over them, no outside request.
//!
//! Everything that is told can be read without a script; the plots are drawn by uPlot (its file,
//! version and license stand in `page/`) from the whole outcome, which the page carries as JSON.
//! All texts are escaped: a server's close reason is nobody's markup. Called by `cli/bench`.

use std::fmt::Write as _;

use super::facts::{self, Fact, to_f64};
use super::{progress, search, setting};
use crate::load::judge;
use crate::load::numbers::{count, micros};
use crate::load::outcome::{Outcome, Percentiles, Phase, Sample};

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
const UPLOT: &str = include_str!("page/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("page/uPlot.min.css");
const UPLOT_LICENSE: &str = include_str!("page/uPlot.LICENSE");

/// It.
pub fn of(outcome: &Outcome) -> String {
    let told = facts::of(outcome);
    let word = match soundness(outcome, told.is_sound) {
        "unsound" => "FAILED: ",
        _ => "",
    };
    let title = format!("{}: {word}{}", outcome.scenario.name, told.verdict);
    filled(TEMPLATE, &|hole| match hole {
        "title" => escaped(&title),
        "name" => escaped(&outcome.scenario.name),
        "where" => escaped(&setting::url(&outcome.scenario)),
        "began" => escaped(&outcome.started),
        "version" => escaped(&outcome.version),
        "command" => escaped(&outcome.command),
        "kind" => setting::kind(&outcome.scenario).to_owned(),
        "interrupted" => interrupted(outcome),
        "search" => steps(outcome),
        "soundness" => soundness(outcome, told.is_sound).to_owned(),
        "verdict" => verdict(outcome, &told),
        "cards" => told.key.iter().map(card).collect(),
        "remarks" => remarks(&outcome.remarks),
        "plots" => plots(outcome),
        "phases" => phases(&outcome.samples),
        "times" => times(&told.times),
        "groups" => told.groups.iter().map(|(title, facts)| table(title, facts)).collect(),
        "scenario" => table("scenario", &setting::facts(&outcome.scenario)),
        "machine" => table("machine", &facts::machine(outcome)),
        "style" => format!("{UPLOT_STYLE}\n{STYLE}"),
        "uplot" => format!("/*\n{UPLOT_LICENSE}\n*/\n{UPLOT}"),
        "script" => SCRIPT.to_owned(),
        "data" => data(outcome),
        other => unreachable!("the template has a hole {other}"),
    })
}

/// The template with its `{{holes}}` filled, in one pass: what is filled in is not looked into.
fn filled(template: &str, fill: &dyn Fn(&str) -> String) -> String {
    let mut page = String::with_capacity(256 << 10);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (hole, after) = after.split_once("}}").expect("every hole of the template is closed");
        page.push_str(before);
        page.push_str(&fill(hole));
        rest = after;
    }
    page + rest
}

/// A text as HTML, in an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// The outcome for the script: JSON in which nothing ends or comments out its element. Only its
/// strings can hold these characters.
fn data(outcome: &Outcome) -> String {
    let text = serde_json::to_string(outcome).expect("an outcome is plain data");
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn soundness(outcome: &Outcome, is_sound: bool) -> &'static str {
    match (is_sound, outcome.interrupted) {
        (_, true) => "unjudged",
        (false, _) => "unsound",
        (true, _) => "sound",
    }
}

fn interrupted(outcome: &Outcome) -> String {
    if outcome.interrupted {
        "<p class=\"interrupted\"><b>Interrupted:</b> this is what was measured until then.</p>"
            .to_owned()
    } else {
        String::new()
    }
}

/// The answer of a search and the rates that it tried.
fn steps(outcome: &Outcome) -> String {
    let (Some(answer), Some(found)) = (search::answer(outcome), &outcome.search) else {
        return String::new();
    };
    let mut html = format!(
        "<section aria-labelledby=\"search\"><h2 id=\"search\">Search for the highest rate</h2>\
         <p class=\"answer\">{}</p><div class=\"table wide\" tabindex=\"0\">\
         <table class=\"facts steps\"><caption class=\"hidden\">rates tried</caption><thead><tr>",
        escaped(&answer)
    );
    for name in search::COLUMNS {
        let _ = write!(html, "<th scope=\"col\">{name}</th>");
    }
    html.push_str("</tr></thead><tbody>");
    for [rate, rest @ ..] in search::rows(found) {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escaped(&rate));
        for cell in rest {
            let _ = write!(html, "<td>{}</td>", escaped(&cell));
        }
        html.push_str("</tr>");
    }
    html + "</tbody></table></div></section>"
}

fn verdict(outcome: &Outcome, told: &facts::Facts) -> String {
    let account = outcome.deliveries.account();
    let is_counted = judge::is_counted(outcome);
    let word = match (told.is_sound, account.expected) {
        _ if outcome.interrupted || !is_counted => "Not judged",
        (true, 0) => "Nothing was published",
        (true, _) => "All came, once and in order",
        (false, _) if judge::is_delivered(account) => "Not all went well",
        (false, _) => "Not all came once and in order",
    };
    let mut html = format!("<h2 id=\"verdict\">{word}</h2>\n");
    if is_counted {
        html.push_str(&counts(outcome));
    } else {
        let _ = write!(html, "<p>{}</p>", escaped(&told.verdict));
    }
    if outcome.faults.is_empty() && told.hints.is_empty() {
        return html;
    }
    html.push_str("<ul class=\"faults\">");
    for fault in &outcome.faults {
        let _ = write!(html, "<li>{}</li>", escaped(fault));
    }
    for hint in &told.hints {
        let _ = write!(html, "<li>hint: {}</li>", escaped(hint));
    }
    html + "</ul>"
}

/// Loss, doubles and order by number; what is rare only where it was.
fn counts(outcome: &Outcome) -> String {
    let account = outcome.deliveries.account();
    let all = [
        ("lost", account.lost, true),
        ("not arrived when the drain ended", account.unarrived, false),
        ("doubled", account.duplicated, true),
        ("out of order", account.out_of_order, true),
        ("astray", account.astray, false),
    ];
    let mut html = String::from("<dl>");
    for (name, many, _) in all.iter().filter(|(_, many, always)| *always || *many > 0) {
        let class = if *many > 0 { " class=\"bad\"" } else { "" };
        let many = count(*many);
        let _ = write!(html, "<div{class}><dt>{name}</dt><dd>{many}</dd></div>");
    }
    let expected = count(account.expected);
    let _ = write!(html, "<div><dt>deliveries due</dt><dd>{expected}</dd></div></dl>");
    html
}

fn card(fact: &Fact) -> String {
    let Fact { name, value, note } = fact;
    format!(
        "<div class=\"card\"><dt>{}</dt><dd><b>{}</b><span>{}</span></dd></div>\n",
        escaped(name),
        escaped(value),
        escaped(note),
    )
}

fn remarks(remarks: &[String]) -> String {
    if remarks.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<section class=\"remarks\" aria-labelledby=\"to-know\"><h2 id=\"to-know\">To know</h2><ul>",
    );
    for remark in remarks {
        let _ = write!(html, "<li>{}</li>", escaped(remark));
    }
    html + "</ul></section>"
}

fn table(title: &str, facts: &[Fact]) -> String {
    let title = escaped(title);
    let mut html = format!("<div class=\"table\"><h3>{title}</h3><table class=\"facts\">");
    let _ = write!(html, "<caption class=\"hidden\">{title}</caption><tbody>");
    for Fact { name, value, note } in facts {
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td><div><b>{}</b> <span>{}</span></div></td></tr>",
            escaped(name),
            escaped(value),
            escaped(note),
        );
    }
    html + "</tbody></table></div>\n"
}

/// One of the percentiles.
type Figure = fn(&Percentiles) -> f64;

/// Percentiles below each other: so three kinds of times fit a phone.
fn times(times: &[(&str, Percentiles)]) -> String {
    if times.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<div class=\"table\"><h3>times</h3><table class=\"facts times\">\
         <caption class=\"hidden\">times</caption><thead><tr><th scope=\"col\">percentile</th>",
    );
    for (name, _) in times {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escaped(name));
    }
    html.push_str("</tr></thead><tbody>");
    let rows: [(&str, Figure); 8] = [
        ("min", |it| to_f64(it.min)),
        ("mean", |it| it.mean),
        ("p50", |it| to_f64(it.p50)),
        ("p90", |it| to_f64(it.p90)),
        ("p99", |it| to_f64(it.p99)),
        ("p99.9", |it| to_f64(it.p99_9)),
        ("p99.99", |it| to_f64(it.p99_99)),
        ("max", |it| to_f64(it.max)),
    ];
    for (name, figure) in rows {
        let _ = write!(html, "<tr><th scope=\"row\">{name}</th>");
        for (_, percentiles) in times {
            let _ = write!(html, "<td>{}</td>", micros(figure(percentiles)));
        }
        html.push_str("</tr>");
    }
    html + "</tbody></table></div>\n"
}

/// The frames of the plots that there are figures for; the script draws into them.
fn plots(outcome: &Outcome) -> String {
    let samples = &outcome.samples;
    let any = |has: fn(&Sample) -> bool| samples.iter().any(has);
    let talked = any(|it| it.delivered_per_s > 0.0 || it.published_per_s > 0.0);
    let all = [
        (
            !outcome.latency_curve.is_empty(),
            "curve",
            "Latency by percentile",
            "How many of the measured deliveries came within which time. Both scales are logarithmic.",
        ),
        (
            any(|it| it.latency_us.is_some()),
            "latency",
            "Latency over time",
            "From publishing, or when it was meant, to each delivery of that moment.",
        ),
        (
            talked,
            "rates",
            "Deliveries and messages a second",
            "Deliveries on the left scale, published messages on the right.",
        ),
        (
            outcome.search.as_ref().is_some_and(|search| !search.steps.is_empty()),
            "search",
            "Latency by rate",
            "The 99th percentile at each rate that was tried, and the bound. Both scales are logarithmic.",
        ),
        (!samples.is_empty(), "open", "Connections", "Connections that are open."),
        (
            !samples.is_empty(),
            "cpu",
            "CPU",
            "Share of one processor: the server, where its process is known, and the whole load.",
        ),
        (
            any(|it| it.server_rss_bytes.is_some()),
            "memory",
            "Memory of the server",
            "Resident, all its processes.",
        ),
        (
            outcome.floor.as_ref().is_some_and(|floor| !floor.pairs.is_empty()),
            "floor",
            "Server and floor, pair by pair",
            "CPU of a delivery in neighbouring windows: the server, and a bare loop of send.",
        ),
    ];
    let mut html = String::new();
    for (_, id, title, about) in all.iter().filter(|plot| plot.0) {
        let _ = writeln!(
            html,
            "<figure class=\"plot\" aria-labelledby=\"{id}-title\"><figcaption>\
             <h3 id=\"{id}-title\">{title}</h3><p>{about}</p></figcaption>\
             <div id=\"plot-{id}\" class=\"canvas\" aria-hidden=\"true\"></div></figure>"
        );
    }
    html
}

/// What the shades in the plots mean, in the order in which they come.
fn phases(samples: &[Sample]) -> String {
    let mut seen: Vec<Phase> = Vec::new();
    for sample in samples {
        if !seen.contains(&sample.phase) {
            seen.push(sample.phase);
        }
    }
    let item = |phase| {
        let name = progress::name(phase);
        format!("<li><i class=\"shade {name}\"></i>{name}</li>")
    };
    seen.into_iter().map(item).collect()
}
