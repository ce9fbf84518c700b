//! What is printed: tables for people, or JSON.

use std::fmt;

use serde::Serialize;

use crate::{
    load::{Case, Figures, Format, Protocol},
    server::Memory,
};

/// All of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) servers: Vec<Measured>,
    pub(crate) rows: Vec<Row>,
    /// Why the sample adapter is not the last of the servers.
    pub(crate) skipped: Option<String>,
}

/// A server as such.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// From exec to the first metric served, milliseconds, one for each start; sorted.
    pub(crate) first_answers: Vec<f64>,
    pub(crate) idle: Memory,
    pub(crate) loaded: Memory,
    /// `SubjectAccessReview`s that it asked for.
    pub(crate) reviews: u64,
}

/// One server under one load.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The position of the server.
    pub(crate) server: usize,
    #[serde(flatten)]
    pub(crate) case: Case,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// CPU time of the server for a request, microseconds.
    pub(crate) cpu: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | first answer after exec | idle | after the load | peak | reviews |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for server in &self.servers {
            writeln!(f, "| {server} |")?;
        }
        writeln!(f, "\n| | | connections | server | requests/s | p50 | p99 | CPU a request |")?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for Row { server, case, figures, cpu } in &self.rows {
            let name = &self.servers[*server].name;
            writeln!(f, "| {case} | {name} | {figures} | {cpu:.0} µs |")?;
        }
        match &self.skipped {
            Some(why) => writeln!(f, "\nskipped: the comparison with the sample adapter: {why}"),
            None => self.ratios(f),
        }
    }
}

impl Report {
    /// The provider with the most metrics over the sample adapter.
    fn ratios(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some([ours, theirs]) = self.servers.last_chunk() else { return Ok(()) };
        writeln!(f, "\n{} over {}:\n", ours.name, theirs.name)?;
        writeln!(f, "| | | connections | requests/s | p50 | p99 | CPU a request |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        let position = self.servers.len() - 1;
        for their in self.rows.iter().filter(|row| row.server == position) {
            let same = |row: &&Row| row.server + 1 == position && row.case == their.case;
            let Some(our) = self.rows.iter().find(same) else { continue };
            let ratio = |of: fn(&Row) -> f64| of(our) / of(their);
            writeln!(
                f,
                "| {} | {:.1} | 1/{:.1} | 1/{:.1} | 1/{:.1} |",
                our.case,
                ratio(|row| row.figures.requests_per_second),
                1.0 / ratio(|row| row.figures.p50),
                1.0 / ratio(|row| row.figures.p99),
                1.0 / ratio(|row| row.cpu),
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, first_answers: starts, idle, loaded, reviews } = self;
        let (low, median, high) = (starts[0], starts[starts.len() / 2], starts[starts.len() - 1]);
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        let (idle, peak) = (mebibytes(idle.now), mebibytes(loaded.peak));
        let loaded = mebibytes(loaded.now);
        write!(f, "{name} | {median:.0} ms ({low:.0}–{high:.0}) ")?;
        write!(f, "| {idle} MiB | {loaded} MiB | {peak} MiB | {reviews}")
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "h2",
        };
        let format = match self.format {
            Format::Json => "JSON",
            Format::Protobuf => "protobuf",
        };
        write!(f, "{protocol} | {format} | {}", self.connections)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests_per_second, p50, p99, .. } = self;
        write!(f, "{requests_per_second:.0} | {p50:.2} ms | {p99:.2} ms")
    }
}
