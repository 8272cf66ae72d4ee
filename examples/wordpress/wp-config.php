<?php
// WordPress looks for this file in its own directory and in the one above, which is not served.

// A file instead of a database server; wp-content/db.php is the driver.
define( 'DB_ENGINE', 'sqlite' );
define( 'DB_DIR', '/data' );
define( 'DB_FILE', 'wordpress.sqlite' );
define( 'DB_NAME', 'wordpress' );
$table_prefix = 'wp_';

// Keys and salts are not here: WordPress then draws them itself, once, and keeps them in the database.

// Its code is read-only for it: no updates, no plugins or themes from the administration pages.
define( 'DISALLOW_FILE_MODS', true );
define( 'AUTOMATIC_UPDATER_DISABLED', true );

// There are no outgoing connections. What WordPress does by calling itself, cron has to call.
define( 'WP_HTTP_BLOCK_EXTERNAL', true );
define( 'DISABLE_WP_CRON', true );

// The error log is the server's.
define( 'WP_DEBUG', false );

if ( ! defined( 'ABSPATH' ) ) {
	define( 'ABSPATH', __DIR__ . '/wordpress/' );
}
require_once ABSPATH . 'wp-settings.php';
