// SPDX-License-Identifier: Apache-2.0
//
// PHP's part of start images (../posix/start.c). Copied into sapi/cgi/ by build.sh.
#ifndef PHP_START_IMAGE_H
#define PHP_START_IMAGE_H

#include "php.h"

// With PHP started: compiles the scripts that the warm-up list names into OPcache, and
// removes what that left behind. FAILURE if the list cannot be read.
zend_result php_start_image_fill(void);

// In an instance made from an image, before its request: draws new what must not be
// the same in two instances.
void php_start_image_renew(void);

#endif
