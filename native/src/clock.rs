//! Times, as `lines/formats/clock.py` reads and writes them; leap seconds are left to it.
#![forbid(unsafe_code)]

const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
const DAY: i64 = 86_400;
/// 2100-01-01 in seconds since 1970: plausible times are earlier.
pub const END: u64 = 4_102_444_800;

/// Reads and writes times; the last one of each is cached, since many lines have the same second.
#[derive(Default)]
pub struct Clock {
    read: [u8; 28],
    read_second: u64,
    written: [u8; 19],
    written_second: u64,
}

/// Days since 1970 of a date (cycles of 400 years begin in March, so that the leap day is the last day).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since 1970.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let found = (month + 2) % 12 + 1;
    (year + era * 400 + i64::from(found <= 2), found, of_year - (153 * month + 2) / 5 + 1)
}

fn two(text: &[u8]) -> Option<i64> {
    let digit = |c: u8| c.is_ascii_digit().then(|| i64::from(c - b'0'));
    Some(digit(*text.first()?)? * 10 + digit(*text.get(1)?)?)
}

/// Seconds since 1970 of a date, `HH:MM:SS`, and a zone's sign, hours and minutes.
fn second(year: i64, month: i64, day: i64, time: &[u8], zone: (u8, i64, i64)) -> Option<u64> {
    let last = match month {
        2 => 28 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let (hour, minute, second) = (two(time)?, two(&time[3..])?, two(&time[6..])?);
    let (sign, zone_hours, zone_minutes) = zone;
    let valid = (1..=12).contains(&month)
        && (1..=last).contains(&day)
        && time[2] == b':'
        && time[5] == b':'
        && hour < 24
        && minute < 60
        && second < 60
        && zone_hours < 24
        && zone_minutes < 60;
    let ahead = (zone_hours * 60 + zone_minutes) * 60;
    let ahead = match sign {
        b'+' => ahead,
        b'-' => -ahead,
        _ => return None,
    };
    let found = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - ahead;
    u64::try_from(found).ok().filter(|&found| valid && found < END)
}

impl Clock {
    /// Seconds since 1970 of `[02/Jan/2026:03:04:05 +0100]`.
    #[inline]
    pub fn bracketed(&mut self, text: &[u8]) -> Option<u64> {
        if text == self.read {
            return Some(self.read_second);
        }
        let [b'[', _, _, b'/', _, _, _, b'/', _, _, _, _, b':', time @ .., b' ', sign, _, _, _, _, b']'] = text else {
            return None;
        };
        if time.len() != 8 {
            return None;
        }
        let month = MONTHS.chunks(3).position(|name| name == &text[4..7])? as i64 + 1;
        let year = two(&text[8..])? * 100 + two(&text[10..])?;
        let found = second(year, month, two(&text[1..])?, time, (*sign, two(&text[23..])?, two(&text[25..])?))?;
        self.read.copy_from_slice(text);
        self.read_second = found;
        Some(found)
    }

    /// Write milliseconds since 1970 in the store's format.
    #[inline]
    pub fn write(&mut self, out: &mut Vec<u8>, ms: u64) {
        let second = ms / 1000;
        if second != self.written_second || self.written[0] == 0 {
            self.written_second = second;
            self.written = text(second);
        }
        out.extend_from_slice(&self.written);
        let digit = |n: u64| b'0' + (n % 10) as u8;
        out.extend_from_slice(&[b'.', digit(ms / 100), digit(ms / 10), digit(ms)]);
    }
}

/// Seconds since 1970 of `2026-01-02T03:04:05+01:00`.
pub fn iso(text: &[u8]) -> Option<u64> {
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T', time @ .., sign, _, _, b':', _, _] = text else {
        return None;
    };
    if time.len() != 8 {
        return None;
    }
    let year = two(text)? * 100 + two(&text[2..])?;
    second(year, two(&text[5..])?, two(&text[8..])?, time, (*sign, two(&text[20..])?, two(&text[23..])?))
}

/// Milliseconds since 1970 of `2026-01-02 03:04:05.678`, a time that is stored.
pub fn stored(text: &[u8]) -> Option<u64> {
    let year = two(text)? * 100 + two(text.get(2..)?)?;
    let ms = text.get(20..).filter(|ms| ms.len() == 3 && ms.iter().all(u8::is_ascii_digit))?;
    let found = second(year, two(&text[5..])?, two(&text[8..])?, &text[11..19], (b'+', 0, 0))?;
    Some(found * 1000 + crate::json::number(ms))
}

/// `YYYY-MM-DD HH:MM:SS` of seconds since 1970.
pub fn text(second: u64) -> [u8; 19] {
    let (year, month, day) = date((second / DAY as u64) as i64);
    let second = (second % DAY as u64) as i64;
    let mut out = *b"0000-00-00 00:00:00";
    let parts = [year / 100, year % 100, month, day, second / 3600, second / 60 % 60, second % 60];
    for (at, part) in [0, 2, 5, 8, 11, 14, 17].into_iter().zip(parts) {
        out[at] += (part / 10) as u8;
        out[at + 1] += (part % 10) as u8;
    }
    out
}
