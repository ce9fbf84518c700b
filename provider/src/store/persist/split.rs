//! Which entry goes into which ConfigMap; pure.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// ConfigMaps at most.
pub const PIECES: usize = 10;
/// Most bytes in one. Kubernetes allows 1 MiB of values; etcd 1.5 MiB of everything, where each key
/// stands once more among the managed fields.
pub(super) const MOST_BYTES: usize = 900 << 10;

/// What one ConfigMap should hold.
pub(super) type Data = BTreeMap<String, String>;

fn size(key: &str, text: &str) -> usize {
    key.len() + text.len()
}

/// Divides `entries` into as many as it takes, but into `current` where that is not too many by
/// far: when their number changes most entries move. Says how many entries found no place.
///
/// An entry's place follows from its key and the number alone, so that all replicas agree and an
/// entry that grows moves no other.
pub(super) fn split(entries: Data, current: usize) -> (Vec<Data>, usize) {
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(key, text)| (place(&key), size(&key, &text), key, text))
        .collect();
    let fullest = |pieces: usize| {
        let mut sizes = vec![0; pieces];
        for (place, size, ..) in &entries {
            if let Some(piece) = sizes.get_mut(place % pieces) {
                *piece += size;
            }
        }
        sizes.into_iter().max().unwrap_or_default()
    };
    let fits = |pieces: &usize| {
        let most = if *pieces < current { MOST_BYTES / 4 * 3 } else { MOST_BYTES };
        fullest(*pieces) <= most
    };
    let pieces = (1..=PIECES).find(fits).unwrap_or(PIECES);
    let mut data = vec![Data::new(); pieces];
    let mut sizes = vec![0; pieces];
    let mut left_out = 0;
    for (place, size, key, text) in entries {
        let (Some(piece), Some(sum)) =
            (data.get_mut(place % pieces), sizes.get_mut(place % pieces))
        else {
            continue;
        };
        if *sum + size > MOST_BYTES {
            left_out += 1;
            continue;
        }
        *sum += size;
        piece.insert(key, text);
    }
    (data, left_out)
}

/// A number that is spread evenly, the same for ever.
fn place(key: &str) -> usize {
    Sha256::digest(key).iter().take(4).fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(number: usize, bytes: usize) -> Data {
        (0..number)
            .map(|n| (format!("external_metric-horizontal-default-{n:06}"), "x".repeat(bytes)))
            .collect()
    }

    #[test]
    fn what_fits_into_one_stays_in_one() {
        let (data, left_out) = split(entries(1_700, 400), 1);
        assert_eq!((data.len(), left_out), (1, 0));
        let (data, left_out) = split(Data::new(), 1);
        assert_eq!((data.len(), left_out), (1, 0));
    }

    #[test]
    fn each_is_below_the_limit_and_nothing_is_lost_or_twice() {
        let entries = entries(10_000, 400);
        let (data, left_out) = split(entries.clone(), 1);
        assert_eq!(left_out, 0);
        assert!((5..=6).contains(&data.len()), "{}", data.len());
        for piece in &data {
            let bytes: usize = piece.iter().map(|(key, text)| size(key, text)).sum();
            assert!(bytes <= MOST_BYTES, "{bytes}");
        }
        assert_eq!(data.iter().map(Data::len).sum::<usize>(), entries.len());
        assert_eq!(data.into_iter().flatten().collect::<Data>(), entries);
    }

    #[test]
    fn the_number_goes_down_late() {
        assert_eq!(split(entries(2_200, 400), 1).0.len(), 2);
        assert_eq!(split(entries(1_700, 400), 2).0.len(), 2);
        assert_eq!(split(entries(1_200, 400), 2).0.len(), 1);
    }

    #[test]
    fn what_is_too_much_for_all_is_left_out_and_counted() {
        let (data, left_out) = split(entries(30_000, 400), 1);
        assert_eq!(data.len(), PIECES);
        assert!(left_out > 5_000, "{left_out}");
        assert_eq!(data.iter().map(Data::len).sum::<usize>() + left_out, 30_000);
    }
}
