//! Makes modules interruptible: wherever they may have gone on for a while, their code reads a byte
//! of a memory of its own. Whoever wants to interrupt it takes the memory's page away, so
//! that it faults there.
//!
//! Wasmtime's epochs do the same at a higher price: each function loads two pointers and
//! the numbers behind them, compares at the head of each loop, and keeps two registers for that.
//! The guest's own code cannot name the memory: the module is valid without it.

use wasm_encoder::{
    CodeSection, Encode, ExportKind, ExportSection, Instruction, MemArg, MemorySection, MemoryType,
    RawSection, Section, SectionId,
};
use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload, TypeRef};

/// What the memory is exported as.
const PAGE: &str = "wasmrt:interrupt";
/// What the start function is exported as, in place of being one: until an instance is made,
/// nobody knows where its page is.
const START: &str = "wasmrt:start";

/// How many operators a function may have without a check at its head, if it calls no other. One
/// as large as a function can be, with nothing but calls of such in it, takes seconds.
const MOST_UNCHECKED: usize = 256;

/// The module with checks; `wasm` must be valid.
pub fn with_checks(wasm: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut sections = Sections::default();
    let mut memories = MemorySection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    let mut check = Vec::new();
    // Imported memories come before the others, and all before the code.
    let mut memory_count = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    memory_count += u32::from(matches!(import?.ty, TypeRef::Memory(_)));
                }
                sections.set(&RawSection {
                    id: SectionId::Import as u8,
                    data: &wasm[section.range()],
                });
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    memories.memory(memory?.into());
                    memory_count += 1;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    exports.export(export.name, crate::kind(export.kind), export.index);
                }
            }
            Payload::StartSection { func, .. } => {
                exports.export(START, ExportKind::Func, func);
            }
            Payload::CodeSectionStart { .. } => check = encoded_check(memory_count),
            Payload::CodeSectionEntry(body) => {
                code.raw(&body_with_checks(wasm, &body, &check)?);
            }
            // They tell places in the code, which move.
            Payload::CustomSection(section)
                if section.name().starts_with(".debug_")
                    || section.name().starts_with("metadata.code.") => {}
            other => {
                if let Some((id, range)) = other.as_section() {
                    sections.set(&RawSection { id, data: &wasm[range] });
                }
            }
        }
    }
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export(PAGE, ExportKind::Memory, memory_count);
    sections.set(&memories);
    sections.set(&exports);
    sections.set(&code);
    Ok(sections.module())
}

/// The sections of a module, each under the place that "Modules" in the WebAssembly
/// specification's chapter "Binary Format" gives it.
#[derive(Default)]
struct Sections([Vec<u8>; Self::ORDER.len() + 1]);

impl Sections {
    const ORDER: [SectionId; 12] = [
        SectionId::Type,
        SectionId::Import,
        SectionId::Function,
        SectionId::Table,
        SectionId::Memory,
        SectionId::Tag,
        SectionId::Global,
        SectionId::Export,
        SectionId::Element,
        SectionId::DataCount,
        SectionId::Code,
        SectionId::Data,
    ];

    /// Custom sections, of which there may be many, come last.
    fn set(&mut self, section: &impl Section) {
        let place = Self::ORDER.iter().position(|known| *known as u8 == section.id());
        section.append_to(&mut self.0[place.unwrap_or(Self::ORDER.len())]);
    }

    fn module(self) -> Vec<u8> {
        let mut module = wasm_encoder::Module::HEADER.to_vec();
        module.extend(self.0.into_iter().flatten());
        module
    }
}

/// An atomic load, since Cranelift leaves each of these where it is: a plain one in a loop goes
/// where another before the loop has read the same.
fn encoded_check(memory_index: u32) -> Vec<u8> {
    let mut check = Vec::new();
    Instruction::I32Const(0).encode(&mut check);
    Instruction::I32AtomicLoad8U(MemArg { offset: 0, align: 0, memory_index }).encode(&mut check);
    Instruction::Drop.encode(&mut check);
    check
}

fn body_with_checks(
    wasm: &[u8],
    body: &FunctionBody<'_>,
    check: &[u8],
) -> Result<Vec<u8>, BinaryReaderError> {
    let mut operators = body.get_operators_reader()?;
    let start = operators.original_position();
    let mut places = Vec::new();
    let mut calls = false;
    let mut count = 0;
    while !operators.eof() {
        let here = operators.original_position();
        match operators.read()? {
            Operator::Loop { .. } => places.push(operators.original_position()),
            Operator::Call { .. }
            | Operator::CallIndirect { .. }
            | Operator::CallRef { .. }
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => calls = true,
            // They take as long as what they work on is large, or make objects, for which garbage
            // may have to be collected first.
            Operator::MemoryCopy { .. }
            | Operator::MemoryFill { .. }
            | Operator::MemoryInit { .. }
            | Operator::TableCopy { .. }
            | Operator::TableFill { .. }
            | Operator::TableGrow { .. }
            | Operator::TableInit { .. }
            | Operator::ArrayCopy { .. }
            | Operator::ArrayFill { .. }
            | Operator::ArrayInitData { .. }
            | Operator::ArrayInitElem { .. }
            | Operator::ArrayNew { .. }
            | Operator::ArrayNewData { .. }
            | Operator::ArrayNewDefault { .. }
            | Operator::ArrayNewElem { .. }
            | Operator::ArrayNewFixed { .. }
            | Operator::StructNew { .. }
            | Operator::StructNewDefault { .. }
            | Operator::Throw { .. } => places.push(here),
            _ => {}
        }
        count += 1;
    }
    if calls || count > MOST_UNCHECKED {
        places.insert(0, start);
    }
    Ok(crate::with_insertions(wasm, body.range(), &places, check))
}
