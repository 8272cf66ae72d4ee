<?php
// SPDX-License-Identifier: Apache-2.0
// A guestbook in SQLite. /data is the one directory that PHP can write to
// besides /tmp; the scripts themselves are mapped read-only.

require __DIR__ . '/page.inc';

$db = new PDO('sqlite:/data/guestbook.sqlite');
$db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$db->exec('CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, name TEXT, message TEXT, written TEXT)');

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $name = mb_substr(trim($_POST['name'] ?? ''), 0, 60);
    $message = mb_substr(trim($_POST['message'] ?? ''), 0, 500);
    if ($name !== '' && $message !== '') {
        $insert = $db->prepare("INSERT INTO entries (name, message, written) VALUES (?, ?, datetime('now'))");
        $insert->execute([$name, $message]);
    }
    header('Location: /php/guestbook.php', true, 303);
    exit;
}

page_begin('Guestbook');
?>
<form method="post" action="/php/guestbook.php">
<label>Name <input name="name" required></label>
<label>Message <input name="message" required></label>
<button>Sign</button>
</form>
<?php
// Read to their ends, so that no statement holds SQLite's lock while the page is written.
[[$count]] = $db->query('SELECT count(*) FROM entries')->fetchAll(PDO::FETCH_NUM);
$entries = $db->query('SELECT * FROM entries ORDER BY id DESC LIMIT 50')->fetchAll();
echo "<p id=\"count\">$count entries, kept by SQLite ", SQLite3::version()['versionString'], "</p>\n<table>\n";
foreach ($entries as $row) {
    printf(
        "<tr><td>%s</td><td>%s</td><td>%s</td></tr>\n",
        htmlspecialchars($row['written']),
        htmlspecialchars($row['name']),
        htmlspecialchars($row['message'])
    );
}
echo "</table>\n";
page_end();
