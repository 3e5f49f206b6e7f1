//! The files of a journal with one partition: as they were written, and as they are now.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

const IDENTITY: &str = r#"{"format":1,"id":"676f6c64-7769-7265-8000-00000000f022","partitions":1}"#;
/// The first half of the id.
const MARKER: &[u8; 8] = b"goldwire";
const HEADER: usize = 52;
const FILES: usize = 6;
const FRAMES: usize = 24;

/// One acknowledged append.
pub(super) struct Frame {
    file: usize,
    at: Range<usize>,
    /// Offset of its first record.
    pub(super) first: u64,
    records: Vec<Vec<u8>>,
}

impl Frame {
    /// One past the offset of its last record.
    pub(super) fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }
}

#[derive(Clone)]
struct File {
    base: u64,
    bytes: Vec<u8>,
}

/// What was written, and what is there.
///
/// | line | |
/// |---|---|
/// | `append 3 40` | a frame of records with these lengths was acknowledged |
/// | `segment` | the next frame began a new file |
/// | `torn 17` | so many bytes of a frame that was not acknowledged |
/// | `bytes …` | these follow in the newest file |
/// | `flip 0 99 3` | bit 3 of byte 99 of the first file is wrong |
/// | `zero 0 99 512` | so many bytes are zero |
/// | `cut 0 20` | so many bytes of its end are not there |
/// | `again` | the last frame is there twice |
/// | `lost 0`, `swapped 0 1` | a file is gone; two have each other's content |
/// | `identity …` | the text of `identity.json` |
/// | `whole`, `body` | all that follows is the newest file, or what is in it behind its header |
///
/// First everything is written, then everything else happens.
pub(super) struct Disk {
    identity: Vec<u8>,
    written: Vec<File>,
    now: Vec<Option<File>>,
    /// Bytes that goldwire did not write were put there, or some that it did a second time.
    foreign: bool,
    pub(super) frames: Vec<Frame>,
}

impl Disk {
    pub(super) fn of_script(script: &[u8]) -> Self {
        let mut disk = Self {
            identity: IDENTITY.into(),
            written: vec![header_of(0, None)],
            now: Vec::new(),
            foreign: false,
            frames: Vec::new(),
        };
        let lines = || script.split(|byte| *byte == b'\n');
        lines().for_each(|line| disk.write_line(line));
        disk.now = disk.written.iter().cloned().map(Some).collect();
        let mut at = 0;
        for line in lines() {
            at = (at + line.len() + 1).min(script.len());
            match line {
                b"whole" => disk.replace_newest(0, &script[at..]),
                b"body" => disk.replace_newest(HEADER, &script[at..]),
                _ => {
                    disk.damage(line);
                    continue;
                }
            }
            break;
        }
        disk
    }

    fn write_line(&mut self, line: &[u8]) {
        let (verb, numbers) = parse(line);
        let newest = self.written.len() - 1;
        let is_empty = self.written[newest].bytes.len() == HEADER;
        match verb {
            "append" if self.frames.len() < FRAMES && !numbers.is_empty() => {
                let first = self.acknowledged();
                let lengths = (first..).zip(numbers.iter().take(4));
                let records: Vec<_> = lengths
                    .map(|(offset, length)| filler(offset, *length))
                    .collect();
                let bytes = encode(first, &records);
                let file = &mut self.written[newest].bytes;
                let at = file.len()..file.len() + bytes.len();
                file.extend(bytes);
                self.frames.push(Frame {
                    file: newest,
                    at,
                    first,
                    records,
                });
            }
            "segment" if self.written.len() < FILES && !is_empty => {
                self.written
                    .push(header_of(self.acknowledged(), self.written.last()));
            }
            _ => {}
        }
    }

