//! Protobuf: a `.proto` text compiled in memory, and a message read by it.

mod bundled;
mod message;
mod place;

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use protox::prost::Message as _;
use protox::prost::encoding::decode_varint;
use protox::prost_reflect::prost_types::FileDescriptorProto;
use protox::prost_reflect::{DynamicMessage, FileDescriptor, MessageDescriptor};

use super::output::{Json, Place};
use super::{Reference, Unfit};

/// A message becomes a tree of up to sixty times its bytes (G8).
const LARGEST: usize = 8 << 20;
/// Messages within messages; an index that is longer is none.
const DEEPEST: u64 = 32;
/// What the schema itself is called; a registry's names of imports end in `.proto`.
const ROOT: &str = "the schema";

/// A schema: a file of messages.
#[derive(Debug)]
pub(super) struct Protobuf {
    file: FileDescriptor,
}

impl Protobuf {
    /// Compiles `text`, which may import what is in `references`.
    ///
    /// # Errors
    /// Why it does not compile.
    pub(super) fn compile(text: &str, references: &[Reference]) -> Result<Self, String> {
        let mut files: HashMap<String, String> = references
            .iter()
            .map(|Reference { name, text }| (name.clone(), text.clone()))
            .collect();
        files.insert(ROOT.to_owned(), text.to_owned());
        let mut resolver = ChainFileResolver::new();
        resolver.add(Texts(files));
        resolver.add(bundled::Bundled);
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        let opened = compiler.open_file(ROOT);
        opened.map_err(|error| error.to_string())?;
        let pool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(ROOT);
        let file = file.ok_or_else(|| "it came to nothing".to_owned())?;
        Ok(Self { file })
    }

    /// The body in `datum`: the place of its message in the schema, then the message.
    pub(super) fn body(&self, datum: &Bytes, limit: usize) -> Result<Bytes, Unfit> {
        if datum.len() > LARGEST {
            let why = format!("a message of more than {LARGEST} bytes");
            return Err(Unfit::because(why));
        }
        let mut bytes = datum.clone();
        let descriptor = self.message(&mut bytes)?;
        let message = DynamicMessage::decode(descriptor.clone(), bytes.clone());
        let message = message.map_err(|error| place::of_failure(&descriptor, bytes, &error))?;
        if let Some(alone) = message::alone(&message) {
            return Ok(alone);
        }
        let mut json = Json::new(limit);
        message::write(&message, &mut json, Place::Anywhere)?;
        Ok(json.finish().into())
    }

    /// Takes the place of the message off `bytes`: how many numbers, then each, all in zigzag; a
    /// zero alone is the first message.
    fn message(&self, bytes: &mut Bytes) -> Result<MessageDescriptor, Unfit> {
        let bad = || Unfit::because("the list of message indexes names no message of the schema");
        let mut number = || {
            let number = decode_varint(bytes).map_err(|_| bad())?;
            // Zigzag, and none is negative.
            if number & 1 == 0 {
                Ok(number >> 1)
            } else {
                Err(bad())
            }
        };
        let count = number()?;
        if count > DEEPEST {
            return Err(bad());
        }
        let mut first = 0;
        if count > 0 {
            first = number()?;
        }
        let mut found = nth(self.file.messages(), first).ok_or_else(bad)?;
        for _ in 1..count {
            let index = number()?;
            // The entries of maps are messages to the compiler, and not to who counted.
            let written = found.child_messages();
            let next = nth(written.filter(|child| !child.is_map_entry()), index);
            found = next.ok_or_else(bad)?;
        }
        Ok(found)
    }
}

fn nth(
    mut messages: impl Iterator<Item = MessageDescriptor>,
    index: u64,
) -> Option<MessageDescriptor> {
    messages.nth(usize::try_from(index).ok()?)
}

/// Files by name.
struct Texts(HashMap<String, String>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let text = self.0.get(name);
        let text = text.ok_or_else(|| protox::Error::file_not_found(name))?;
        match described(name, text) {
            Some(descriptor) => Ok(File::from_file_descriptor_proto(descriptor)),
            None => File::from_source(name, text),
        }
    }
}

/// The file that a text describes in base64: so some serializers register it, and some registries
/// give it back as it came. The text of a `.proto` file has blanks.
fn described(name: &str, text: &str) -> Option<FileDescriptorProto> {
    let bytes = STANDARD.decode(text.trim_ascii()).ok()?;
    let mut descriptor = FileDescriptorProto::decode(&*bytes).ok()?;
    descriptor.name = Some(name.to_owned());
    Some(descriptor)
}
