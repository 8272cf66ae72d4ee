#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build.sh: builds the Debian packages into build/packages, without root, and
# checks them with lintian if that is installed. The first build on a machine
# makes the engine, which takes 4 to 10 minutes; others use what it left in the
# user's cache folder.
#
#   DEBEMAIL, DEBFULLNAME   who answers for the packages, as for debchange

set -euo pipefail

cd "$(dirname "$0")/.."
top=$PWD
out=$top/build/packages
die() { echo "packaging/build.sh: $*" >&2; exit 1; }

for tool in dpkg-buildpackage dh fakeroot; do
    command -v $tool >/dev/null || die "$tool is missing: install dpkg-dev debhelper fakeroot"
done
version=$(sed -n 's/^project(mod_wasm VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
packaged=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
[ "${packaged%-*}" = "$version" ] ||
    die "packaging/debian/changelog is about $packaged, CMakeLists.txt about $version"

# What is packaged is what stands in this checkout, committed or not.
mkdir -p "$out"
staged=$out/mod-wasm-$version
rm -rf "$staged" "$out"/*.deb "$out"/*.buildinfo "$out"/*.changes
mkdir "$staged"
git ls-files -z --cached --others --exclude-standard -- CMakeLists.txt LICENSE cmake deps docs man modules \
    packaging runtime tools | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
done | tar -c --null -T - | tar -x -C "$staged"
cp -r "$staged/packaging/debian" "$staged/debian"
checks=()
if [ -n "${DEBEMAIL:-}" ]; then
    sed -i "s/mod_wasm maintainers <maintainers@localhost>/${DEBFULLNAME:-mod_wasm maintainers} <$DEBEMAIL>/" \
        "$staged/debian/control" "$staged/debian/changelog"
else
    # Packages for one's own machines name nobody.
    checks=(--suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog)
fi

echo "Building packages of version $packaged into build/packages (log: build/packages/build.log)"
(cd "$staged" && DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:+$DEB_BUILD_OPTIONS }nocheck" dpkg-buildpackage -b -us -uc) \
    >"$out/build.log" 2>&1 || { tail -n 40 "$out/build.log" >&2; die "dpkg-buildpackage failed"; }
rm -rf "$staged"
if command -v lintian >/dev/null; then
    lintian --fail-on error --tag-display-limit 0 --allow-root "${checks[@]}" "$out"/*.changes
else
    echo "lintian is not installed: packages not checked"
fi
ls "$out"/*.deb
