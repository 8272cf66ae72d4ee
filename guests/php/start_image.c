// SPDX-License-Identifier: Apache-2.0
//
// PHP_WARMUP names a file of lines:
//
//   /srv/www                 the scripts (*.php) in a directory and below it, or one script
//   /srv/www/*/templates/*   the scripts that a pattern matches; * matches / as well
//   !/srv/www/wp-admin       not these: a directory, a script or a pattern
//   # …                      a comment
//
// Scripts are compiled, not run. opcache.preload of php.ini runs what it names.
//
// What a process of php-fpm keeps besides after its first requests is made as well: the
// classes that OPcache has linked with their parents, the regular expressions that
// calls of preg_…() have as literals, and the real paths of files.
#include "start_image.h"

#include <dirent.h>
#include <fnmatch.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "SAPI.h"
#include "ext/opcache/ZendAccelerator.h"
#include "ext/pcre/php_pcre.h"
#include "ext/random/php_random.h"
#include "php_main.h"
#include "zend_exceptions.h"
#include "zend_frameless_function.h"
#include "zend_inheritance.h"

typedef struct {
  char **lines;
  size_t count;
} warm_up_list;

static zend_long compiled;

static bool is_pattern(const char *line) { return strpbrk(line, "*?[") != NULL; }

static bool covers(const char *line, const char *path) {
  if (is_pattern(line)) return fnmatch(line, path, 0) == 0;
  size_t length = strlen(line);
  return strncmp(line, path, length) == 0 && (path[length] == 0 || path[length] == '/');
}

static bool is_excluded(const warm_up_list *list, const char *path) {
  for (size_t i = 0; i < list->count; ++i) {
    if (list->lines[i][0] == '!' && covers(list->lines[i] + 1, path)) return true;
  }
  return false;
}

// Each task gets a request of its own, so that nothing piles up and one that fails does
// not take the next along.
static bool in_request(bool (*task)(void *), void *argument) {
  if (php_request_startup() == FAILURE) return false;
  SG(headers_sent) = 1;
  SG(request_info).no_headers = 1;
  bool done = false;
  zend_try {
    EG(error_reporting) = 0;
    done = task(argument);
    if (EG(exception)) {
      done = false;
      zend_clear_exception();
    }
  }
  zend_end_try();
  php_request_shutdown(NULL);
  return done;
}

static bool compile_script(void *path) {
  zval function, argument, result;
  ZVAL_STRING(&function, "opcache_compile_file");
  ZVAL_STRING(&argument, path);
  ZVAL_UNDEF(&result);
  bool done = call_user_function(NULL, NULL, &function, &result, 1, &argument) == SUCCESS &&
              Z_TYPE(result) == IS_TRUE;
  zval_ptr_dtor(&result);
  zval_ptr_dtor(&argument);
  zval_ptr_dtor(&function);
  return done;
}

static void compile(const char *path) {
  if (in_request(compile_script, (void *)path)) {
    ++compiled;
  } else {
    fprintf(stderr, "PHP_WARMUP: %s does not compile\n", path);
  }
}

static bool is_script(const char *path) {
  size_t length = strlen(path);
  return length > 4 && strcmp(path + length - 4, ".php") == 0;
}

