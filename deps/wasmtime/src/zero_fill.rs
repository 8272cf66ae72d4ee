//! Lets modules that clear memory only read it where it is clear already.
//!
//! Allocators clear what they get, megabytes at a time, whether or not it was ever used: wasi-libc's
//! `mmap` does, and so does each request of php-cgi. A page that was only read stays the kernel's
//! page of zeros. One that was written, if only with zeros, is the process's own from then on, goes
//! through the processor's caches, and has to be found and cleared before the next run.

use wasm_encoder::{
    BlockType, CodeSection, Encode, Function, Instruction, MemArg, RawSection, SectionId, ValType,
};
use wasmparser::{BinaryReaderError, FunctionBody, MemoryType, Operator, Parser, Payload, TypeRef};

/// Of the processor's page, bytes: in larger ones it is enough to clear this much of one.
const PAGE: i32 = 4096;
/// What is shorter is not worth a look.
const SHORTEST: i32 = 4 * PAGE;

/// The module with a look at memory before each `memory.fill`; `wasm` must be valid. `None`: it has
/// no such instruction.
pub fn with_clear_pages_kept(wasm: &[u8]) -> Result<Option<Vec<u8>>, BinaryReaderError> {
    let mut type_count = 0;
    let mut function_count = 0;
    let mut memory = None;
    let mut places = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    type_count += group?.types().len() as u32;
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => function_count += 1,
                        TypeRef::Memory(ty) => memory = memory.or(Some(ty)),
                        _ => {}
                    }
                }
            }
            Payload::FunctionSection(section) => function_count += section.count(),
            Payload::MemorySection(section) => {
                for ty in section {
                    memory = memory.or(Some(ty?));
                }
            }
            Payload::CodeSectionEntry(body) => places.push(fills(&body)?),
            _ => {}
        }
    }
    let is_usual = |ty: MemoryType| !ty.memory64 && !ty.shared && ty.page_size_log2.is_none();
    if !memory.is_some_and(is_usual) || places.iter().all(Vec::is_empty) {
        return Ok(None);
    }

    let mut call = Vec::new();
    Instruction::Call(function_count).encode(&mut call);
    let mut module = wasm_encoder::Module::new();
    let mut code = CodeSection::new();
    let mut bodies = places.iter();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                let mut ty = Vec::new();
                let three = [ValType::I32; 3];
                ty.push(0x60);
                three.as_slice().encode(&mut ty);
                three.as_slice().encode(&mut ty);
                let data = &crate::with_more(&wasm[section.range()], 1, &ty)?;
                module.section(&RawSection { id: SectionId::Type as u8, data });
            }
            Payload::FunctionSection(section) => {
                let mut index = Vec::new();
                type_count.encode(&mut index);
                let data = &crate::with_more(&wasm[section.range()], 1, &index)?;
                module.section(&RawSection { id: SectionId::Function as u8, data });
            }
            Payload::CodeSectionStart { .. } => {}
            Payload::CodeSectionEntry(body) => {
                let places = bodies.next().map_or([].as_slice(), Vec::as_slice);
                code.raw(&crate::with_insertions(wasm, body.range(), places, &call));
                if bodies.len() == 0 {
                    code.function(&look());
                    module.section(&code);
                }
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    module.section(&RawSection { id, data: &wasm[range] });
                }
            }
        }
    }
    Ok(Some(module.finish()))
}

/// Where a function has a `memory.fill` of the first memory.
fn fills(body: &FunctionBody<'_>) -> Result<Vec<usize>, BinaryReaderError> {
    let mut places = Vec::new();
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let here = operators.original_position();
        if let Operator::MemoryFill { mem: 0 } = operators.read()? {
            places.push(here);
        }
    }
    Ok(places)
}

/// A function that takes the operands of a `memory.fill` and returns those that do the rest: it has
/// cleared the whole pages. All is left to the instruction itself if there are few of them, if the
/// value is not zero, or if not all of the range is in memory: so that is what traps.
fn look() -> Function {
    const TO: u32 = 0;
    const VALUE: u32 = 1;
    const LENGTH: u32 = 2;
    /// Where the page ends that is looked at; 0 at the end of 4 GiB, so additions wrap.
    const PAGE_END: u32 = 3;
    const PAGES: u32 = 4;
    /// From the page's end, so negative.
    const OFFSET: u32 = 5;

    let mut function = Function::new([(3, ValType::I32)]);
    let mut i = function.instructions();
    i.block(BlockType::Empty); // Leaves all to the instruction.
    i.local_get(VALUE).i32_const(0xff).i32_and().br_if(0);
    i.local_get(LENGTH).i32_const(SHORTEST).i32_lt_u().br_if(0);
    i.local_get(TO).i64_extend_i32_u().local_get(LENGTH).i64_extend_i32_u().i64_add();
    i.memory_size(0).i64_extend_i32_u().i64_const(16).i64_shl().i64_gt_u().br_if(0);

    // Up to the first whole page.
    i.local_get(TO).i32_const(0);
    i.i32_const(0).local_get(TO).i32_sub().i32_const(PAGE - 1).i32_and().local_tee(OFFSET);
    i.memory_fill(0);
    i.local_get(LENGTH).local_get(OFFSET).i32_sub().local_tee(LENGTH);
    i.i32_const(PAGE.trailing_zeros() as i32).i32_shr_u().local_set(PAGES);
    i.local_get(TO).local_get(OFFSET).i32_add().i32_const(PAGE).i32_add().local_set(PAGE_END);

    i.loop_(BlockType::Empty);
    i.block(BlockType::Empty); // The page is clear now.
    i.block(BlockType::Empty); // It is not clear.
    i.i32_const(-PAGE).local_set(OFFSET);
    i.loop_(BlockType::Empty);
    let at = |offset| MemArg { offset, align: 4, memory_index: 0 };
    i.local_get(PAGE_END).local_get(OFFSET).i32_add().local_tee(TO).v128_load(at(0));
    for offset in [16, 32, 48] {
        i.local_get(TO).v128_load(at(offset)).v128_or();
    }
    i.v128_any_true().br_if(1);
    i.local_get(OFFSET).i32_const(64).i32_add().local_tee(OFFSET).br_if(0);
    i.end();
    i.br(1);
    i.end();
    i.local_get(PAGE_END).i32_const(PAGE).i32_sub().i32_const(0).i32_const(PAGE).memory_fill(0);
    i.end();
    i.local_get(PAGE_END).i32_const(PAGE).i32_add().local_set(PAGE_END);
    i.local_get(PAGES).i32_const(1).i32_sub().local_tee(PAGES).br_if(0);
    i.end();

    // And what is behind the last whole page.
    i.local_get(PAGE_END).i32_const(PAGE).i32_sub().local_set(TO);
    i.local_get(LENGTH).i32_const(PAGE - 1).i32_and().local_set(LENGTH);
    i.end();
    i.local_get(TO).local_get(VALUE).local_get(LENGTH);
    i.end();
    function
}
