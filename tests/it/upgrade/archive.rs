//! A directory as one small file.

use std::fs::File;
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

pub(super) fn pack(dir: &Path, file: &Path) {
    let gzip = GzEncoder::new(File::create(file).unwrap(), Compression::best());
    let mut archive = tar::Builder::new(gzip);
    archive.mode(tar::HeaderMode::Deterministic);
    archive.append_dir_all(".", dir).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
}

pub(super) fn unpack(file: &Path, dir: &Path) {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(file).unwrap()));
    archive.unpack(dir).unwrap();
}