static int visible(const struct dirent *entry) {
  return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

// For realpath_cache_ttl seconds, or for ever if that is 0, PHP need not look at each
// directory on the way to a file to know that none is a link.
static void keep_real_path(const char *path) {
  char real_path[MAXPATHLEN];
  tsrm_realpath(path, real_path);
}

// `pattern` is NULL or what a file's path has to match. Links to directories are not
// followed: they may lead in circles.
static void walk(const warm_up_list *list, const char *directory, const char *pattern) {
  struct dirent **entries;
  int count = scandir(directory, &entries, visible, alphasort);
  if (count < 0) {
    fprintf(stderr, "PHP_WARMUP: %s: %s\n", directory, strerror(errno));
    return;
  }
  for (int i = 0; i < count; ++i) {
    char path[MAXPATHLEN];
    struct stat status;
    int length = snprintf(path, sizeof path, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory,
                          entries[i]->d_name);
    if (length > 0 && (size_t)length < sizeof path && !is_excluded(list, path) &&
        lstat(path, &status) == 0) {
      if (S_ISDIR(status.st_mode)) {
        walk(list, path, pattern);
      } else if ((!pattern || covers(pattern, path)) && stat(path, &status) == 0 &&
                 S_ISREG(status.st_mode)) {
        keep_real_path(path);
        if (is_script(path)) compile(path);
      }
    }
    free(entries[i]);
  }
  free(entries);
}

static void compile_line(const warm_up_list *list, const char *line) {
  if (is_pattern(line)) {
    // From the last directory in front of the first wildcard.
    char directory[MAXPATHLEN];
    snprintf(directory, sizeof directory, "%.*s", (int)strcspn(line, "*?["), line);
    char *slash = strrchr(directory, '/');
    if (!slash) {
      fprintf(stderr, "PHP_WARMUP: %s: not an absolute path\n", line);
      return;
    }
    slash[slash == directory] = 0;
    walk(list, directory, line);
    return;
  }
  struct stat status;
  if (stat(line, &status) != 0) {
    fprintf(stderr, "PHP_WARMUP: %s: %s\n", line, strerror(errno));
  } else if (S_ISDIR(status.st_mode)) {
    walk(list, line, NULL);
  } else if (!is_excluded(list, line)) {
    compile(line);
  }
}

static zend_result read_list(const char *name, warm_up_list *list) {
  FILE *file = fopen(name, "r");
  if (!file) {
    fprintf(stderr, "PHP_WARMUP: %s: %s\n", name, strerror(errno));
    return FAILURE;
  }
  char *line = NULL;
  size_t size = 0;
  ssize_t length;
  while ((length = getline(&line, &size, file)) >= 0) {
    while (length > 0 && strchr(" \t\r\n", line[length - 1])) line[--length] = 0;
    while (length > 1 && line[length - 1] == '/') line[--length] = 0;
    char *start = line + strspn(line, " \t");
    if (*start == 0 || *start == '#') continue;
    list->lines = realloc(list->lines, (list->count + 1) * sizeof *list->lines);
    list->lines[list->count++] = strdup(start);
  }
  free(line);
  fclose(file);
  return SUCCESS;
}

static void each_script(void (*visit)(const zend_script *)) {
  const zend_accel_hash *scripts = &ZCSG(hash);
  for (uint32_t i = 0; i < scripts->num_entries; ++i) {
    const zend_accel_hash_entry *entry = &scripts->hash_entries[i];
    const zend_persistent_script *script = entry->data;
    if (!entry->indirect && script && !script->corrupted) visit(&script->script);
  }
}

// The classes of all scripts under their names in lower case. Of two with one name the
// first: with the other one, OPcache links anew, as without an image.
static HashTable classes;

static void list_classes(const zend_script *script) {
  zend_class_entry *class;
  ZEND_HASH_MAP_FOREACH_PTR(&script->class_table, class) {
    if ((class->ce_flags & ZEND_ACC_IMMUTABLE) && !(class->ce_flags & ZEND_ACC_ANON_CLASS)) {
      zend_string *name = zend_string_tolower_ex(class->name, true);
      zend_hash_add_ptr(&classes, name, class);
      zend_string_release(name);
    }
  }
  ZEND_HASH_FOREACH_END();
}

// Stands in for the site's autoloader, which would be its code: what a class extends,
// implements or uses is linked before it.
static zend_class_entry *link_by_name(zend_string *name, zend_string *lower_name) {
  zend_class_entry *class = zend_hash_find_ptr(&classes, lower_name);
  if (!class || !zend_hash_add_ptr(EG(class_table), lower_name, class)) return NULL;
  if (class->ce_flags & ZEND_ACC_LINKED) return class;
  zend_string *parent = class->parent_name ? zend_string_tolower(class->parent_name) : NULL;
  class = zend_do_link_class(class, parent, lower_name);
  if (!class) zend_hash_del(EG(class_table), lower_name);
  if (parent) zend_string_release(parent);
  return class;
}

static bool link_class(void *name) {
  zend_map_ptr_extend(ZCSG(map_ptr_last));
  return link_by_name(name, name) != NULL;
}

static void link_classes(void) {
  zend_class_entry *(*autoload)(zend_string *, zend_string *) = zend_autoload;
  zend_autoload = link_by_name;
  zend_hash_init(&classes, 0, NULL, NULL, true);
  each_script(list_classes);
  zend_string *name;
  zend_class_entry *class;
  zend_long linked = 0;
  ZEND_HASH_MAP_FOREACH_STR_KEY_PTR(&classes, name, class) {
    if (!(class->ce_flags & ZEND_ACC_LINKED) && in_request(link_class, name)) ++linked;
  }
  ZEND_HASH_FOREACH_END();
  zend_hash_destroy(&classes);
  zend_autoload = autoload;
  fprintf(stderr, "PHP_WARMUP: %" PRId64 " classes linked\n", (int64_t)linked);
}

// The cache has 4,096 places (PCRE_CACHE_SIZE in php_pcre.c); when none is left, it drops
// the oldest. Some stay free for what scripts put together.
enum { kMostPatterns = 3584 };

static void compile_pattern(const zval *pattern) {
  if (Z_TYPE_P(pattern) == IS_STRING &&
      zend_hash_num_elements(&PCRE_G(pcre_cache)) < kMostPatterns) {
    pcre_get_compiled_regex_cache(Z_STR_P(pattern));
  }
}

static bool takes_pattern(const zend_string *function) {
  return zend_string_starts_with_literal(function, "preg_") &&
         !zend_string_equals_literal(function, "preg_quote");
}

// The name of the function that a call is the beginning of, or NULL.
static const zend_string *called(const zend_op *opline) {
  switch (opline->opcode) {
    case ZEND_INIT_FCALL:
      return Z_STR_P(RT_CONSTANT(opline, opline->op2));
    case ZEND_INIT_FCALL_BY_NAME:  // behind the name as written: in lower case,
      return Z_STR_P(RT_CONSTANT(opline, opline->op2) + 1);
    case ZEND_INIT_NS_FCALL_BY_NAME:  // and without its namespace
      return Z_STR_P(RT_CONSTANT(opline, opline->op2) + 2);
    default:
      return NULL;
  }
}

static void compile_patterns_of(const zend_op_array *code) {
  for (uint32_t i = 0; i < code->last; ++i) {
    const zend_op *opline = &code->opcodes[i];
    const zend_string *function = NULL;
    if (ZEND_OP_IS_FRAMELESS_ICALL(opline->opcode)) {
      function = ZEND_FLF_FUNC(opline)->common.function_name;
    } else if (i + 1 < code->last && (function = called(opline))) {
      ++opline;
      if (opline->opcode != ZEND_SEND_VAL && opline->opcode != ZEND_SEND_VAL_EX) continue;
    }
    if (!function || !takes_pattern(function) || opline->op1_type != IS_CONST) continue;
    const zval *patterns = RT_CONSTANT(opline, opline->op1);
    if (Z_TYPE_P(patterns) == IS_ARRAY) {
      const zval *pattern;
      ZEND_HASH_FOREACH_VAL(Z_ARRVAL_P(patterns), pattern) { compile_pattern(pattern); }
      ZEND_HASH_FOREACH_END();
    } else {
      compile_pattern(patterns);
    }
  }
  for (uint32_t i = 0; i < code->num_dynamic_func_defs; ++i) {
    compile_patterns_of(code->dynamic_func_defs[i]);
  }
}

static void compile_patterns_of_script(const zend_script *script) {
  compile_patterns_of(&script->main_op_array);
  const zend_op_array *code;
  ZEND_HASH_MAP_FOREACH_PTR(&script->function_table, code) { compile_patterns_of(code); }
  ZEND_HASH_FOREACH_END();
  const zend_class_entry *class;
  ZEND_HASH_MAP_FOREACH_PTR(&script->class_table, class) {
    ZEND_HASH_MAP_FOREACH_PTR(&class->function_table, code) {
      if (code->type == ZEND_USER_FUNCTION) compile_patterns_of(code);
    }
    ZEND_HASH_FOREACH_END();
  }
  ZEND_HASH_FOREACH_END();
}

static bool compile_patterns(void *unused) {
  each_script(compile_patterns_of_script);
  return true;
}

// Memory that a request can have, from PHP's allocator and from malloc(), without asking
// the host: an instance whose memory has not grown is used again, which costs less than
// another one. Pages that nobody writes cost nothing. WordPress needs half of it.
enum { kRoom = 16 << 20, kRoomOfMalloc = 4 << 20 };

static void make_room(void) {
  void *room = mmap(NULL, kRoom, PROT_READ | PROT_WRITE, MAP_ANON | MAP_PRIVATE, -1, 0);
  if (room != MAP_FAILED) munmap(room, kRoom);
  void *volatile block = malloc(kRoomOfMalloc);  // the compiler would drop the pair
  free(block);
}

zend_result php_start_image_fill(void) {
  const char *name = getenv("PHP_WARMUP");
  SG(server_context) = (void *)1;  // as for a request
  if (name && *name) {
    warm_up_list list = {NULL, 0};
    if (read_list(name, &list) == FAILURE) return FAILURE;
    if (!zend_hash_str_exists(CG(function_table), ZEND_STRL("opcache_compile_file"))) {
      fprintf(stderr, "PHP_WARMUP: OPcache is off: nothing is compiled\n");
    } else {
      for (size_t i = 0; i < list.count; ++i) {
        if (list.lines[i][0] != '!') compile_line(&list, list.lines[i]);
      }
      fprintf(stderr, "PHP_WARMUP: %" PRId64 " scripts compiled\n", (int64_t)compiled);
      link_classes();
      in_request(compile_patterns, NULL);
      fprintf(stderr, "PHP_WARMUP: %" PRIu32 " regular expressions compiled\n",
              zend_hash_num_elements(&PCRE_G(pcre_cache)));
    }
    for (size_t i = 0; i < list.count; ++i) free(list.lines[i]);
    free(list.lines);
  }
  SG(server_context) = NULL;
  if (sqlite3_initialize() != SQLITE_OK) return FAILURE;
  zend_mm_clear_unused();
  make_room();
  return SUCCESS;
}

void php_start_image_renew(void) {
  zend_mm_renew_key();
  zend_call_stack_init();
  // Requests seed their generators themselves (RINIT); this one keeps its state.
  RANDOM_G(fallback_seed_state).initialized = false;
  sqlite3_randomness(0, NULL);
}
