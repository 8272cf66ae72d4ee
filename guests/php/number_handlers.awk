# SPDX-License-Identifier: Apache-2.0
#
#   awk -f number_handlers.awk zend_vm_execute.h zend_vm_execute.h
#
# Zend/zend_vm_execute.h, changed so that an opcode's handler is a number, by which the
# loop of execute_ex() switches, instead of a pointer that it calls. Called by pointer, a
# function takes its instance from the table of functions, and so its memory: each opcode
# would wait for five loads that depend on another. Handlers that PHP calls hot are inlined,
# as they are natively; from one to the next the place of the opcode stays in a variable
# of the loop, though they store it as well, so that the switch does not wait for memory.

# First reading: the handlers, in the order of the table.
FNR == NR {
  if (/^void zend_vm_init\(void\)/) table = 1
  if (table && /^\t\t[A-Za-z0-9_]+_HANDLER,?$/) {
    name = $1
    sub(/,$/, "", name)
    if (!(name in number)) {
      number[name] = ++count
      handlers[count] = name
    }
  }
  next
}

/^# define ZEND_VM_HOT$/ {
  print "# define ZEND_VM_HOT             zend_always_inline"
  ++changes
  next
}
# $this->property: another handler calls it, so the compiler would not.
/^static ZEND_OPCODE_HANDLER_RET ZEND_FASTCALL ZEND_FETCH_OBJ_R_SPEC_UNUSED_CONST_HANDLER\(ZEND_OPCODE_HANDLER_ARGS\)$/ {
  sub(/^static /, "static zend_always_inline ")
  ++changes
}
/^#define ZEND_VM_DISPATCH\(opcode, opline\) / {
  print "#define ZEND_VM_HANDLER(number) (handler_functions[(uintptr_t) (number)])"
  print "static const opcode_handler_t handler_functions[" count + 1 "];"
  sub(/\(\(opcode_handler_t\)zend_vm_get_opcode_handler_func\(opcode, opline\)\)/,
      "ZEND_VM_HANDLER(zend_vm_get_opcode_handler_func(opcode, opline))")
  ++changes
}
/^\t\tif \(UNEXPECTED\(\(ret = \(\(opcode_handler_t\)OPLINE->handler\)\(ZEND_OPCODE_HANDLER_ARGS_PASSTHRU\)\) != 0\)\) {$/ {
  print "\t\tconst zend_op *next = OPLINE;"
  print "\t\tnext_opcode:"
  print "\t\tswitch ((uintptr_t) next->handler) {"
  for (i = 1; i <= count; ++i) {
    print "\t\t\tcase " i ":"
    print "\t\t\t\tret = " handlers[i] "(ZEND_OPCODE_HANDLER_ARGS_PASSTHRU);"
    print "\t\t\t\tif (UNEXPECTED(ret != 0)) break;"
    print "\t\t\t\tnext = OPLINE;"
    print "\t\t\t\tgoto next_opcode;"
  }
  print "\t\t\tdefault: ZEND_UNREACHABLE();"
  print "\t\t}"
  print "\t\tif (UNEXPECTED(ret != 0)) {"
  ++changes
  next
}
/^\tret = \(\(opcode_handler_t\)OPLINE->handler\)\(ZEND_OPCODE_HANDLER_ARGS_PASSTHRU\);$/ {
  sub(/\(\(opcode_handler_t\)OPLINE->handler\)/, "ZEND_VM_HANDLER(OPLINE->handler)")
  ++changes
}
/^void zend_vm_init\(void\)/ {
  print "static const opcode_handler_t handler_functions[" count + 1 "] = {"
  print "\tNULL,"
  for (i = 1; i <= count; ++i) print "\t" handlers[i] ","
  print "};\n"
  numbers = 1
}
numbers && /^\t\t[A-Za-z0-9_]+_HANDLER,?$/ {
  name = $1
  sub(/,$/, "", name)
  print "\t\t(void *) " number[name] ","
  next
}
numbers && /^}/ { numbers = 0 }
{ print }

END {
  if (changes != 5 || count == 0) {
    print "number_handlers.awk: not the file that is expected: " changes " changes, " count " handlers" > "/dev/stderr"
    exit 1
  }
}
