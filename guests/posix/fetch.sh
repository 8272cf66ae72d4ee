#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch.sh DIRECTORY SOURCES_LOCK [lock]
#
# Puts the files that SOURCES_LOCK names into DIRECTORY, from the Debian mirror that this
# system is set up with, each checked against its SHA-256.
#
# A mirror keeps only the newest version of a package in each suite. When a file is gone,
# the version that its suite has now takes its place, checked by apt against Debian's
# signatures, and a line says so. With `lock` it prints a sources.lock for what was fetched.

set -eu

directory=$1
lock=$2
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
helper=/usr/lib/apt/apt-helper
[ -x $helper ] || { echo "fetch.sh: needs apt (a Debian system)" >&2; exit 1; }

mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
    grep -E '/debian/?$' | head -n 1)
[ -n "$mirror" ] || { echo "fetch.sh: no Debian mirror in apt's sources" >&2; exit 1; }

download() {  # sha256, path
    $helper -q -o APT::Sandbox::User= download-file "$mirror/$2" "$directory/${2##*/}" "SHA256:$1" \
        >"$directory/.log" 2>&1
}

# apt with the suite's lists and nothing of the system's.
suite_apt() {  # suite, command...
    suite=$1
    shift
    private=$directory/.apt-$suite
    if [ ! -d "$private" ]; then
        mkdir -p "$private/lists/partial" "$private/cache/archives/partial" "$private/parts"
        : >"$private/status"
        printf 'Types: deb deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
            "$mirror" "$suite" /usr/share/keyrings/debian-archive-keyring.gpg >"$private/suite.sources"
        cat >"$private/apt.conf" <<EOF
Dir::State "$private"; Dir::State::status "$private/status"; Dir::Cache "$private/cache";
Dir::Etc::sourcelist "$private/suite.sources"; Dir::Etc::sourceparts "$private/parts";
Dir::Etc::preferencesparts "$private/parts"; Acquire::Languages "none"; APT::Sandbox::User "";
EOF
        APT_CONFIG=$private/apt.conf apt-get -q update >"$directory/.log" 2>&1
    fi
    APT_CONFIG=$private/apt.conf "$@"
}

# The newest version of a package, whose files take the place of `old`.
newest() {  # suite, path
    package=$(basename "$(dirname "$2")")
    echo "fetch.sh: the mirror no longer has ${2##*/}: taking what $1 has now" >&2
    rm -f "$directory/$package"_*
    case $2 in
        *.deb) (cd "$directory" && suite_apt "$1" apt-get -q download "$package") >"$directory/.log" 2>&1 ;;
        *) (cd "$directory" && suite_apt "$1" apt-get -q source --download-only "$package") >"$directory/.log" 2>&1 ;;
    esac
}

replaced=
while read -r sum suite path; do
    case $sum in '#'* | '') continue ;; esac
    package=$(basename "$(dirname "$path")")
    case " $replaced " in *" $package "*) continue ;; esac
    file=$directory/${path##*/}
    [ "$(sha256sum 2>/dev/null <"$file" | cut -d' ' -f1)" = "$sum" ] && continue
    if ! download "$sum" "$path"; then
        newest "$suite" "$path" || { cat "$directory/.log" >&2; exit 1; }
        replaced="$replaced $package"
    fi
done <"$lock"

if [ "${3:-}" = lock ]; then
    grep '^#' "$lock"
    while read -r sum suite path; do
        case $sum in '#'* | '') continue ;; esac
        package=$(basename "$(dirname "$path")")
        case ${path##*/} in
            *.orig.tar.*) file=$(cd "$directory" && ls "$package"_*.orig.tar.?z) ;;
            *.debian.tar.*) file=$(cd "$directory" && ls "$package"_*.debian.tar.?z) ;;
            *) file=$(cd "$directory" && ls "$package"_*.deb) ;;
        esac
        echo "$(sha256sum <"$directory/$file" | cut -d' ' -f1) $suite $(dirname "$path")/$file"
    done <"$lock"
fi
rm -rf "$directory"/.apt-* "$directory/.log"
