<?php
// SPDX-License-Identifier: Apache-2.0
// Takes a file, shows its size and digest, and keeps nothing.

require __DIR__ . '/page.inc';

page_begin('File upload');
?>
<form method="post" action="/php/upload.php" enctype="multipart/form-data">
<label>File <input type="file" name="file"></label><button>Upload</button>
</form>
<?php
$file = $_FILES['file'] ?? null;
if ($file !== null && $file['error'] === UPLOAD_ERR_OK) {
    printf(
        "<table>\n<tr><td>Name</td><td>%s</td></tr>\n<tr><td>Bytes</td><td>%d</td></tr>\n" .
        "<tr><td>SHA-256</td><td>%s</td></tr>\n</table>\n",
        htmlspecialchars($file['name']),
        $file['size'],
        hash_file('sha256', $file['tmp_name'])
    );
} elseif ($file !== null) {
    echo "<p>The upload failed with error {$file['error']}.</p>\n";
}
page_end();
