//! Reads usual access lines as `lines/formats/combined.py` and `nginx_json.py` do.
#![forbid(unsafe_code)]

use crate::clock::{iso, Clock, END};
use crate::json::{once, Cursor};
use crate::peer::address;

/// The columns that a line fills, in the order of the table. In a row, the line's origin follows them.
pub const COLUMNS: [&str; 24] = [
    "ts", "client_addr", "status", "bytes", "remote_user", "method", "uri", "protocol", "referer", "user_agent",
    "x_forwarded_for", "vhost", "request_id", "client_request_id", "request_length", "request_time", "upstream_addr",
    "upstream_status", "upstream_response_time", "upstream_connect_time", "scheme", "ssl_protocol", "ssl_cipher",
    "proxy_addr",
];
pub const ORIGIN: [&str; 6] = ["cut_fields", "log_format", "host", "source_id", "kafka_offset", "line_id"];
pub const TIME: usize = 0;
pub const CLIENT: usize = 1;
pub const STATUS: usize = 2;
pub const BYTES: usize = 3;
const USER: usize = 4;
const METHOD: usize = 5;
pub const URI: usize = 6;
const PROTOCOL: usize = 7;
const REFERER: usize = 8;
const AGENT: usize = 9;
pub const FORWARDED: usize = 10;
pub const LENGTH: usize = 14;
pub const SECONDS: usize = 15;
pub const PROXY: usize = 23;

/// The members of a JSON line in nginx's order, each with its column; for those without one, what they are.
pub const MEMBERS: [(&str, usize); 25] = [
    ("time", ISO), ("msec", MSEC), ("remote_addr", CLIENT), ("x_forwarded_for", FORWARDED), ("remote_user", USER),
    ("request_id", 12), ("client_request_id", 13), ("host", 11), ("method", METHOD), ("uri", URI),
    ("protocol", PROTOCOL), ("status", STATUS), ("bytes", BYTES), ("request_length", LENGTH),
    ("request_time", SECONDS), ("referer", REFERER), ("user_agent", AGENT), ("upstream_addr", 16),
    ("upstream_status", 17), ("upstream_response_time", 18), ("upstream_connect_time", 19), ("scheme", 20),
    ("ssl_protocol", 21), ("ssl_cipher", 22), ("obscraft_test", MARK),
];
const ISO: usize = 100;
const MSEC: usize = 101;
const MARK: usize = 102;

/// How many characters of each column always fit; 0 for those that are not texts.
pub type Widths = [usize; COLUMNS.len()];

/// A line.
pub struct Line<'a> {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// The columns' values as in JSON, without quotes; the time's is empty, and so is an absent number.
    pub cells: [&'a [u8]; COLUMNS.len()],
    /// Milliseconds, if the line has a request time.
    pub took_ms: Option<u64>,
}

fn absent(text: &[u8]) -> &[u8] {
    if text == b"-" { b"" } else { text }
}

fn is_whole(text: &[u8], most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) && (text[0] != b'0' || text.len() == 1)
}

/// The bytes before the next `stop`, and those after it.
#[inline]
fn cut(text: &[u8], stop: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&c| c == stop)?;
    Some((&text[..at], &text[at + 1..]))
}

