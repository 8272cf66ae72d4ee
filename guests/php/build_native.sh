#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build_native.sh DIRECTORY
#
# Builds the PHP of build.sh, from the same archive and with the same extensions but gd, for
# this machine, in about 6 minutes on two cores. DIRECTORY/php-cgi is what run_tests.py
# --native compares with. Needs gcc, make, pkg-config, libsqlite3-dev, libxml2-dev, zlib1g-dev.

set -eu

mkdir -p "$1"
directory=$(cd "$1" && pwd)
sources=${XDG_CACHE_HOME:-$HOME/.cache}/mod_wasm/guest-sources
"$(dirname "$0")/../posix/fetch.sh" "$sources" "$(dirname "$0")/sources.lock"
rm -rf "$directory/php"
mkdir "$directory/php"
tar -xf "$(ls "$sources"/php8.4_*.orig.tar.xz)" -C "$directory/php" --strip-components=1 --no-same-owner
cd "$directory/php"
{
    CFLAGS=-O2 ./configure --prefix=/usr --with-config-file-path=/nonexistent \
        --disable-all --disable-cli --disable-phpdbg --enable-cgi --enable-opcache --disable-opcache-jit --without-pcre-jit \
        --enable-ctype --enable-tokenizer --enable-session --enable-filter --enable-posix --enable-mbstring --disable-mbregex \
        --enable-bcmath --enable-calendar --enable-fileinfo --enable-phar --with-sqlite3 --enable-pdo --with-pdo-sqlite \
        --with-zlib --with-iconv --enable-exif --with-libxml --enable-dom --enable-simplexml --enable-xml \
        --enable-xmlreader --enable-xmlwriter
    nice -n 19 make -j "$(nproc)"
} >"$directory/build.log" 2>&1 || { tail -n 30 "$directory/build.log" >&2; exit 1; }
cat >"$directory/php-cgi" <<END
#!/bin/sh
exec '$directory/php/sapi/cgi/php-cgi' -d 'zend_extension=$directory/php/modules/opcache.so' -d opcache.enable=1 "\$@"
END
chmod +x "$directory/php-cgi"
