# SPDX-License-Identifier: Apache-2.0
# A CGI program in Ruby, with nothing but the language itself.

def escape(text)
  text.to_s.b.gsub(/[&<>"']/n, '&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;', "'" => '&#39;')
end

def decode(text)
  text.tr('+', ' ').gsub(/%(\h\h)/) { $1.hex.chr }
end

query = ENV['REQUEST_METHOD'] == 'POST' ? $stdin.read : ENV['QUERY_STRING']
fields = query.split('&').to_h { |pair| pair.split('=', 2).map { |part| decode(part) }.push('').first(2) }
words = fields.fetch('words', 'the quick brown fox jumps over the lazy dog')

$stdout.binmode
print "Content-Type: text/html; charset=utf-8\n\n"
print <<~HTML
  <!doctype html>
  <html lang="en">
  <head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Ruby</title>
  <link rel="stylesheet" href="/style.css">
  </head>
  <body>
  <nav><a href="/">mod_wasm</a><span>Ruby</span></nav>
  <main>
  <h1>Ruby #{RUBY_VERSION}</h1>
  <form method="post" action="/ruby"><label>Words <input name="words" value="#{escape(words)}"></label>
  <button>Sort them</button></form>
  <p id="sorted">#{escape(words.split.sort_by(&:downcase).join(' '))}</p>
  <table><tr><th>Letter</th><th>Times</th></tr>
  #{words.b.downcase.scan(/[a-z]/n).tally.sort_by { |letter, count| [-count, letter] }.first(8).map { |letter, count| "<tr><td>#{letter}</td><td>#{count}</td></tr>" }.join("\n")}
  </table>
  </main>
  </body>
  </html>
HTML
