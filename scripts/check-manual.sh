#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check-manual.sh: checks docs/manual/mod/mod_wasm.xml.
#
#   - valid by httpd's own DTD, which comes with its source;
#   - rendered by httpd's own stylesheets, into build/manual/mod/mod_wasm.html.
#     A release of httpd leaves these out: HTTPD_MANUAL names the docs/manual
#     directory of a checkout of httpd's repository. Without it only the first
#     check is made.

set -eu

cd "$(dirname "$0")/.."
die() { echo "check-manual.sh: $*" >&2; exit 1; }
for tool in xmllint xsltproc; do
    command -v $tool >/dev/null || die "$tool is missing: install libxml2-utils xsltproc"
done
[ -e /usr/share/xml/w3c-sgml-lib/schema/dtd/catalog.xml ] ||
    die "the entities of XHTML are missing: install w3c-sgml-lib"

manual=${HTTPD_MANUAL:-$(scripts/fetch_httpd_source.sh)/docs/manual}
[ -e "$manual/style/modulesynopsis.dtd" ] || die "$manual holds no style/modulesynopsis.dtd"
out=build/manual
rm -rf "$out"
mkdir -p "$out/mod"
cp -r "$manual/style" "$out/"
cp docs/manual/mod/mod_wasm.xml "$out/mod/"

xmllint --nonet --noout --valid "$out/mod/mod_wasm.xml"
echo "mod_wasm.xml is valid by modulesynopsis.dtd"

if [ ! -e "$out/style/manual.en.xsl" ]; then
    echo "not rendered: set HTTPD_MANUAL to docs/manual of a checkout of httpd, which has the stylesheets"
    exit 0
fi
cat >"$out/mod/mod_wasm.xml.meta" <<META
<?xml version="1.0" encoding="UTF-8" ?>
<metafile reference="mod_wasm.xml">
  <basename>mod_wasm</basename>
  <path>/mod/</path>
  <relpath>..</relpath>
  <variants>
    <variant>en</variant>
  </variants>
</metafile>
META
# httpd renders with Xalan. Of its stylesheets only the index of overrides,
# which no module's page uses, is not XSLT 1.0 as xsltproc takes it.
sed -i '/href="overrideindex.xsl"/d' "$out/style/xsl/common.xsl"
xsltproc --nonet -o "$out/mod/mod_wasm.html" "$out/style/manual.en.xsl" "$out/mod/mod_wasm.xml" \
    2>"$out/messages" || { cat "$out/messages" >&2; die "xsltproc failed"; }
[ -s "$out/mod/mod_wasm.html" ] || { cat "$out/messages" >&2; die "nothing was rendered"; }

# Each directive must have become a section of the page.
xmllint --nonet --noent --xpath '//directivesynopsis/name/text()' "$out/mod/mod_wasm.xml" 2>/dev/null |
    tr A-Z a-z | while read -r name; do
    grep -q "id=\"$name\"" "$out/mod/mod_wasm.html" || die "no section for the directive $name in the page"
done
echo "rendered: $out/mod/mod_wasm.html"
