// SPDX-License-Identifier: Apache-2.0
//
// strptime() as in the GNU library: musl leaves the day of the week and of the year as they are,
// and knows no %Z.
#include <stdlib.h>
#include <string.h>
#include <time.h>

// The next conversion in `format`, NULL if there is none. `letter` is behind its flags and width.
static const char *find_conversion(const char *format, const char **letter) {
  format = strchr(format, '%');
  if (format != NULL) *letter = format + 1 + strspn(format + 1, "_-^#EO0123456789");
  return format;
}

char *__real_strptime(const char *text, const char *format, struct tm *time);

// The format in parts, since %Z is read here: any word, which means nothing.
static char *parse(const char *text, const char *format, struct tm *time) {
  const char *conversion = format, *letter;
  while ((conversion = find_conversion(conversion, &letter)) != NULL && *letter != 'Z') {
    conversion = *letter ? letter + 1 : letter;
  }
  if (conversion == NULL) return __real_strptime(text, format, time);
  char *before = strndup(format, conversion - format);
  if (before == NULL) return NULL;
  text = __real_strptime(text, before, time);
  free(before);
  if (text == NULL) return NULL;
  static const char kSpaces[] = " \t\n\v\f\r";
  text += strspn(text, kSpaces);
  text += strcspn(text, kSpaces);
  return parse(text, letter + 1, time);
}

char *__wrap_strptime(const char *text, const char *format, struct tm *time) {
  char *rest = parse(text, format, time);
  if (rest == NULL) return NULL;
  _Bool has_date = 0, has_week_day = 0, has_year_day = 0;
  const char *letter;
  while ((format = find_conversion(format, &letter)) != NULL && *letter != 0) {
    has_date |= strchr("bBcCdDeFhmxyY", *letter) != NULL;
    has_week_day |= strchr("aAcuw", *letter) != NULL;
    has_year_day |= *letter == 'j';
    format = letter + 1;
  }
  if (has_date) {
    enum { kDay = 86400 };
    struct tm day = {.tm_year = time->tm_year, .tm_mon = time->tm_mon, .tm_mday = time->tm_mday};
    struct tm first = {.tm_year = time->tm_year, .tm_mday = 1};
    if (has_year_day) day.tm_mon = 0, day.tm_mday = time->tm_yday + 1;
    time_t seconds = timegm(&day);
    if (has_year_day && time->tm_mday == 0) time->tm_mon = day.tm_mon, time->tm_mday = day.tm_mday;
    if (!has_week_day) time->tm_wday = day.tm_wday;
    if (!has_year_day) time->tm_yday = (seconds - timegm(&first)) / kDay;
  }
  return rest;
}
