// SPDX-License-Identifier: Apache-2.0
// The site's own pages: the index and the source viewer. One module, two
// routes; the first argument says which page is asked for, the others are the
// catalogues of the index.
//
// It sees three directories, all read-only: /site (the examples), /guests (the
// sources of the guests) and /modules (the compiled ones, for their sizes).

#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "../c/html.h"

namespace {

void text(std::string_view s) { html_text(s.data(), s.size()); }

struct Demo {
  std::string group, title, url, module, source, description;
};

std::vector<std::string> split(const std::string& line, char separator) {
  std::vector<std::string> fields;
  size_t begin = 0;
  for (size_t end; (end = line.find(separator, begin)) != std::string::npos; begin = end + 1)
    fields.push_back(line.substr(begin, end - begin));
  fields.push_back(line.substr(begin));
  return fields;
}

// Adds the demos of a catalogue: one a line, six fields separated by " | ".
void read_catalogue(const char* path, std::vector<Demo>& demos) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::vector<std::string> fields = split(line, '|');
    if (fields.size() != 6) continue;
    for (std::string& field : fields) {
      const size_t first = field.find_first_not_of(' ');
      const size_t last = field.find_last_not_of(' ');
      field = first == std::string::npos ? "" : field.substr(first, last - first + 1);
    }
    demos.push_back({fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]});
  }
}

std::string size_of(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return "not built";
  char buffer[32];
  if (info.st_size < 1000 * 1000) {
    snprintf(buffer, sizeof buffer, "%.0f kB", info.st_size / 1e3);
  } else {
    snprintf(buffer, sizeof buffer, "%.1f MB", info.st_size / 1e6);
  }
  return buffer;
}

int show_index(const std::vector<Demo>& demos) {
  puts("Content-Type: text/html; charset=utf-8\n");
  puts("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
       "<title>mod_wasm: WebAssembly in Apache httpd</title>\n"
       "<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n"
       "<header class=\"hero\">\n<p class=\"mark\">mod_wasm</p>\n"
       "<h1>Every page here is answered by a WebAssembly program</h1>\n"
       "<p>No application server and no process behind it: each request runs in a fresh sandbox "
       "inside Apache httpd, and sees only the directories that its route was given.</p>");
  fputs("<p class=\"facts\"><span>", stdout);
  text(env_or_empty("SERVER_SOFTWARE"));
  fputs("</span><span>", stdout);
  text(env_or_empty("MPM"));
  printf(" MPM</span><span>%zu demos</span><span>this page: C++, %s</span></p>\n</header>\n<main>\n",
         demos.size(), size_of("/modules/site.wasm").c_str());

  std::string group;
  for (const Demo& demo : demos) {
    if (demo.group != group) {
      if (!group.empty()) puts("</div>\n</section>");
      group = demo.group;
      fputs("<section>\n<h2>", stdout);
      text(group);
      puts("</h2>\n<div class=\"cards\">");
    }
    fputs("<article>\n<h3><a href=\"", stdout);
    text(demo.url);
    fputs("\">", stdout);
    text(demo.title);
    fputs("</a></h3>\n<p>", stdout);
    text(demo.description);
    fputs("</p>\n<p class=\"meta\"><span>", stdout);
    text(demo.module);
    fputs("</span><span>", stdout);
    text(size_of("/modules/" + demo.module));
    fputs("</span><a href=\"/source?", stdout);
    text(demo.source);
    puts("\">source</a></p>\n</article>");
  }
  if (!group.empty()) puts("</div>\n</section>");
  puts("<footer>The whole site is one file of directives: "
       "<a href=\"/source?site/site.conf\">site.conf</a>.</footer>");
  html_end();
  return 0;
}

int not_found() {
  puts("Status: 404 Not Found\nContent-Type: text/html; charset=utf-8\n");
  html_begin("No such source");
  puts("<p>There is no file of that name among the examples.</p>");
  html_end();
  return 0;
}

// The query names the file, such as "guests/c/hello.c". Whatever else it holds,
// the sandbox ends at the three directories above.
int show_source() {
  const std::string name = env_or_empty("QUERY_STRING");
  if (name.find("..") != std::string::npos || name.rfind("modules/", 0) == 0) return not_found();
  struct stat info;
  const std::string path = "/" + name;
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return not_found();
  std::ifstream in(path);
  if (!in) return not_found();
  puts("Content-Type: text/html; charset=utf-8\n");
  html_begin("Source");
  fputs("<h2>", stdout);
  text(name);
  puts("</h2>\n<pre class=\"source\">");
  for (std::string line; std::getline(in, line);) {
    fputs("<span>", stdout);
    text(line);
    fputs("</span>", stdout);  // a line end here would show as an empty line
  }
  puts("</pre>");
  html_end();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "source") return show_source();
  std::vector<Demo> demos;
  for (int i = 2; i < argc; ++i) read_catalogue(argv[i], demos);
  return show_index(demos);
}