/// `ADDR - USER [TIME] "METHOD URI PROTOCOL" STATUS BYTES "REFERER" "AGENT"`, also without the last two.
pub fn combined<'a>(text: &'a [u8], widths: &Widths, clock: &mut Clock) -> Option<Line<'a>> {
    // Printable ASCII without a backslash: no byte except quotes needs an escape in JSON.
    let plain = text.iter().fold(true, |plain, &c| plain & (c >= 0x20) & (c < 0x7f) & (c != b'\\'));
    if !plain || text.len() > widths[URI] {
        return None;
    }
    let (addr, rest) = cut(text, b' ')?;
    let (user, rest) = cut(rest.strip_prefix(b"- ")?, b' ')?;
    let second = clock.bracketed(rest.get(..28)?)?;
    let (method, rest) = cut(rest[28..].strip_prefix(b" \"")?, b' ')?;
    let (uri, rest) = cut(rest, b' ')?;
    let (protocol, rest) = cut(rest, b'"')?;
    let (status, rest) = cut(rest.strip_prefix(b" ")?, b' ')?;
    // In the common format nothing follows the number of bytes.
    let (size, rest) = cut(rest, b' ').unwrap_or((rest, b""));
    let size: &[u8] = if size == b"-" { b"0" } else { size };
    let (referer, agent): (&[u8], &[u8]) = if rest.is_empty() {
        (b"", b"")
    } else {
        let (referer, rest) = cut(rest.strip_prefix(b"\"")?, b'"')?;
        let (agent, rest) = cut(rest.strip_prefix(b" \"")?, b'"')?;
        if !rest.is_empty() {
            return None;
        }
        (referer, agent)
    };
    let usual = address(addr).is_some()
        && (1..=widths[USER]).contains(&user.len())
        && !user.contains(&b'"')
        && matches!(method, b"GET" | b"POST" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"PATCH")
        && !uri.is_empty()
        && !uri.contains(&b'"')
        && matches!(protocol, b"HTTP/1.1" | b"HTTP/2.0" | b"HTTP/1.0" | b"HTTP/3.0")
        && status.len() == 3
        && is_whole(status, 3)
        && is_whole(size, 18);
    if !usual {
        return None;
    }
    let mut cells: [&[u8]; COLUMNS.len()] = [b""; COLUMNS.len()];
    cells[CLIENT] = addr;
    cells[STATUS] = status;
    cells[BYTES] = size;
    cells[USER] = absent(user);
    cells[METHOD] = method;
    cells[URI] = uri;
    cells[PROTOCOL] = protocol;
    cells[REFERER] = absent(referer);
    cells[AGENT] = absent(agent);
    Some(Line { ms: second * 1000, cells, took_ms: None })
}

/// An object with members of [`MEMBERS`], each at most once; other members are skipped.
pub fn json<'a>(text: &'a [u8], widths: &Widths) -> Option<Line<'a>> {
    let mut cells: [&[u8]; COLUMNS.len()] = [b""; COLUMNS.len()];
    cells[BYTES] = b"0";
    let (mut ms, mut time, mut took_ms) = (None, None, None);
    let mut seen = 0;
    let mut next = 0;
    let mut cursor = Cursor::new(text);
    cursor.object(|c, name| {
        // In most cases it is the member that follows the last one.
        if MEMBERS.get(next).is_none_or(|member| member.0.as_bytes() != name) {
            match MEMBERS.iter().position(|member| member.0.as_bytes() == name) {
                Some(found) => next = found,
                None => return c.skip(),
            }
        }
        once(&mut seen, next)?;
        let column = MEMBERS[next].1;
        next += 1;
        match column {
            ISO => time = Some(c.kept()?),
            MSEC => ms = Some(c.seconds()?.1),
            MARK => return None,
            STATUS | BYTES | LENGTH => cells[column] = c.whole()?,
            SECONDS => {
                let (text, thousandths) = c.seconds()?;
                cells[column] = text;
                took_ms = Some(thousandths);
            }
            _ => {
                let text = c.kept()?;
                if text.len() > widths[column] {
                    return None;
                }
                cells[column] = text;
            }
        }
        Some(())
    })?;
    let ms = match ms {
        Some(ms) => ms,
        None => iso(time?)? * 1000,
    };
    let usual = cursor.at_end()
        && address(cells[CLIENT]).is_some()
        && (1..=3).contains(&cells[STATUS].len())
        && ms < END * 1000
        && took_ms.is_none_or(|ms| ms <= 1_000_000_000_000);
    usual.then_some(Line { ms, cells, took_ms })
}
