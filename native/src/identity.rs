//! Identities of lines, as `lines/identity.py` makes them: BLAKE2b with 128 bits of output.
#![forbid(unsafe_code)]

use blake2b_simd::{many, Params};

pub type Id = [u8; 16];

/// Write the identities of several inputs to `out`: four at once take half the time of four one by one.
pub fn of_all<'a>(inputs: impl Iterator<Item = &'a [u8]>, out: &mut Vec<Id>) {
    let mut params = Params::new();
    params.hash_length(16);
    let mut jobs: Vec<_> = inputs.map(|input| many::HashManyJob::new(&params, input)).collect();
    many::hash_many(jobs.iter_mut());
    out.clear();
    out.extend(jobs.iter().map(|job| {
        let mut id = Id::default();
        id.copy_from_slice(job.to_hash().as_bytes());
        id
    }));
}

/// The part before offset and line: host and input, each with its length.
pub fn origin(host: &[u8], input: &[u8]) -> Vec<u8> {
    let mut origin = b"line\0".to_vec();
    for part in [host, input] {
        origin.extend_from_slice(format!("{}:", part.len()).as_bytes());
        origin.extend_from_slice(part);
    }
    origin
}

/// An identity in base 64.
#[inline]
pub fn base64(id: &Id) -> [u8; 24] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = [b'='; 24];
    for (to, from) in text.chunks_mut(4).zip(id.chunks(3)) {
        let byte = |at: usize| u32::from(from.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, digit) in to.iter_mut().enumerate().take(from.len() + 1) {
            *digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
        }
    }
    text
}
