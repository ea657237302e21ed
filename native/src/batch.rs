//! Rows of a batch, sorted by their keys and encoded as by `store/mysql/rows.py`, and their roll-ups.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::clock::{self, Clock};
use crate::identity::{self, base64, Id};
use crate::json::number;
use crate::line::{Line, BYTES, LENGTH, SECONDS, STATUS, TIME, URI};
use crate::record::{Records, Room, Settings, Stream};
use crate::route;

pub const BOUNDS_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
const BUCKETS: usize = BOUNDS_MS.len() + 1;
const BYTES_COUNTED: u64 = 1 << 44;
/// How many identities are computed together.
const GROUP: usize = 64;
/// What follows the identity in a row, and the identity itself.
const ROW_END: &[u8] = b"\"]\n";
const ID_TEXT: usize = 24;

/// A row.
struct Entry {
    ms: u64,
    id: Id,
    /// Its index in the batch: of two equal identities the first one counts.
    record: u32,
    source: u64,
    begin: usize,
    end: usize,
    /// None for a row made by Python, which also counts it in the roll-ups.
    counted: Option<Counted>,
}

/// The values of a row for the roll-ups.
#[derive(Clone, Copy)]
struct Counted {
    host: u32,
    bytes: u64,
    kind: u8,
    status: u8,
    took_ms: Option<u64>,
}

#[derive(Default)]
pub struct Totals {
    pub requests: u64,
    pub bytes: u64,
    pub latency: [u64; BUCKETS],
}

/// A roll-up's key.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
pub struct Key {
    /// Minutes since 1970.
    pub minute: u64,
    pub source: u64,
    pub host: u32,
    pub kind: u8,
    pub status: u8,
}

/// Hashes the numbers of a key; clients cannot choose them, so the standard library's protection is not needed.
#[derive(Default)]
pub struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub type Rollups = HashMap<Key, Totals, BuildHasherDefault<Mixer>>;

/// The rows of a batch; it reuses its memory, because new pages take a tenth of the time.
pub struct Batch {
    reads: Records,
    room: Room,
    rows: Vec<u8>,
    entries: Vec<Entry>,
    /// The entries that are kept, in the order of their keys.
    order: Vec<u32>,
    records: u32,
    /// The input of the last entries' identities, and where the input of each one ends.
    inputs: Vec<u8>,
    ends: Vec<usize>,
    ids: Vec<Id>,
}

impl Batch {
    pub fn new(settings: Settings) -> Self {
        Batch {
            reads: Records::new(settings),
            room: Room::default(),
            rows: Vec::new(),
            entries: Vec::new(),
            order: Vec::new(),
            records: 0,
            inputs: Vec::new(),
            ends: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// Begin a batch.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.entries.clear();
        self.order.clear();
        self.inputs.clear();
        self.ends.clear();
        self.records = 0;
        self.reads.forget();
    }

    /// Make rows of a run's records; return the indexes, within the run, of those that Python must read.
    pub fn take<'a>(&mut self, values: impl Iterator<Item = Option<&'a [u8]>>, first: u64, source: u64) -> Vec<usize> {
        let mut left = Vec::new();
        let mut room = std::mem::take(&mut self.room);
        for (at, value) in values.enumerate() {
            let offset = first.wrapping_add(at as u64);
            if value.and_then(|value| self.row(value, offset, source, &mut room)).is_none() {
                left.push(at);
            }
            self.records += 1;
        }
        self.room = room;
        self.identify();
        left
    }

    /// Make a row of a record; None if the record is unusual.
    fn row(&mut self, value: &[u8], offset: u64, source: u64, room: &mut Room) -> Option<()> {
        let record = self.reads.read(value, room)?;
        self.reads.identify(&record, &mut self.inputs);
        self.ends.push(self.inputs.len());
        let begin = self.rows.len();
        let line = &record.line;
        self.write(line, record.stream, offset, source);
        self.entries.push(Entry {
            ms: line.ms,
            id: Id::default(),
            record: self.records,
            source,
            begin,
            end: self.rows.len(),
            counted: Some(Counted {
                host: self.reads.streams[record.stream].of_host as u32,
                bytes: number(line.cells[BYTES]).min(BYTES_COUNTED),
                kind: route::kind(line.cells[URI]),
                status: (number(line.cells[STATUS]) / 100) as u8,
                took_ms: line.took_ms,
            }),
        });
        if self.ends.len() == GROUP {
            self.identify();
        }
        Some(())
    }

