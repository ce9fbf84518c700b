//! How a body is packed, and how large it may be.

use std::{
    borrow::Cow,
    io::{self, Read},
};

use flate2::read::{GzDecoder, ZlibDecoder};

use crate::intake::Refusal;

/// What an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes as sent.
    pub sent: usize,
    /// Most bytes once inflated.
    pub inflated: u64,
    /// Whether zstd is taken.
    pub zstd: bool,
}

/// A value of `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// With zlib's frame, as HTTP has it.
    Deflate,
    /// gzip.
    Gzip,
    /// zstd; Datadog's API reference calls it `zstd1`, agents send `zstd`.
    Zstd,
}

/// Largest window of a zstd frame, as a power of 2: the 8 MiB that every decoder should support
/// (RFC 8878, "Window Descriptor"). A frame can ask for more memory than any body may fill.
const ZSTD_WINDOW: u32 = 23;

impl Limits {
    /// Of the intake endpoints of version 1 (`OpenAPI` v1, `SubmitMetrics`: 3 200 000 bytes,
    /// 62 914 560 inflated; encodings `deflate` and `gzip`). That file says nothing about the
    /// size of distribution points and service checks.
    pub const V1: Self = Self { sent: 3_200_000, inflated: 62_914_560, zstd: false };

    /// Of `POST /api/v2/series` (`OpenAPI` v2, `SubmitMetrics`: 512 000 bytes, 5 242 880 inflated;
    /// encodings `deflate`, `gzip` and `zstd1`).
    pub const V2: Self = Self { sent: 512_000, inflated: 5_242_880, zstd: true };

    /// Of what agents alone send: like version 1, and zstd, which agents pack with by default
    /// (`serializer_compressor_kind` in the agent's configuration).
    pub const AGENT: Self = Self { zstd: true, ..Self::V1 };
}

impl Encoding {
    /// The encoding of that name.
    ///
    /// # Errors
    ///
    /// When `limits` do not have it.
    pub fn of(name: &str, limits: Limits) -> Result<Self, Refusal> {
        let name = name.trim().to_ascii_lowercase();
        match name.as_str() {
            "" | "identity" => Ok(Self::Identity),
            "deflate" => Ok(Self::Deflate),
            "gzip" => Ok(Self::Gzip),
            "zstd" | "zstd1" if limits.zstd => Ok(Self::Zstd),
            _ => Err(Refusal::Encoding(name)),
        }
    }

    /// The body that was packed into `sent`.
    ///
    /// # Errors
    ///
    /// When it is larger than `limits` allow, packed or not, or not packed in this way.
    pub fn inflate(self, sent: &[u8], limits: Limits) -> Result<Cow<'_, [u8]>, Refusal> {
        if limits.sent < sent.len() {
            return Err(Refusal::TooLarge);
        }
        let body = match self {
            Self::Identity => return Ok(sent.into()),
            Self::Deflate => read_all(ZlibDecoder::new(sent), limits.inflated),
            Self::Gzip => read_all(GzDecoder::new(sent), limits.inflated),
            Self::Zstd => {
                let decoder = zstd_decoder(sent).map_err(|error| payload(&error))?;
                read_all(decoder, limits.inflated)
            }
        };
        body.map(Cow::Owned)
    }
}

/// Unpacks zstd within bounded memory.
pub(crate) fn zstd_decoder(sent: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::new(sent)?;
    decoder.window_log_max(ZSTD_WINDOW)?;
    Ok(decoder)
}

/// Reads up to `limit` bytes and no further, however small the packed body was.
fn read_all(packed: impl Read, limit: u64) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    let read = packed.take(limit.saturating_add(1)).read_to_end(&mut body);
    let read = read.map_err(|error| payload(&error))?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        Ok(body)
    } else {
        Err(Refusal::TooLarge)
    }
}

fn payload(error: &io::Error) -> Refusal {
    Refusal::Payload(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };
    use proptest::prelude::*;

    use super::*;

    const SMALL: Limits = Limits { sent: 1000, inflated: 10_000, zstd: true };

    fn pack(encoding: Encoding, body: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Identity => body.to_vec(),
            Encoding::Deflate => {
                let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
                packed.write_all(body).unwrap();
                packed.finish().unwrap()
            }
            Encoding::Gzip => {
                let mut packed = GzEncoder::new(Vec::new(), Compression::best());
                packed.write_all(body).unwrap();
                packed.finish().unwrap()
            }
            Encoding::Zstd => zstd::encode_all(body, 3).unwrap(),
        }
    }

    fn any_encoding() -> impl Strategy<Value = Encoding> {
        use Encoding::{Deflate, Gzip, Identity, Zstd};
        prop::sample::select(vec![Identity, Deflate, Gzip, Zstd])
    }

    proptest! {
        #[test]
        fn property_test_what_was_packed_is_what_comes_out(
            encoding in any_encoding(), body in prop::collection::vec(any::<u8>(), 0..900),
        ) {
            let packed = pack(encoding, &body);
            let inflated = encoding.inflate(&packed, SMALL);
            prop_assert_eq!(inflated.as_deref(), Ok(&body[..]));
        }

        #[test]
        fn property_test_no_bytes_make_it_panic(
            encoding in any_encoding(), start in 0..40_usize,
            sent in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = encoding.inflate(&sent, SMALL);
            // The same after a beginning that is right.
            let mut packed = pack(encoding, b"the beginning of a body that goes wrong");
            packed.truncate(start);
            packed.extend(sent);
            let _ = encoding.inflate(&packed, SMALL);
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        for encoding in [Encoding::Deflate, Encoding::Gzip, Encoding::Zstd] {
            let largest = pack(encoding, &[b' '; 10_000]);
            assert_eq!(encoding.inflate(&largest, SMALL).map(|it| it.len()), Ok(10_000));
            let bomb = pack(encoding, &[b' '; 10_001]);
            assert_eq!(encoding.inflate(&bomb, SMALL), Err(Refusal::TooLarge), "{encoding:?}");
        }
        assert_eq!(read_all(io::repeat(0), 10), Err(Refusal::TooLarge));
        assert_eq!(Encoding::Identity.inflate(&[0; 1001], SMALL), Err(Refusal::TooLarge));
    }

    #[test]
    fn a_zstd_frame_cannot_ask_for_more_memory_than_a_body_may_fill() {
        // Magic number, no content size, a window of 2^(10 + 21) bytes, an empty last block.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
        assert!(matches!(Encoding::Zstd.inflate(&frame, Limits::V2), Err(Refusal::Payload(_))));
    }

    #[test]
    fn names_are_those_of_the_api_reference_and_of_agents() {
        assert_eq!(Encoding::of("", Limits::V1), Ok(Encoding::Identity));
        assert_eq!(Encoding::of("GZIP", Limits::V1), Ok(Encoding::Gzip));
        assert_eq!(Encoding::of("zstd", Limits::V2), Ok(Encoding::Zstd));
        assert_eq!(Encoding::of("zstd1", Limits::V2), Ok(Encoding::Zstd));
        let refused = |name: &str, limits| Encoding::of(name, limits).unwrap_err().to_string();
        assert_eq!(refused("zstd", Limits::V1), "Unsupported Content-Encoding: zstd");
        assert_eq!(refused("br", Limits::V2), "Unsupported Content-Encoding: br");
        assert_eq!(refused("gzip, br", Limits::V2), "Unsupported Content-Encoding: gzip, br");
    }
}
