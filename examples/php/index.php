<?php
// SPDX-License-Identifier: Apache-2.0
// The PHP demos' own index, and a form whose answer is the same page.

require __DIR__ . '/page.inc';

page_begin('PHP');
$name = trim($_POST['name'] ?? $_GET['name'] ?? '');
?>
<p>PHP <?= PHP_VERSION ?> on <?= PHP_OS ?>, a build of php-cgi made for WASI, unchanged.</p>
<form method="post" action="/php/">
<label>Name <input name="name" value="<?= htmlspecialchars($name) ?>"></label><button>Greet</button>
</form>
<?php if ($name !== ''): ?>
<p id="greeting">Hello, <?= htmlspecialchars($name) ?>!</p>
<?php endif ?>
<ul>
<li><a href="/php/guestbook.php">A guestbook</a> kept in SQLite</li>
<li><a href="/php/upload.php">A file upload</a></li>
<li><a href="/php/headers.php">Headers, cookies and statuses</a></li>
<li><a href="/php/info.php">phpinfo()</a></li>
</ul>
<?php page_end();