    fn write(&mut self, line: &Line<'_>, stream: usize, offset: u64, source: u64) {
        let out = &mut self.rows;
        out.push(b'[');
        for (column, &cell) in line.cells.iter().enumerate() {
            match column {
                STATUS | BYTES | LENGTH | SECONDS => {
                    out.extend_from_slice(if cell.is_empty() { b"NULL" } else { cell });
                    out.push(b',');
                }
                _ => {
                    out.push(b'"');
                    if column == TIME {
                        self.reads.clock.write(out, line.ms);
                    } else {
                        out.extend_from_slice(cell);
                    }
                    out.extend_from_slice(b"\",");
                }
            }
        }
        // Empty `cut_fields`, since only Python makes rows of cut lines; format and host.
        let Stream { format, host, .. } = &self.reads.streams[stream];
        for part in [&b"\"\",\""[..], format, b"\",\"", host, b"\","] {
            out.extend_from_slice(part);
        }
        for value in [source, offset] {
            put(out, value);
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(&[0; ID_TEXT]);
        out.extend_from_slice(ROW_END);
    }

    /// Compute the identities of the last entries.
    fn identify(&mut self) {
        let (inputs, ends) = (&self.inputs, &self.ends);
        let begins = std::iter::once(0).chain(ends.iter().copied());
        identity::of_all(begins.zip(ends).map(|(begin, &end)| &inputs[begin..end]), &mut self.ids);
        let first = self.entries.len() - ends.len();
        for (entry, id) in self.entries[first..].iter_mut().zip(&self.ids) {
            entry.id = *id;
            let end = entry.end - ROW_END.len();
            self.rows[end - ID_TEXT..end].copy_from_slice(&base64(id));
        }
        self.inputs.clear();
        self.ends.clear();
    }

    /// Add a row that Python made of a record that was left to it.
    pub fn give(&mut self, record: u32, row: &[u8], ms: u64, id: Id, source: u64) {
        let begin = self.rows.len();
        self.rows.extend_from_slice(row);
        self.entries.push(Entry { ms, id, record, source, begin, end: self.rows.len(), counted: None });
    }

    /// Keep the first row of each identity, and sort the rows by their keys.
    pub fn sort(&mut self) {
        let numbered = self.entries.iter().zip(0u32..);
        let mut keys: Vec<_> = numbered.map(|(e, at)| (u128::from_be_bytes(e.id), e.record, at)).collect();
        keys.sort_unstable();
        keys.dedup_by_key(|key| key.0);
        // This sort is stable: rows with equal times stay sorted by identity.
        keys.sort_by_key(|key| self.entries[key.2 as usize].ms);
        self.order.extend(keys.iter().map(|key| key.2));
    }

    /// The entries that are kept, in the order of their keys.
    fn sorted(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.order.iter().map(|&at| &self.entries[at as usize])
    }

    /// Size of all rows, bytes.
    pub fn size(&self) -> usize {
        self.sorted().map(|e| e.end - e.begin).sum()
    }

    /// Write the rows to `out`, which has [`Batch::size`] bytes.
    pub fn copy_rows(&self, mut out: &mut [u8]) {
        for e in self.sorted() {
            let (to, rest) = std::mem::take(&mut out).split_at_mut(e.end - e.begin);
            to.copy_from_slice(&self.rows[e.begin..e.end]);
            out = rest;
        }
    }

    /// The concatenated identities.
    pub fn ids(&self) -> Vec<u8> {
        self.sorted().flat_map(|e| e.id).collect()
    }

    /// The record numbers of the remaining rows that Python made.
    pub fn given(&self) -> Vec<u32> {
        self.sorted().filter(|e| e.counted.is_none()).map(|e| e.record).collect()
    }

    /// The latest time (milliseconds since 1970) of each source.
    pub fn newest(&self) -> Vec<(u64, u64)> {
        let mut newest: Vec<(u64, u64)> = Vec::new();
        for e in self.sorted().rev() {
            if !newest.iter().any(|(source, _)| *source == e.source) {
                newest.push((e.source, e.ms));
            }
        }
        newest
    }

    /// The roll-ups of the rows that were made here.
    pub fn count(&self) -> Rollups {
        let mut found = Rollups::default();
        for e in self.sorted() {
            let Some(c) = e.counted else { continue };
            let key = Key { minute: e.ms / 60_000, source: e.source, host: c.host, kind: c.kind, status: c.status };
            let totals = found.entry(key).or_default();
            totals.requests += 1;
            totals.bytes += c.bytes;
            if let Some(took) = c.took_ms {
                totals.latency[BOUNDS_MS.iter().filter(|&&bound| bound < took).count()] += 1;
            }
        }
        found
    }

    /// The names of a roll-up's key.
    pub fn host(&self, key: &Key) -> &[u8] {
        &self.reads.streams[key.host as usize].host
    }
}

/// Write a number.
fn put(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `YYYY-MM-DD HH:MM:SS.mmm` of milliseconds since 1970.
pub fn moment(ms: u64) -> String {
    let mut out = Vec::new();
    Clock::default().write(&mut out, ms);
    String::from_utf8_lossy(&out).into_owned()
}

/// `YYYY-MM-DD HH:MM` of minutes since 1970.
pub fn minute(minutes: u64) -> String {
    String::from_utf8_lossy(&clock::text(minutes * 60)[..16]).into_owned()
}
