//! When certificates end, as metrics: the one thing about them that an alert needs.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

/// The ends of the certificates in use. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct Expiry(Family<Label, Gauge<f64, AtomicU64>>);

/// One of the certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// The one that clients see.
    Serving,
    /// The own CA that signs it.
    Ca,
    /// The one that replicas and node agents see on port 5005.
    Agent,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    certificate: &'static str,
}

impl Expiry {
    /// Adds the metric to those that are told.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "tls_certificate_not_after_seconds",
            "End of the certificate, in seconds since 1970",
            self.0.clone(),
        );
    }

    /// `which` ends at this moment.
    pub fn set(&self, which: Which, not_after: Timestamp) {
        let certificate = match which {
            Which::Serving => "serving",
            Which::Ca => "ca",
            Which::Agent => "agent",
        };
        self.0.get_or_create(&Label { certificate }).set(not_after.as_duration().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn the_end_is_told_in_seconds() {
        let (expiry, mut registry) = (Expiry::default(), Registry::default());
        expiry.register(&mut registry);
        expiry.set(Which::Ca, Timestamp::from_second(1_800_000_000).unwrap());
        let mut told = String::new();
        text::encode(&mut told, &registry).unwrap();
        insta::assert_snapshot!(told, @r#"
        # HELP tls_certificate_not_after_seconds End of the certificate, in seconds since 1970.
        # TYPE tls_certificate_not_after_seconds gauge
        tls_certificate_not_after_seconds{certificate="ca"} 1800000000.0
        # EOF
        "#);
    }
}
