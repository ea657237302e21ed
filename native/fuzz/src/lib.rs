//! The module's own sources without Python, and what has to hold whatever they are given.
#![forbid(unsafe_code)]
#![allow(dead_code)] // what only Python calls

// The parts that need no Python.
#[path = "../../src/batch.rs"]
mod batch;
#[path = "../../src/clock.rs"]
mod clock;
#[path = "../../src/envelope.rs"]
mod envelope;
#[path = "../../src/identity.rs"]
mod identity;
#[path = "../../src/json.rs"]
mod json;
#[path = "../../src/line.rs"]
mod line;
#[path = "../../src/peer.rs"]
mod peer;
#[path = "../../src/record.rs"]
mod record;
#[path = "../../src/route.rs"]
mod route;

use batch::Batch;
use line::{COLUMNS, ORIGIN, URI};
use peer::Network;
use record::Settings;

fn settings() -> Settings {
    // Shorter than the real ones, so that short inputs reach them; a combined line has to fit the URI's as a whole.
    let widths = std::array::from_fn(|column| if column == URI { 512 } else { 48 });
    let proxies = [Network::new(&[10, 0, 0, 0], 8), Network::new(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 32)];
    Settings { widths, combined: true, json: true, proxies: proxies.into_iter().flatten().collect() }
}

/// Wrap a line as the shipper does, by the simplest escapes that JSON has.
fn wrapped(line: &[u8], format: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let escaped: String = text.chars().map(|c| match c {
        '"' => "\\\"".into(),
        '\\' => "\\\\".into(),
        c if c < ' ' => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    }).collect();
    format!(
        "{{\"message\":\"{escaped}\",\"host\":{{\"name\":\"node1\"}},\"log\":{{\"offset\":7}},\
         \"fields\":{{\"log_format\":\"{format}\",\"log_input\":\"access\"}}}}"
    )
    .into_bytes()
}

/// Count the fields of a row outside of its strings, and see that all strings end and nothing breaks the line.
fn fields(row: &[u8]) -> usize {
    let row = row.strip_prefix(b"[").and_then(|row| row.strip_suffix(b"]")).expect("a row is in brackets");
    let (mut within, mut escaped, mut found) = (false, false, 1);
    for &byte in row {
        assert!(byte >= 0x20, "a control character in a row");
        match byte {
            _ if escaped => escaped = false,
            b'\\' if within => escaped = true,
            b'"' => within = !within,
            b',' if !within => found += 1,
            _ => {}
        }
    }
    assert!(!within && !escaped, "a string does not end");
    found
}

/// Read bytes as a record, or as the line of one: nothing may panic, and each row must be one that LOAD DATA reads.
pub fn check(data: &[u8]) {
    taken(data);
}

/// Do the same, and return how many of the records were taken.
fn taken(data: &[u8]) -> usize {
    let Some((kind, data)) = data.split_first() else { return 0 };
    let value = match kind % 3 {
        0 => data.to_vec(),
        1 => wrapped(data, "json"),
        _ => wrapped(data, "combined"),
    };
    let mut batch = Batch::new(settings());
    batch.clear();
    // Twice: of equal identities one row is left.
    let left = batch.take([Some(&value[..]), Some(&value[..]), None].into_iter(), 5, 9);
    let taken = 3 - left.len();
    assert!(taken == 0 || taken == 2);
    batch.sort();
    let mut rows = vec![0; batch.size()];
    batch.copy_rows(&mut rows);
    std::str::from_utf8(&rows).expect("rows are UTF-8");
    let rows: Vec<_> = rows.split_inclusive(|&byte| byte == b'\n').collect();
    assert_eq!(rows.len(), taken / 2);
    for row in rows {
        assert_eq!(fields(&row[..row.len() - 1]), COLUMNS.len() + ORIGIN.len());
    }
    assert_eq!(batch.ids().len(), taken / 2 * 16);
    assert_eq!(batch.count().values().map(|totals| totals.requests).sum::<u64>(), taken as u64 / 2);
    assert_eq!(batch.newest().len(), taken / 2);
    taken
}

#[cfg(test)]
mod tests {
    use super::check;

    /// Miri (CONTRIBUTING.md) takes a second for each of some hundred checks.
    const STEP: usize = if cfg!(miri) { 29 } else { 1 };
    const SEEDS: [&str; 6] = [
        "2203.0.113.9 - - [10/Mar/2026:12:00:01 +0100] \"GET /a?x=1 HTTP/1.1\" 200 17 \"-\" \"agent\"",
        "2203.0.113.9 - bob [10/Mar/2026:12:00:01 +0100] \"GET / HTTP/1.1\" 304 -",
        "1{\"msec\":1773144000.123,\"remote_addr\":\"10.0.0.1\",\"x_forwarded_for\":\"203.0.113.5, [2001:db8::9]:443\",\
         \"status\":502,\"bytes\":17,\"request_time\":0.250,\"uri\":\"/\u{fc}\",\"user_agent\":\"a \\\"b\\\"\"}",
        "1{\"time\":\"2026-03-10T12:00:00+01:00\",\"remote_addr\":\"::1\",\"status\":200,\"more\":[1,{\"a\":null}]}",
        "0{\"message\":\"x\",\"host\":{\"name\":\"n\"},\"log\":{\"offset\":1},\"fields\":{}}",
        "0{\"message\":\"\\ud800\"",
    ];

    #[test]
    fn seeds_and_their_beginnings() {
        for seed in SEEDS {
            for end in (0..=seed.len()).step_by(STEP) {
                check(&seed.as_bytes()[..end]);
            }
        }
    }

    #[test]
    fn seeds_with_another_byte() {
        for seed in SEEDS {
            let mut bytes = seed.as_bytes().to_vec();
            for at in (0..bytes.len()).step_by(STEP) {
                let kept = bytes[at];
                for other in [0, b'"', b'\\', b'0', 0xff] {
                    bytes[at] = other;
                    check(&bytes);
                }
                bytes[at] = kept;
            }
        }
    }

    #[test]
    fn the_usual_lines_are_taken() {
        for seed in &SEEDS[..4] {
            assert!(super::taken(seed.as_bytes()) > 0, "{seed}");
        }
    }
}
