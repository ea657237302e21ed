//! A strict JSON reader: what it accepts, msgspec accepts as well, with the same result. None: left to Python.
#![forbid(unsafe_code)]

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
/// Deepest nesting of a skipped value.
const DEPTH: u32 = 16;
/// A whole number with this many digits fits 63 bits.
const DIGITS: usize = 18;

/// Mark, among eight bytes, those that have a special meaning in a string. Only the first mark is exact.
#[inline]
fn special(chunk: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(chunk);
    let word = u64::from_le_bytes(bytes);
    let (quote, backslash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    (zero(quote) | zero(backslash) | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGH
}

/// Count the leading bytes without a special meaning in a string.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let marks = special(chunk);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|&&c| c != b'"' && c != b'\\' && c >= 0x20).count()
}

/// The character of an escape (without its backslash), and how many bytes it is long.
fn escape(bytes: &[u8]) -> Option<(char, usize)> {
    Some(match *bytes.first()? {
        c @ (b'"' | b'\\' | b'/') => (c as char, 1),
        b'n' => ('\n', 1),
        b't' => ('\t', 1),
        b'r' => ('\r', 1),
        b'b' => ('\u{8}', 1),
        b'f' => ('\u{c}', 1),
        b'u' => {
            let mut code = 0;
            for &digit in bytes.get(1..5)? {
                code = code * 16 + (digit as char).to_digit(16)?;
            }
            (char::from_u32(code)?, 5) // a surrogate is none
        }
        _ => return None,
    })
}

/// The value of at most 18 digits.
#[inline]
pub fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
}

/// Record that a member occurred; None if it has occurred before.
#[inline]
pub fn once(seen: &mut u32, member: usize) -> Option<()> {
    let bit = 1 << member;
    let first = *seen & bit == 0;
    *seen |= bit;
    first.then_some(())
}

pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, at: 0 }
    }

    /// Take the next byte that is not white space.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
        }
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.token()? == wanted).then_some(())
    }

    pub fn at_end(&mut self) -> bool {
        self.token().is_none()
    }

    /// Read an object; `member` gets each name and reads its value. An empty object is refused.
    #[inline]
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &'a [u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        loop {
            let name = self.plain()?;
            self.expect(b':')?;
            member(self, name)?;
            match self.token()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string without escapes.
    #[inline]
    pub fn plain(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        let end = start + plain_len(&self.bytes[start..]);
        if *self.bytes.get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        Some(&self.bytes[start..end])
    }

    /// A string as written, with only those escapes that msgspec and the servers write in the same way.
    #[inline]
    pub fn kept(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        self.kept_tail()
    }

    #[inline]
    fn kept_tail(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        loop {
            self.at += plain_len(&self.bytes[self.at..]);
            match *self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(&self.bytes[start..self.at - 1]);
                }
                b'\\' if matches!(*self.bytes.get(self.at + 1)?, b'"' | b'\\' | b'n' | b't' | b'r' | b'b') => self.at += 2,
                _ => return None,
            }
        }
    }

    /// A string with its escapes resolved: a slice of the input if it has none, otherwise None, and the text is in
    /// `out`.
    #[inline]
    pub fn text(&mut self, out: &mut Vec<u8>) -> Option<Option<&'a [u8]>> {
        self.expect(b'"')?;
        let all = self.bytes;
        let start = self.at;
        self.at += plain_len(&all[start..]);
        if *all.get(self.at)? == b'"' {
            self.at += 1;
            return Some(Some(&all[start..self.at - 1]));
        }
        // A step copies eight bytes and keeps those before the next special one.
        out.clear();
        out.resize(all.len() - start + 8, 0);
        let (mut at, mut to) = (start, 0);
        loop {
            let kept = if let Some(chunk) = all.get(at..at + 8) {
                out[to..to + 8].copy_from_slice(chunk);
                let marks = special(chunk);
                if marks == 0 { 8 } else { (marks.trailing_zeros() / 8) as usize }
            } else {
                let kept = plain_len(&all[at..]);
                out[to..to + kept].copy_from_slice(&all[at..at + kept]);
                kept
            };
            at += kept;
            to += kept;
            if kept == 8 {
                continue;
            }
            match *all.get(at)? {
                b'"' => break,
                b'\\' => {
                    let (character, length) = escape(all.get(at + 1..)?)?;
                    to += character.encode_utf8(&mut out[to..]).len();
                    at += 1 + length;
                }
                _ => return None,
            }
        }
        out.truncate(to);
        self.at = at + 1;
        Some(None)
    }

    /// Digits that begin with `first`, which was read already.
    #[inline]
    fn digits(&mut self, first: u8) -> Option<&'a [u8]> {
        let start = self.at - 1;
        if !first.is_ascii_digit() {
            return None;
        }
        while self.bytes.get(self.at)?.is_ascii_digit() {
            self.at += 1;
        }
        let found = &self.bytes[start..self.at];
        (found.len() <= DIGITS && (first != b'0' || found.len() == 1)).then_some(found)
    }

    /// Whether a number ends here: no fraction, no exponent.
    #[inline]
    fn number_ends(&self) -> bool {
        matches!(self.bytes.get(self.at), Some(b',' | b'}' | b' '))
    }

    /// The digits of a whole number.
    #[inline]
    pub fn whole(&mut self) -> Option<&'a [u8]> {
        let first = self.token()?;
        let found = self.digits(first)?;
        self.number_ends().then_some(found)
    }

    /// A number with up to three decimals, as nginx writes seconds: its text without redundant zeros, and its
    /// thousandths.
    #[inline]
    pub fn seconds(&mut self) -> Option<(&'a [u8], u64)> {
        let first = self.token()?;
        let start = self.at - 1;
        let whole = self.digits(first)?;
        if whole.len() > 11 || *self.bytes.get(self.at)? != b'.' {
            return None;
        }
        let rest = &self.bytes[self.at + 1..];
        let decimals = rest.iter().take(3).take_while(|digit| digit.is_ascii_digit()).count();
        let part = &rest[..decimals];
        self.at += 1 + decimals;
        if decimals == 0 || !self.number_ends() {
            return None;
        }
        let needless = part[1..].iter().rev().take_while(|&&digit| digit == b'0').count();
        let thousandths = number(whole) * 1000 + number(part) * [0, 100, 10, 1][decimals];
        Some((&self.bytes[start..self.at - needless], thousandths))
    }

    /// Skip a value.
    pub fn skip(&mut self) -> Option<()> {
        self.skip_at(0)
    }

    fn skip_at(&mut self, depth: u32) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        match self.token()? {
            b'"' => self.kept_tail().map(|_| ()),
            open @ (b'{' | b'[') => {
                let close = open + 2; // in ASCII
                if self.token()? == close {
                    return Some(());
                }
                self.at -= 1;
                loop {
                    if open == b'{' {
                        self.plain()?;
                        self.expect(b':')?;
                    }
                    self.skip_at(depth + 1)?;
                    match self.token()? {
                        b',' => {}
                        end => return (end == close).then_some(()),
                    }
                }
            }
            b't' => self.word(b"rue"),
            b'f' => self.word(b"alse"),
            b'n' => self.word(b"ull"),
            first => {
                self.digits(first)?;
                if *self.bytes.get(self.at)? == b'.' {
                    self.at += 1;
                    let start = self.at;
                    while self.bytes.get(self.at)?.is_ascii_digit() {
                        self.at += 1;
                    }
                    return (1..=DIGITS).contains(&(self.at - start)).then_some(());
                }
                Some(())
            }
        }
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let found = self.bytes.get(self.at..self.at + rest.len())? == rest;
        self.at += rest.len();
        found.then_some(())
    }
}
