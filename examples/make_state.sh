#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# make_state.sh APPLICATIONS STATE: makes the directories that the applications write to, as they
# are before the first request, in STATE. They have to belong to the user that the server runs as.

set -eu

applications=$1 state=$2
examples=$(cd "$(dirname "$0")" && pwd)
wiki=$applications/dokuwiki

mkdir -p "$state/wordpress/data" "$state/wordpress/uploads" "$state/wordpress/tmp" "$state/dokuwiki/tmp"
cp -r "$wiki/var/lib/dokuwiki/data" "$state/dokuwiki/data"
cp -r "$wiki/etc/dokuwiki" "$state/dokuwiki/conf"
cp "$examples/dokuwiki/local.php" "$state/dokuwiki/conf/"
