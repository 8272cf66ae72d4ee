// SPDX-License-Identifier: Apache-2.0
// A page about the request that asked for it: what the CGI environment says,
// sorted, and the body's words by how often they occur.

#include <algorithm>
#include <cctype>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "../c/html.h"

extern char** environ;

namespace {

void text(const std::string& s) { html_text(s.data(), s.size()); }

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    const size_t equals = variable.find('=');
    if (equals != std::string::npos)
      variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  return variables;
}

std::vector<std::pair<std::string, size_t>> count_words(const std::string& body) {
  std::map<std::string, size_t> counts;
  std::string word;
  for (const char c : body + " ") {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      ++counts[word];
      word.clear();
    }
  }
  std::vector<std::pair<std::string, size_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return sorted;
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(true);
  const std::string body{std::istreambuf_iterator<char>(std::cin), {}};
  puts("Content-Type: text/html; charset=utf-8\nX-Guest: C++\n");
  html_begin("The request, in C++");
  puts("<form method=\"post\" action=\"/cpp/request\" enctype=\"text/plain\">"
       "<label>Some words <input name=\"words\" value=\"to be or not to be\"></label>"
       "<button>Count them</button></form>");
  if (!body.empty()) {
    printf("<h2>%zu bytes of body</h2>\n<table><tr><th>Word</th><th>Times</th></tr>\n", body.size());
    for (const auto& [word, times] : count_words(body)) {
      fputs("<tr><td>", stdout);
      text(word);
      printf("</td><td>%zu</td></tr>\n", times);
    }
    puts("</table>");
  }
  puts("<h2>Environment</h2>\n<table><tr><th>Variable</th><th>Value</th></tr>");
  for (const auto& [name, value] : environment()) {
    fputs("<tr><td>", stdout);
    text(name);
    fputs("</td><td>", stdout);
    text(value);
    puts("</td></tr>");
  }
  puts("</table>");
  html_end();
  return 0;
}
