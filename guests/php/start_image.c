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
#include "start_image.h"

#include <dirent.h>
#include <fnmatch.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "SAPI.h"
#include "ext/random/php_random.h"
#include "php_main.h"
#include "zend_exceptions.h"

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

// Each script gets a request of its own, so that nothing piles up.
static void compile(const char *path) {
  if (php_request_startup() == FAILURE) return;
  SG(headers_sent) = 1;
  SG(request_info).no_headers = 1;
  bool done = false;
  zend_try {
    EG(error_reporting) = 0;
    zval function, argument, result;
    ZVAL_STRING(&function, "opcache_compile_file");
    ZVAL_STRING(&argument, path);
    ZVAL_UNDEF(&result);
    done = call_user_function(NULL, NULL, &function, &result, 1, &argument) == SUCCESS &&
           Z_TYPE(result) == IS_TRUE;
    if (EG(exception)) {
      done = false;
      zend_clear_exception();
    }
    zval_ptr_dtor(&result);
    zval_ptr_dtor(&argument);
    zval_ptr_dtor(&function);
  }
  zend_end_try();
  php_request_shutdown(NULL);
  if (done) {
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

// `pattern` is NULL or what a script's path has to match. Links to directories are not
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
      } else if (is_script(path) && (!pattern || covers(pattern, path)) &&
                 stat(path, &status) == 0 && S_ISREG(status.st_mode)) {
        compile(path);
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
    }
    for (size_t i = 0; i < list.count; ++i) free(list.lines[i]);
    free(list.lines);
  }
  SG(server_context) = NULL;
  if (sqlite3_initialize() != SQLITE_OK) return FAILURE;
  zend_mm_clear_unused();
  return SUCCESS;
}

void php_start_image_renew(void) {
  zend_mm_renew_key();
  // Requests seed their generators themselves (RINIT); this one keeps its state.
  RANDOM_G(fallback_seed_state).initialized = false;
  sqlite3_randomness(0, NULL);
}
