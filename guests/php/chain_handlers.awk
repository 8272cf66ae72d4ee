# SPDX-License-Identifier: Apache-2.0
#
# Zend/zend_vm_execute.h, changed so that each opcode's handler calls the next one as its
# last act, by WebAssembly's tail calls, instead of returning to a loop that does.
#
# Functions with further parameters cannot do so: they return to the loop, with the 1 that
# makes it look which function is being executed by now. Calls of these are plain returns.

/^# define ZEND_VM_TAIL_CALL\(call\) return call/ {
  print "# define ZEND_VM_TAIL_CALL(call) __attribute__((musttail)) return call"
  print "# define ZEND_VM_CHAIN __attribute__((musttail)) return ((opcode_handler_t)EX(opline)->handler)(execute_data)"
  ++changes
  next
}
/^# define ZEND_VM_CONTINUE\(\) +return +0/ {
  print "# define ZEND_VM_CONTINUE()      ZEND_VM_CHAIN"
  ++changes
  next
}
/^# define ZEND_VM_ENTER_EX\(\) +return +1/ {
  ++enter
  if (enter == 2) {
    print "# define ZEND_VM_ENTER_EX()        ZEND_VM_INTERRUPT_CHECK(); ZEND_VM_CHAIN"
    ++changes
    next
  }
}
/^# define ZEND_VM_ENTER\(\) +return +1/ {
  print "# define ZEND_VM_ENTER()           execute_data = EG(current_execute_data); ZEND_VM_ENTER_EX()"
  ++changes
  next
}
/^# define ZEND_VM_LEAVE\(\) +return +2/ {
  ++leave
  if (leave == 2) {
    print "# define ZEND_VM_LEAVE()           ZEND_VM_CHAIN"
    ++changes
    next
  }
}

/^static .*ZEND_OPCODE_HANDLER_RET .*ZEND_OPCODE_HANDLER_ARGS_DC\)$/ {
  print "#pragma push_macro(\"ZEND_VM_CHAIN\")"
  print "#pragma push_macro(\"ZEND_VM_TAIL_CALL\")"
  print "#undef ZEND_VM_CHAIN"
  print "#undef ZEND_VM_TAIL_CALL"
  print "#define ZEND_VM_CHAIN return 1"
  print "#define ZEND_VM_TAIL_CALL(call) return call"
  helper = 1
  ++helpers
}
/ZEND_VM_TAIL_CALL\(.*ZEND_OPCODE_HANDLER_ARGS_PASSTHRU_CC\)\)/ {
  sub(/ZEND_VM_TAIL_CALL\(/, "return (")
}
{ print }
helper && /^}/ {
  print "#pragma pop_macro(\"ZEND_VM_TAIL_CALL\")"
  print "#pragma pop_macro(\"ZEND_VM_CHAIN\")"
  helper = 0
}

END {
  if (changes != 5 || helpers == 0) {
    print "chain_handlers.awk: not the file that is expected: " changes " changes, " helpers " helpers" > "/dev/stderr"
    exit 1
  }
}
