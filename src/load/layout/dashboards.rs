//! Dashboards: topics of sites, devices and metrics, and patterns over them.
//!
//! Topics are `bench.s<site>.d<device>.m<metric>`. A dashboard is a set of patterns; there are a
//! few hundred at most, whatever the crowd, and connections have them in turns, so what each
//! hears is worked out once for a dashboard.

use std::ops::Range;

/// Devices of a site, metrics of a device: the last site and its last device may have fewer.
const DEVICES: u32 = 10;
const METRICS: u32 = 10;
/// Different dashboards; further connections have the same again.
const DASHBOARDS_MAX: u32 = 256;
/// From one pattern's topic to the next one's: a prime, so that neighbours differ in all parts.
const STRIDE: u64 = 7919;

/// The dashboards of a run.
#[derive(Debug)]
pub(super) struct Dashboards {
    /// Patterns of one.
    each: usize,
    /// Dashboard by dashboard.
    patterns: Vec<String>,
    /// The topics that each hears, ascending, dashboard by dashboard.
    heard: Vec<u32>,
    /// Where each one's begin; one longer.
    starts: Vec<u32>,
}

/// A pattern: the parts that it wants, any other being free.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    site: Option<u32>,
    device: Option<u32>,
    metric: Option<u32>,
}

impl Dashboards {
    /// For so many topics, patterns of a dashboard and connections. Costs topics times patterns.
    pub(super) fn new(topics: u32, each: u32, connections: u32) -> Self {
        let count = connections.clamp(1, DASHBOARDS_MAX);
        let mut this =
            Self { each: each as usize, patterns: Vec::new(), heard: Vec::new(), starts: vec![0] };
        for dashboard in 0..count {
            let wanted = |place: u32| Wanted::of(dashboard * each + place, topics);
            let wanted: Vec<Wanted> = (0..each).map(wanted).collect();
            this.patterns.extend(wanted.iter().map(|wanted| wanted.pattern()));
            let hears = |topic: &u32| wanted.iter().any(|wanted| wanted.matches(*topic));
            this.heard.extend((0..topics).filter(hears));
            this.starts.push(this.heard.len() as u32);
        }
        this
    }

    /// The patterns of a connection's dashboard.
    pub(super) fn patterns(&self, connection: u32) -> &[String] {
        let start = self.dashboard(connection) * self.each;
        &self.patterns[start..start + self.each]
    }

    /// All topics heard, ascending for each dashboard.
    pub(super) fn heard(&self) -> &[u32] {
        &self.heard
    }

    /// Where those of a connection's dashboard are.
    pub(super) fn set(&self, connection: u32) -> Range<usize> {
        let dashboard = self.dashboard(connection);
        self.starts[dashboard] as usize..self.starts[dashboard + 1] as usize
    }

    fn dashboard(&self, connection: u32) -> usize {
        connection as usize % (self.starts.len() - 1)
    }
}

impl Wanted {
    /// The `number`-th pattern: four kinds in turns, each around a topic so that none is in vain.
    fn of(number: u32, topics: u32) -> Self {
        let topic = (u64::from(number / 4) * STRIDE % u64::from(topics)) as u32;
        let (site, device, metric) = parts(topic);
        let (site, device, metric) = (Some(site), Some(device), Some(metric));
        match number % 4 {
            0 => Self { site, ..Self::default() },
            1 => Self { site, metric, ..Self::default() },
            2 => Self { device, metric, ..Self::default() },
            _ => Self { site, device, ..Self::default() },
        }
    }

    fn matches(self, topic: u32) -> bool {
        let (site, device, metric) = parts(topic);
        self.site.is_none_or(|its| its == site)
            && self.device.is_none_or(|its| its == device)
            && self.metric.is_none_or(|its| its == metric)
    }

    fn pattern(self) -> String {
        let part = |letter, number: Option<u32>| {
            number.map_or("*".into(), |number| format!("{letter}{number}"))
        };
        if let Self { site: Some(site), device: None, metric: None } = self {
            return format!("bench.s{site}.**");
        }
        let parts = [part('s', self.site), part('d', self.device), part('m', self.metric)];
        format!("bench.{}", parts.join("."))
    }
}

/// Site, device and metric of a topic.
fn parts(topic: u32) -> (u32, u32, u32) {
    (topic / METRICS / DEVICES, topic / METRICS % DEVICES, topic % METRICS)
}

/// The name of a topic.
pub(super) fn topic_name(topic: u32) -> String {
    let (site, device, metric) = parts(topic);
    format!("bench.s{site}.d{device}.m{metric}")
}
