//! Which format a client gets; pure.
//!
//! The rules are those of `k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go` and of
//! `github.com/munnerz/goautoneg`, which reads the header: names count with their case, what cannot
//! be read is left out, a quality that cannot be read is 0.

/// JSON's media type.
pub const JSON: &str = "application/json";
/// Kubernetes' protobuf.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A format that objects are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The object in JSON.
    Json,
    /// The object in protobuf.
    Protobuf,
    /// A `meta.k8s.io/v1` Table of the object, in JSON.
    Table,
    /// All groups at once, `apidiscovery.k8s.io/v2`, in JSON.
    AggregatedDiscovery,
}

/// The formats of a metric's value and of lists of them.
pub const VALUES: &[Format] = &[Format::Json, Format::Protobuf, Format::Table];
/// The formats of what has no columns: errors for one.
pub const PLAIN: &[Format] = &[Format::Json, Format::Protobuf];

/// What a client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The format.
    pub format: Format,
    /// Indented, for people; protobuf has no such form.
    pub pretty: bool,
}

/// What can be served; a wildcard gets the first.
const SERVED: [(&str, Format); 2] =
    [("json", Format::Json), ("vnd.kubernetes.protobuf", Format::Protobuf)];

/// The format among those `offered` for the header `Accept`, or nothing where none will do. An empty
/// header, which is what a missing one counts as, means JSON.
pub fn negotiate(accept: &str, offered: &[Format]) -> Option<Accepted> {
    if accept.is_empty() {
        return Some(Accepted { format: Format::Json, pretty: false });
    }
    let mut clauses: Vec<_> = accept.split(',').filter_map(Clause::read).collect();
    clauses.sort_by(|a, b| {
        b.quality.total_cmp(&a.quality).then_with(|| a.wildcards().cmp(&b.wildcards()))
    });
    let served = SERVED.map(|(subtype, format)| (subtype, format, rejected(&clauses, subtype)));
    clauses.iter().filter(|clause| clause.quality > 0.0).find_map(|clause| {
        served
            .iter()
            .filter(|(subtype, _, rejected)| !rejected && clause.names(subtype))
            .find_map(|(_, format, _)| clause.accept(*format, offered))
    })
}

/// Whether the clause that names the type most exactly refuses it: `q=0` there outranks a
/// wildcard. Of equally exact ones the highest quality counts.
fn rejected(sorted: &[Clause<'_>], subtype: &str) -> bool {
    let matching = sorted.iter().filter(|clause| clause.names(subtype));
    // `min_by_key` gives the first of several.
    matching.min_by_key(|clause| clause.wildcards()).is_some_and(|clause| clause.quality <= 0.0)
}

/// One media range with its parameters.
struct Clause<'a> {
    main: &'a str,
    subtype: &'a str,
    /// Finite.
    quality: f32,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Clause<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let range = parts.next()?;
        let (main, subtype) = match range.split_once('/') {
            None if range == "*" => ("*", "*"),
            Some((_, subtype)) if subtype.contains('/') => return None,
            other => other?,
        };
        let mut clause =
            Self { main: main.trim(), subtype: subtype.trim(), quality: 1.0, parameters: vec![] };
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            match (name.trim(), value.trim()) {
                ("q", value) => {
                    let quality = value.parse().ok().filter(|quality: &f32| quality.is_finite());
                    clause.quality = quality.unwrap_or(0.0);
                }
                parameter => clause.parameters.push(parameter),
            }
        }
        Some(clause)
    }

    /// 0 for an exact type, 1 for `type/*`, 2 for `*/*`.
    fn wildcards(&self) -> u8 {
        u8::from(self.main == "*") + u8::from(self.subtype == "*")
    }

    fn names(&self, subtype: &str) -> bool {
        match (self.main, self.subtype) {
            ("*" | "application", "*") => true,
            (main, own) => main == "application" && own == subtype,
        }
    }

    /// What the parameters make of `format`, unless they ask for what is not offered. Those that
    /// are not known are ignored.
    fn accept(&self, format: Format, offered: &[Format]) -> Option<Accepted> {
        let asked = |name: &str| {
            let mut values = self.parameters.iter().rev().filter(|(other, _)| *other == name);
            values.next().map(|(_, value)| *value)
        };
        // There is no choice of the group's version, and no stream but a watch. Whether the object
        // can be watched is not said here.
        if asked("sv").is_some_and(|version| !version.is_empty())
            || asked("stream").is_some_and(|stream| !["", "watch"].contains(&stream))
        {
            return None;
        }
        let format = match (asked("as"), asked("g"), asked("v")) {
            (None, None, None) => format,
            (Some("Table"), Some("meta.k8s.io"), Some("v1")) if format == Format::Json => {
                Format::Table
            }
            // v2beta1 is gone from Kubernetes, and every version since 1.30 asks for v2.
            (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2"))
                if format == Format::Json =>
            {
                Format::AggregatedDiscovery
            }
            _ => return None,
        };
        if !offered.contains(&format) {
            return None;
        }
        Some(Accepted { format, pretty: asked("pretty") == Some("1") })
    }
}

/// Whether a request wants JSON indented: the parameter `pretty` says so, or without one the
/// program is one that people read the output of.
pub fn wants_pretty(query: &str, user_agent: &str) -> bool {
    let said = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "pretty");
    match said {
        Some((_, value)) if !value.is_empty() => {
            matches!(value.as_ref(), "1" | "t" | "T" | "true" | "TRUE" | "True")
        }
        _ => ["curl", "Wget", "Mozilla/5.0"].iter().any(|name| user_agent.starts_with(name)),
    }
}

#[cfg(test)]
mod tests;
