<?php
// SPDX-License-Identifier: Apache-2.0
// Statuses, redirects and cookies: what a script sets is what the client gets.

require __DIR__ . '/page.inc';

switch ($_GET['show'] ?? '') {
    case 'teapot':
        http_response_code(418);
        break;
    case 'redirect':
        header('Location: /php/?name=redirected');
        exit;
    case 'cookies':
        setcookie('first', '1');
        setcookie('second', '2');
        break;
}

page_begin('Headers, cookies and statuses');
?>
<ul>
<li><a href="?show=teapot">418 I'm a teapot</a></li>
<li><a href="?show=redirect">A redirect</a></li>
<li><a href="?show=cookies">Two cookies</a></li>
</ul>
<h2>What PHP was told</h2>
<table>
<?php
foreach ($_SERVER as $name => $value) {
    if (is_string($value)) {
        printf("<tr><td>%s</td><td>%s</td></tr>\n", htmlspecialchars($name), htmlspecialchars($value));
    }
}
echo "</table>\n";
page_end();