    fn damage(&mut self, line: &[u8]) {
        let (verb, numbers) = parse(line);
        let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
        let newest = self.now.len() - 1;
        match verb {
            "torn" => {
                let frame = encode(self.acknowledged(), &[filler(0, 100)]);
                self.extend_newest(&frame[..number(0) % frame.len()]);
            }
            "bytes" => {
                self.foreign = true;
                self.extend_newest(line.get("bytes ".len()..).unwrap_or_default());
            }
            "again" => {
                self.foreign = true;
                let last = self
                    .frames
                    .last()
                    .map(|frame| self.written[frame.file].bytes[frame.at.clone()].to_vec());
                self.extend_newest(&last.unwrap_or_default());
            }
            "identity" => {
                self.identity = line.get("identity ".len()..).unwrap_or_default().to_vec();
            }
            "lost" => self.now[number(0).min(newest)] = None,
            "swapped" => {
                let (one, other) = (number(0).min(newest), number(1).min(newest));
                let bytes = |file: usize| self.now[file].as_ref().map(|file| file.bytes.clone());
                if let (Some(of_one), Some(of_other)) = (bytes(one), bytes(other)) {
                    self.set(one, of_other);
                    self.set(other, of_one);
                }
            }
            "flip" | "zero" | "cut" => {
                if let Some(file) = &mut self.now[number(0).min(newest)] {
                    damage_bytes(verb, &mut file.bytes, number(1), number(2));
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, file: usize, bytes: Vec<u8>) {
        if let Some(file) = &mut self.now[file] {
            file.bytes = bytes;
        }
    }

    fn extend_newest(&mut self, bytes: &[u8]) {
        if let Some(Some(file)) = self.now.last_mut() {
            file.bytes.extend_from_slice(bytes);
        }
    }

    fn replace_newest(&mut self, from: usize, bytes: &[u8]) {
        self.foreign = true;
        if let Some(Some(file)) = self.now.last_mut() {
            file.bytes.truncate(from);
            file.bytes.extend_from_slice(bytes);
        }
    }

    /// Writes what is there now.
    pub(super) fn write(&self, dir: &Path) {
        fs::create_dir(dir.join("0")).expect("a folder");
        fs::write(dir.join("identity.json"), &self.identity).expect("a file");
        for file in self.now.iter().flatten() {
            fs::write(path(dir, file.base), &file.bytes).expect("a file");
        }
    }

    /// Whether the files in `dir` are those that were written there.
    pub(super) fn is_untouched(&self, dir: &Path) -> bool {
        let files = fs::read_dir(dir.join("0")).expect("a folder").count();
        let mut there = self.now.iter().flatten();
        files == there.clone().count()
            && there
                .all(|file| fs::read(path(dir, file.base)).is_ok_and(|bytes| bytes == file.bytes))
    }

    /// Whether all that happened is what a crash does: bytes that are no frame, after the last.
    pub(super) fn is_torn_at_most(&self) -> bool {
        let mut files = self.written.iter().zip(&self.now).rev();
        let newest = files.next().is_some_and(|(written, now)| {
            let more = now
                .as_ref()
                .and_then(|now| now.bytes.strip_prefix(&*written.bytes));
            more.is_some_and(|more| !self.foreign || !holds_marker(more))
        });
        newest
            && self.identity == IDENTITY.as_bytes()
            && files
                .all(|(written, now)| now.as_ref().is_some_and(|now| now.bytes == written.bytes))
    }

    /// Whether bytes of others were put there, which may be a frame.
    pub(super) fn is_foreign(&self) -> bool {
        self.foreign
    }

    /// Whether a frame is where it was, as it was.
    pub(super) fn is_intact(&self, frame: &Frame) -> bool {
        let written = &self.written[frame.file].bytes[frame.at.clone()];
        let now = self.now[frame.file].as_ref();
        now.is_some_and(|now| now.bytes.get(frame.at.clone()) == Some(written))
    }

    /// Whether a frame that holds this record, or one before it in its file, is not as it was.
    pub(super) fn is_damaged_before(&self, offset: u64) -> bool {
        let file = self
            .frames
            .iter()
            .find(|frame| offset < frame.end())
            .map(|frame| frame.file);
        let before = self.frames.iter().filter(|frame| frame.first <= offset);
        before
            .filter(|frame| Some(frame.file) == file)
            .any(|frame| !self.is_intact(frame))
    }

    /// How many records were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.frames.last().map_or(0, Frame::end)
    }

    /// An acknowledged record.
    pub(super) fn record(&self, offset: u64) -> Option<&[u8]> {
        let frame = self
            .frames
            .iter()
            .find(|frame| (frame.first..frame.end()).contains(&offset))?;
        let at = usize::try_from(offset - frame.first).ok()?;
        frame.records.get(at).map(Vec::as_slice)
    }
}

fn parse(line: &[u8]) -> (&str, Vec<usize>) {
    let text = line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let mut words = text.split(' ');
    let verb = words.next().unwrap_or_default();
    (verb, words.map_while(|word| word.parse().ok()).collect())
}

fn damage_bytes(verb: &str, bytes: &mut Vec<u8>, from: usize, much: usize) {
    match verb {
        "flip" => {
            if let Some(byte) = bytes.get_mut(from) {
                *byte ^= 1 << (much % 8);
            }
        }
        "zero" => {
            let end = from.saturating_add(much).min(bytes.len());
            if let Some(part) = bytes.get_mut(from..end) {
                part.fill(0);
            }
        }
        _ => bytes.truncate(bytes.len().saturating_sub(from)),
    }
}

fn holds_marker(bytes: &[u8]) -> bool {
    bytes.windows(MARKER.len()).any(|window| window == MARKER)
}

fn path(dir: &Path, base: u64) -> PathBuf {
    dir.join("0").join(format!("{base:020}.log"))
}

/// Bytes that tell the record from its neighbours.
fn filler(offset: u64, length: usize) -> Vec<u8> {
    let letters = format!("<{offset}>");
    letters.bytes().cycle().take(length % 600).collect()
}

/// The header of a file, as the journal's documentation lays it out.
fn header_of(base: u64, before: Option<&File>) -> File {
    let (before_base, length) = before.map_or((0, 0), |file| (file.base, file.bytes.len() as u64));
    let mut bytes = MARKER.to_vec();
    // format 1, partition 0, nothing
    bytes.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    for number in [base, before_base, length, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    File { base, bytes }
}

/// A frame, as the journal's documentation lays it out.
fn encode(first: u64, records: &[Vec<u8>]) -> Vec<u8> {
    let mut rest = first.to_be_bytes().to_vec();
    rest.extend((records.len() as u32).to_be_bytes());
    rest.extend(0_i64.to_be_bytes());
    let mut body = Vec::new();
    for record in records {
        body.extend((record.len() as u32).to_be_bytes());
        body.extend(record);
    }
    let length = (body.len() as u32).to_be_bytes();
    rest.extend(body);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&length), &rest);
    [MARKER, &length[..], &crc.to_be_bytes(), &rest].concat()
}
